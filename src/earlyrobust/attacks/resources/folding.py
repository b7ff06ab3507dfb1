"""Folds words to the form in which they are compared, so that all spellings of a word find one entry."""

from __future__ import annotations

import re
from unicodedata import normalize

from earlyrobust.attacks.text import JOINERS

_NO_JOINERS = str.maketrans("", "", JOINERS)
# The lower case of the Turkish "İ" has a dot above its dot.
_TWICE_DOTTED = re.compile("i\u0307+")


def fold(word: str) -> str:
    """Return the form in which words are compared: in lower case, composed (NFC) and without joiners.

    So letter case and Unicode form do not matter, and "İyi" meets "iyi". The form does not depend on a
    language: the lower case of "I" is "i", and "ı" is another letter.
    """
    if word.isascii():
        return word.lower()
    lower = composed(word.translate(_NO_JOINERS)).lower()
    return composed(_TWICE_DOTTED.sub("i", lower))


def composed(word: str) -> str:
    """Return a word in the Unicode form NFC, in which a letter and its accent are one character."""
    return normalize("NFC", word)
