"""Detects texts that are not English by their letters and their most common words, without any model.

The default tagger, stop words and neighbours of the attacks are made for English. Words such as "the" make up
a fifth of English prose, and words such as "und" make up as much of prose in other languages. Product names,
lists of keywords and code contain few of either, so this module does not judge them.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

# The letters after an apostrophe are the rest of a contraction: the "ve" of "I've" is not a Turkish word.
_WORD = re.compile(r"(?<!['’\w])[^\W\d_]+")
# Fewer letters, or fewer words, are too few to tell the language.
_FEW_LETTERS, _FEW_WORDS = 30, 20
# From this share of letters in other scripts on, the texts are not English. It is below a half, because names
# in Latin letters have more letters than the rest of a Chinese or Japanese text.
_OTHER_SCRIPTS = 0.3
# English texts stay below these shares of foreign function words and of letters with marks.
_FOREIGN_WORDS, _MARKED_LETTERS = 0.1, 0.04
# Foreign function words must be this many times as frequent as English ones.
_TIMES = 2.5
# If only marked letters tell the language, at most this share of the words may be English function words.
_HARDLY_ENGLISH = 0.03
_FEW_KINDS = 4


@dataclass(frozen=True)
class LanguageRecord:
    """Counts over texts that tell whether they are English.

    Attributes:
        letters: Number of letters.
        other_scripts: Number of letters that are not of the Latin script.
        marked: Number of Latin letters that English does not have, such as "é" or "ß".
        words: Number of words.
        english: Number of words that are function words of English and of no other language, such as "the".
        foreign: Number of words that are function words of other languages and not of English, such as "und".
        foreign_kinds: Number of different words among the foreign ones.
    """

    letters: int
    other_scripts: int
    marked: int
    words: int
    english: int
    foreign: int
    foreign_kinds: int

    @classmethod
    def of(cls, texts: Iterable[str]) -> LanguageRecord:
        """Count the letters and words of some texts."""
        characters: Counter[str] = Counter()
        words: Counter[str] = Counter()
        for text in texts:
            composed = unicodedata.normalize("NFC", text)
            characters.update(composed)
            words.update(_WORD.findall(composed.casefold()))
        scripts: Counter[str] = Counter()
        for character, count in characters.items():
            if character.isalpha():
                scripts[_script(character)] += count
        english, foreign = _function_words()
        found = {word: count for word, count in words.items() if word in foreign}
        return cls(
            letters=scripts.total(),
            other_scripts=scripts["other"],
            marked=scripts["marked"],
            words=words.total(),
            english=sum(count for word, count in words.items() if word in english),
            foreign=sum(found.values()),
            foreign_kinds=len(found),
        )

    @classmethod
    def pooled(cls, records: Sequence[LanguageRecord]) -> LanguageRecord:
        """Add up the counts of several samples; `foreign_kinds` is the largest of theirs."""
        counts = {
            name: sum(getattr(record, name) for record in records)
            for name in ("letters", "other_scripts", "marked", "words", "english", "foreign")
        }
        return cls(**counts, foreign_kinds=max(record.foreign_kinds for record in records))

    @property
    def is_of_other_script(self) -> bool:
        """Whether so many letters are of other scripts that the texts are not English."""
        return self.letters >= _FEW_LETTERS and self.other_scripts >= _OTHER_SCRIPTS * self.letters

    @property
    def is_foreign(self) -> bool:
        """Whether the counts show that the texts are not English; False if the counts cannot tell."""
        if self.is_of_other_script:
            return True
        if self.words < _FEW_WORDS:
            return False
        by_words = (
            self.foreign_kinds >= _FEW_KINDS
            and self.foreign >= _FOREIGN_WORDS * self.words
            and self.foreign >= _TIMES * self.english
        )
        by_marks = (
            self.marked >= _MARKED_LETTERS * self.letters and self.english <= _HARDLY_ENGLISH * self.words
        )
        return by_words or by_marks


@cache
def _script(character: str) -> str:
    """Classify a letter: "plain" as in English, "marked" for other Latin letters, or "other" script."""
    plain = unicodedata.normalize("NFKC", character)[:1]  # for full-width and mathematical letters
    if plain.isascii():
        return "plain"
    return "marked" if unicodedata.name(plain, "").startswith("LATIN") else "other"


@cache
def _function_words() -> tuple[frozenset[str], frozenset[str]]:
    """Return the function words of English only, and those of other languages only.

    A word in both lists, such as "in", cannot tell the language and is left out.
    """
    content = (files("earlyrobust.results") / "function_words.json").read_text(encoding="utf-8")
    lists = {language: set(words.split()) for language, words in json.loads(content).items()}
    english = lists.pop("English")
    others = set().union(*lists.values())
    return frozenset(english - others), frozenset(others - english)
