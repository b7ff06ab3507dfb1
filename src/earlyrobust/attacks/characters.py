"""Transformations of characters: misspellings, and the disguises of people who evade filters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from earlyrobust.attacks.swaps import Draws, Swaps

# A character that looks like it for each that has one.
_LOOKALIKES = dict(
    zip(
        "-9876543210'abcdefghijklmnopqrstuvwxyz",
        "˗৭Ȣ𝟕бƼᏎƷᒿlO`ɑЬϲԁе𝚏ɡհіϳ𝒌ⅼｍոорԛⲅѕ𝚝սѵԝ×уᴢ",
        strict=True,
    )
)
# Letters of the Cyrillic script that fonts draw like those of the Latin script.
_CYRILLIC = dict(zip("acehijopsxyABCEHIJKMOPSTXY", "асеһіјорѕхуАВСЕНІЈКМОРЅТХУ", strict=True))
# Digits and signs that people read as letters.
_LEET = {"a": "4", "b": "8", "e": "3", "g": "9", "i": "1", "l": "1", "o": "0", "s": "5", "t": "7", "z": "2"}
_ZERO_WIDTH_SPACE = "\u200b"
_VOWEL = re.compile("[aeiou]", re.IGNORECASE)


class InsertSpace(Swaps):
    """Puts a space at a random place inside the word."""

    def words(self, word: str, random: Draws) -> list[str]:
        """One replacement; none for words of one or two letters."""
        if len(word) < 3:
            return []
        place = random.randint(1, len(word) - 1)
        return [f"{word[:place]} {word[place:]}"]


class DeleteCharacter(Swaps):
    """Leaves out a random character.

    Args:
        ends: Whether that may be the first or the last one.
    """

    def __init__(self, *, ends: bool = False) -> None:
        self._spared = 0 if ends else 1

    def words(self, word: str, random: Draws) -> list[str]:
        """One replacement; none for words of one letter, or of two that are both spared."""
        first, behind = self._spared, len(word) - self._spared
        if len(word) < 2 or first >= behind:
            return []
        place = random.randint(first, behind)
        return [word[:place] + word[place + 1 :]]


class SwapCharacters(Swaps):
    """Puts two random neighbouring characters in each other's place.

    Args:
        ends: Whether the first or the last one may be among them.
    """

    def __init__(self, *, ends: bool = False) -> None:
        self._spared = 0 if ends else 1

    def words(self, word: str, random: Draws) -> list[str]:
        """One replacement; none where no two neighbours may be swapped."""
        first, behind = self._spared, len(word) - 1 - self._spared
        if first >= behind:
            return []
        place = random.randint(first, behind)
        return [word[:place] + word[place + 1] + word[place] + word[place + 2 :]]


class SubstituteCharacter(Swaps):
    """Replaces a random character by a random letter."""

    def words(self, word: str, random: Draws) -> list[str]:
        """One replacement; none for words of one letter."""
        if len(word) < 2:
            return []
        place = random.randint(0, len(word))
        return [word[:place] + random.letter() + word[place + 1 :]]


class InsertCharacter(Swaps):
    """Puts a random letter before a random character."""

    def words(self, word: str, random: Draws) -> list[str]:
        """One replacement; none for words of one letter."""
        if len(word) < 2:
            return []
        place = random.randint(0, len(word))
        return [word[:place] + random.letter() + word[place:]]


class Lookalikes(Swaps):
    """Replaces a character by one that looks like it, at each place in turn."""

    def words(self, word: str, random: Draws) -> list[str]:
        """As many replacements as the word has lower-case letters, digits, hyphens and apostrophes."""
        return [
            word[:place] + _LOOKALIKES[character] + word[place + 1 :]
            for place, character in enumerate(word)
            if character in _LOOKALIKES
        ]


class Homoglyphs(Swaps):
    """Writes the word with Cyrillic letters that look like its own: the first that can be, or all."""

    def words(self, word: str, random: Draws) -> list[str]:
        """Two replacements, one if they are equal, none for a word without such letters."""
        return _first_and_all(word, _CYRILLIC)


class Leetspeak(Swaps):
    """Writes the word with digits that read like its letters: the first that can be, or all."""

    def words(self, word: str, random: Draws) -> list[str]:
        """Two replacements, one if they are equal, none for a word without such letters."""
        return _first_and_all(word, _LEET)


class ZeroWidth(Swaps):
    """Puts a space without width in the middle of the word, or between all of its letters."""

    def words(self, word: str, random: Draws) -> list[str]:
        """Two replacements, one if they are equal, none for words of one letter."""
        return _in_the_middle_and_between_all(word, _ZERO_WIDTH_SPACE)


class Spacing(Swaps):
    """Puts a space in the middle of the word, or spaces between all of its letters."""

    def words(self, word: str, random: Draws) -> list[str]:
        """Two replacements, one if they are equal, none for words of one letter."""
        return _in_the_middle_and_between_all(word, " ")


class RepeatedLetters(Swaps):
    """Writes the first vowel three times, or the last letter."""

    def words(self, word: str, random: Draws) -> list[str]:
        """Two replacements, one if they are equal or there is no vowel."""
        vowel = _VOWEL.search(word)
        stretched = [] if vowel is None else [word[: vowel.start()] + 3 * vowel[0] + word[vowel.end() :]]
        return _distinct([*stretched, word + 2 * word[-1]])


def _first_and_all(word: str, written: Mapping[str, str]) -> list[str]:
    places = [place for place, letter in enumerate(word) if letter in written]
    if not places:
        return []
    first = places[0]
    return _distinct(
        [
            word[:first] + written[word[first]] + word[first + 1 :],
            "".join(written.get(letter, letter) for letter in word),
        ]
    )


def _in_the_middle_and_between_all(word: str, sign: str) -> list[str]:
    if len(word) < 2:
        return []
    middle = len(word) // 2
    return _distinct([word[:middle] + sign + word[middle:], sign.join(word)])


def _distinct(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
