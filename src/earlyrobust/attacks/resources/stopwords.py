"""Loads stop words: the words that attacks never change."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from earlyrobust.attacks.resources.places import nltk_package
from earlyrobust.errors import ResourceError

NLTK_PACKAGE = "corpora/stopwords"


def textfooler_stop_words() -> frozenset[str]:
    """Return the stop words of TextFooler's authors, which are part of the attack's definition."""
    return _carried("textfooler_stop_words.json")


def nltk_stop_words(data_dir: Path | None = None) -> tuple[frozenset[str], str]:
    """Return NLTK's English stop words, and their name in results.

    Args:
        data_dir: Folder of NLTK's data; None for the places where NLTK looks. If there are no stop words in
            it, the function returns the copy that comes with this package.

    Raises:
        ResourceError: If `data_dir` is not a folder, or the list in it cannot be read.
    """
    folder = nltk_package(NLTK_PACKAGE, data_dir)
    if folder is None or not (folder / "english").is_file():
        return _carried("nltk_stop_words.json"), "NLTK's English stop words, built-in copy"
    try:
        words = (folder / "english").read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ResourceError(f"The stop words {folder / 'english'} cannot be read as text.") from error
    return frozenset(words), "NLTK's English stop words"


def _carried(name: str) -> frozenset[str]:
    """Read a list that comes with this package."""
    text = (files("earlyrobust.attacks.resources") / name).read_text(encoding="utf-8")
    return frozenset(json.loads(text)["words"])
