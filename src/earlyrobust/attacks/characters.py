"""Transformations of characters: misspellings, and the disguises that people use to evade filters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from earlyrobust.attacks.swaps import Draws, Swaps

# Characters, and for each of them one that looks like it.
_LOOKALIKES = dict(
    zip(
        "-9876543210'abcdefghijklmnopqrstuvwxyz",
        "˗৭Ȣ𝟕бƼᏎƷᒿlO`ɑЬϲԁе𝚏ɡհіϳ𝒌ⅼｍոорԛⲅѕ𝚝սѵԝ×уᴢ",
        strict=True,
    )
)
# Latin letters, and for each of them a Cyrillic letter that looks the same in most fonts.
_CYRILLIC = dict(zip("acehijopsxyABCEHIJKMOPSTXY", "асеһіјорѕхуАВСЕНІЈКМОРЅТХУ", strict=True))
# Digits and signs that people read as letters.
_LEET = {"a": "4", "b": "8", "e": "3", "g": "9", "i": "1", "l": "1", "o": "0", "s": "5", "t": "7", "z": "2"}
_ZERO_WIDTH_SPACE = "\u200b"
_VOWEL = re.compile("[aeiou]", re.IGNORECASE)


class InsertSpace(Swaps):
    """Inserts a space at a random place inside the word."""

    def words(self, word: str, random: Draws) -> list[str]:
        """Return one replacement; none for words of one or two letters."""
        if len(word) < 3:
            return []
        place = random.randint(1, len(word) - 1)
        return [f"{word[:place]} {word[place:]}"]


class DeleteCharacter(Swaps):
    """Removes a random character.

    Args:
        ends: Whether it may be the first or the last character.
    """

    def __init__(self, *, ends: bool = False) -> None:
        self._spared = 0 if ends else 1

    def words(self, word: str, random: Draws) -> list[str]:
        """Return one replacement; none for words of one letter or, if `ends` is False, of two."""
        first, behind = self._spared, len(word) - self._spared
        if len(word) < 2 or first >= behind:
            return []
        place = random.randint(first, behind)
        return [word[:place] + word[place + 1 :]]


class SwapCharacters(Swaps):
    """Swaps two neighbouring characters at a random place.

    Args:
        ends: Whether one of them may be the first or the last character.
    """

    def __init__(self, *, ends: bool = False) -> None:
        self._spared = 0 if ends else 1

    def words(self, word: str, random: Draws) -> list[str]:
        """Return one replacement; none if no two neighbours may be swapped."""
        first, behind = self._spared, len(word) - 1 - self._spared
        if first >= behind:
            return []
        place = random.randint(first, behind)
        return [word[:place] + word[place + 1] + word[place] + word[place + 2 :]]


class SubstituteCharacter(Swaps):
    """Replaces a random character by a random letter."""

    def words(self, word: str, random: Draws) -> list[str]:
        """Return one replacement; none for words of one letter."""
        if len(word) < 2:
            return []
        place = random.randint(0, len(word))
        return [word[:place] + random.letter() + word[place + 1 :]]


class InsertCharacter(Swaps):
    """Inserts a random letter before a random character."""

    def words(self, word: str, random: Draws) -> list[str]:
        """Return one replacement; none for words of one letter."""
        if len(word) < 2:
            return []
        place = random.randint(0, len(word))
        return [word[:place] + random.letter() + word[place:]]


class Lookalikes(Swaps):
    """Replaces one character by another that looks like it; one replacement for each possible place."""

    def words(self, word: str, random: Draws) -> list[str]:
        """Return a replacement for each lower-case letter, digit, hyphen and apostrophe of the word."""
        return [
            word[:place] + _LOOKALIKES[character] + word[place + 1 :]
            for place, character in enumerate(word)
            if character in _LOOKALIKES
        ]


class Homoglyphs(Swaps):
    """Replaces Latin letters by Cyrillic ones that look the same: the first possible letter, or all."""

    def words(self, word: str, random: Draws) -> list[str]:
        """Return two replacements, one if they are equal, none for a word without such letters."""
        return _first_and_all(word, _CYRILLIC)


class Leetspeak(Swaps):
    """Replaces letters by digits that people read as these letters: the first possible letter, or all."""

    def words(self, word: str, random: Draws) -> list[str]:
        """Return two replacements, one if they are equal, none for a word without such letters."""
        return _first_and_all(word, _LEET)


class ZeroWidth(Swaps):
    """Inserts a zero-width space in the middle of the word, or between all of its letters."""

    def words(self, word: str, random: Draws) -> list[str]:
        """Return two replacements, one if they are equal, none for words of one letter."""
        return _in_the_middle_and_between_all(word, _ZERO_WIDTH_SPACE)


class Spacing(Swaps):
    """Inserts a space in the middle of the word, or spaces between all of its letters."""

    def words(self, word: str, random: Draws) -> list[str]:
        """Return two replacements, one if they are equal, none for words of one letter."""
        return _in_the_middle_and_between_all(word, " ")


class RepeatedLetters(Swaps):
    """Writes the first vowel, or the last letter, three times."""

    def words(self, word: str, random: Draws) -> list[str]:
        """Return two replacements, one if they are equal or the word has no vowel."""
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
