"""Evasion: the disguises by which spam and abuse pass filters, and people still read it.

This attack is of no paper. It takes the tricks that are seen in the wild, each in a mild and a strong form,
and lets them compete for each word:

* homoglyphs: Cyrillic letters in the place of the Latin ones that they look like,
* zero-width characters between letters,
* spaces between letters,
* repeated letters,
* leetspeak: digits in the place of letters.

A classifier can defend itself against some of them without any training: it normalises texts before it reads
them. `EvasionNormalised` attacks a classifier that does.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from earlyrobust.attacks.characters import Homoglyphs, Leetspeak, RepeatedLetters, Spacing, ZeroWidth
from earlyrobust.attacks.constraints import EditDistance
from earlyrobust.attacks.greedy import WordSwapAttack
from earlyrobust.attacks.resources import Resources
from earlyrobust.attacks.swaps import AnyOf


def normalised(text: str) -> str:
    """Return a text in Unicode's form NFKC, without characters that are not seen (category Cf)."""
    seen = (character for character in text if unicodedata.category(character) != "Cf")
    return unicodedata.normalize("NFKC", "".join(seen))


class Evasion(WordSwapAttack):
    """Disguises words: homoglyphs, zero-width characters, spaces, repeated letters, leetspeak.

    Args:
        resources: Stop words, and the sentence encoder that measures the similarity of results.
        max_edits: Most characters that differ from the original text.
        victim_reads: How the classifier changes a text before it reads it; None for not at all.
    """

    name = "evasion"
    description = "disguises words as spam does: homoglyphs, invisible characters, spacing, leetspeak"

    def __init__(
        self,
        resources: Resources | None = None,
        *,
        max_edits: int = 30,
        victim_reads: Callable[[str], str] | None = None,
    ) -> None:
        resources = resources or Resources()
        super().__init__(
            swaps=AnyOf(Homoglyphs(), ZeroWidth(), Spacing(), RepeatedLetters(), Leetspeak()),
            constraints=[EditDistance(max_edits)],
            stop_words=resources.nltk_stop_words,
            ranking="delete",
            follows_words=True,
            victim_reads=victim_reads,
            sentence_encoder=resources.sentence_encoder,
        )


class EvasionNormalised(Evasion):
    """Disguises words before a classifier that normalises what it reads: NFKC, nothing invisible.

    Args:
        resources: Stop words, and the sentence encoder that measures the similarity of results.
        max_edits: Most characters that differ from the original text.
    """

    name = "evasion-normalised"
    description = "the same disguises before a classifier that normalises Unicode first"

    def __init__(self, resources: Resources | None = None, *, max_edits: int = 30) -> None:
        super().__init__(resources, max_edits=max_edits, victim_reads=normalised)
