"""Part-of-speech tagging with NLTK's perceptron, or with TextBlob's lexicon where NLTK has no data."""

from __future__ import annotations

import functools
import importlib.util
import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from earlyrobust.attacks.resources.places import nltk_package
from earlyrobust.errors import ResourceError

NLTK_PACKAGE = "taggers/averaged_perceptron_tagger_eng"

# The tags of the Penn Treebank by universal tag, as Petrov, Das and McDonald map them.
PENN_TO_UNIVERSAL = {
    penn: universal
    for universal, tags in {
        ".": "! # $ '' ( ) , -LRB- -RRB- . : ? `` \"",
        "ADJ": "JJ JJR JJS",
        "ADP": "IN",
        "ADV": "RB RBR RBS WRB",
        "CONJ": "CC",
        "DET": "DT EX PDT WDT",
        "NOUN": "NN NNP NNPS NNS",
        "NUM": "CD",
        "PRON": "PRP PRP$ WP WP$",
        "PRT": "POS RP TO",
        "VERB": "MD VB VBD VBG VBN VBP VBZ",
        "X": "FW LS SYM UH",
    }.items()
    for penn in tags.split()
}
CACHED_TEXTS = 2**16


class Tagger(Protocol):
    """Says what part of speech each word of a text is.

    Attributes:
        name: How results name it.
    """

    name: str

    def tag(self, words: Sequence[str]) -> list[str]:
        """Return the universal tag of each word (NOUN, VERB, ADJ, ...), in the order of the words."""
        ...


class _PennTagger(ABC):
    """Maps Penn tags to universal ones, and remembers the texts that it has tagged."""

    def __init__(self) -> None:
        # Attacks ask again and again about the same few words around a position.
        self._remembered = functools.lru_cache(CACHED_TEXTS)(self._universal)

    def tag(self, words: Sequence[str]) -> list[str]:
        """Return the universal tag of each word, in the order of the words."""
        return list(self._remembered(tuple(words)))

    def _universal(self, words: tuple[str, ...]) -> tuple[str, ...]:
        # Where a lexicon cannot decide it says `NN|JJ`; the first is the likelier one.
        return tuple(PENN_TO_UNIVERSAL.get(tag.partition("|")[0], "X") for tag in self._penn(list(words)))

    @abstractmethod
    def _penn(self, words: list[str]) -> list[str]:
        """Return the Penn tag of each word."""


class NltkTagger(_PennTagger):
    """NLTK's averaged perceptron: tags as `nltk.pos_tag(words, tagset="universal")` does.

    Args:
        data_dir: Folder of NLTK's data; if None, it is looked for where NLTK does.

    Raises:
        ResourceError: NLTK is not installed, or its data is not found or damaged.
    """

    name = "NLTK averaged perceptron"

    def __init__(self, data_dir: Path | None = None) -> None:
        super().__init__()
        _require("nltk")
        folder = nltk_package(NLTK_PACKAGE, data_dir)
        if folder is None:
            where = f"in {data_dir}" if data_dir is not None else "where NLTK looks for its data"
            raise ResourceError(
                f"There is no {NLTK_PACKAGE} {where}: python -m nltk.downloader {Path(NLTK_PACKAGE).name}, "
                "or give the right folder as --nltk-data."
            )
        from nltk.tag.perceptron import PerceptronTagger

        self._tagger = PerceptronTagger(load=False)
        stem = Path(NLTK_PACKAGE).name
        try:
            parts = [
                json.loads((folder / f"{stem}.{part}.json").read_text(encoding="utf-8"))
                for part in ("weights", "tagdict", "classes")
            ]
            self._tagger.decode_json_params(parts)
        except (OSError, KeyError, ValueError, TypeError) as error:  # KeyError: not in the archive
            raise ResourceError(f"The tagger in {folder} cannot be read: download it again.") from error

    def _penn(self, words: list[str]) -> list[str]:
        return [tag for _, tag in self._tagger.tag(words)]


class PatternTagger(_PennTagger):
    """The tagger of TextBlob (from `pattern`), which carries its own lexicon.

    Raises:
        ResourceError: TextBlob is not installed.
    """

    name = "TextBlob pattern tagger"

    def __init__(self) -> None:
        super().__init__()
        _require("textblob")
        from textblob.en import parser

        self._parser = parser
        with warnings.catch_warnings():
            # TextBlob leaves the file of its lexicon, which the first call reads, to the garbage collector.
            warnings.simplefilter("ignore", ResourceWarning)
            parser.find_tags(["word"])

    def _penn(self, words: list[str]) -> list[str]:
        # Unlike `textblob.en.tag`, the parser takes the words as they are, spaces and slashes in them too.
        return [tag for _, tag in self._parser.find_tags(words)]


def load_tagger(data_dir: Path | None = None) -> Tagger:
    """Return NLTK's tagger if its data is at hand, TextBlob's otherwise.

    Args:
        data_dir: Folder of NLTK's data; if None, it is looked for where NLTK does.

    Raises:
        ResourceError: `data_dir` is given and does not hold the tagger, or neither package is installed.
    """
    if data_dir is not None or _has_nltk():
        return NltkTagger(data_dir)
    return PatternTagger()


def _has_nltk() -> bool:
    return importlib.util.find_spec("nltk") is not None and nltk_package(NLTK_PACKAGE) is not None


def _require(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise ResourceError(f"{package} is not installed: pip install 'earlyrobust[attack]'.")
