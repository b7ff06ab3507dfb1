"""Evasion, an attack that disguises words as authors of spam do: filters miss them, people can read them.

No paper describes this attack. It uses tricks that are common in practice, each in a mild and a strong form.
The tricks compete for each word:

* homoglyphs: Cyrillic letters in place of Latin letters that look the same,
* zero-width characters between letters,
* spaces between letters,
* repeated letters,
* leetspeak: digits in place of letters.

A classifier can resist some of these tricks without any training, if it normalises texts before it reads
them. `EvasionNormalised` attacks such a classifier.
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
    """Return a text in the Unicode form NFKC, without invisible characters (category Cf)."""
    seen = (character for character in text if unicodedata.category(character) != "Cf")
    return unicodedata.normalize("NFKC", "".join(seen))


class Evasion(WordSwapAttack):
    """Disguises words: homoglyphs, zero-width characters, spaces, repeated letters, leetspeak.

    Args:
        resources: Provides the stop words, and the sentence encoder that measures similarity in the results.
        max_edits: Largest edit distance from the original text, in characters.
        victim_reads: A function that the classifier applies to each text before it reads it; None for no
            change.
    """

    name = "evasion"

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
    """Disguises words against a classifier that normalises texts first: NFKC, no invisible characters.

    Args:
        resources: Provides the stop words, and the sentence encoder that measures similarity in the results.
        max_edits: Largest edit distance from the original text, in characters.
    """

    name = "evasion-normalised"

    def __init__(self, resources: Resources | None = None, *, max_edits: int = 30) -> None:
        super().__init__(resources, max_edits=max_edits, victim_reads=normalised)
