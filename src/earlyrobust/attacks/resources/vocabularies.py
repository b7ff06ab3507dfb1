"""Finds the whole words in the vocabulary of a tokenizer, and the texts of its entries."""

from __future__ import annotations

from collections.abc import Collection
from operator import itemgetter
from typing import TYPE_CHECKING
from unicodedata import category

from tokenizers.decoders import ByteLevel

from earlyrobust.attacks.resources.folding import fold
from earlyrobust.attacks.text import MARKS, words_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Signs before an entry that begins a word, in byte-level and in SentencePiece vocabularies.
_BYTES, _PIECES = "Ġ", "▁"
# Such a sign begins at least this share of the entries. Otherwise it is only a letter, as "Ġ" of Maltese.
_LEAST_SHARE = 0.01
_DECODER = ByteLevel()


def word_rows(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """Return the row of each whole word of a vocabulary, in the order of the vocabulary.

    A whole word begins a word of a text, and has two or more characters, only letters with their marks. Words
    are folded: they are in lower case. If a vocabulary holds several spellings of a word, the row is that of
    the spelling in lower case, or of the first one if there is none in lower case.
    """
    entries = sorted(tokenizer.get_vocab().items(), key=itemgetter(1))
    start = word_start([entry for entry, _ in entries])
    rows: dict[str, int] = {}
    for entry, row in entries:
        if not entry.startswith(start):
            continue
        word = text_of(entry, start)
        folded = fold(word)
        if _is_word(folded) and (folded == word or folded not in rows):
            rows[folded] = row
    return rows


def word_start(entries: Collection[str]) -> str:
    """Return the sign before entries that begin a word; an empty text if the vocabulary has no such sign.

    Vocabularies without the sign put "##" before all other entries.
    """
    counts = {sign: sum(entry.startswith(sign) for entry in entries) for sign in (_BYTES, _PIECES)}
    sign = max(counts, key=lambda sign: counts[sign])
    return sign if counts[sign] >= _LEAST_SHARE * len(entries) else ""


def text_of(entry: str, start: str) -> str:
    """Return the text of an entry without the sign before it.

    Args:
        entry: The entry. One of a byte-level vocabulary may hold a part of a character, which becomes U+FFFD.
        start: The sign, as from `word_start`.
    """
    bare = entry.removeprefix(start)
    return _DECODER.decode([bare]) if start == _BYTES else bare


def _is_word(text: str) -> bool:
    """Return whether a text is one word of two or more characters, only letters with their marks."""
    return (
        len(text) > 1
        and all(character.isalpha() or category(character) in MARKS for character in text)
        and words_of(text) == [text]
    )
