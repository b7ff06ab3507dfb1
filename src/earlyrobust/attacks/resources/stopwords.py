"""Words that attacks leave alone."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

from earlyrobust.attacks.resources.places import nltk_package
from earlyrobust.errors import ResourceError

NLTK_PACKAGE = "corpora/stopwords"


def textfooler_stop_words() -> frozenset[str]:
    """Return the stop words of TextFooler, which are part of its definition."""
    return _carried("textfooler_stop_words.json")


def nltk_stop_words(data_dir: Path | None = None) -> tuple[frozenset[str], str]:
    """Return NLTK's English stop words, and how results name them.

    Args:
        data_dir: Folder of NLTK's data; if None, it is looked for where NLTK does. Where it holds no stop
            words, the copy in this package serves.

    Raises:
        ResourceError: `data_dir` is not a folder, or the list in it cannot be read.
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
    """Read a list that this package carries."""
    text = (files("earlyrobust.attacks.resources") / name).read_text(encoding="utf-8")
    return frozenset(json.loads(text)["words"])
