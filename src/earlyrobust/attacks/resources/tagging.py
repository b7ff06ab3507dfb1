"""Tags parts of speech with NLTK's perceptron, or with TextBlob's lexicon if NLTK's data is missing."""

from __future__ import annotations

import functools
import importlib.util
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from earlyrobust.attacks.resources.places import nltk_package
from earlyrobust.errors import ResourceError

NLTK_PACKAGE = "taggers/averaged_perceptron_tagger_eng"

# The universal tag of each tag of the Penn Treebank, as in the mapping of Petrov, Das and McDonald.
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
# Number of remembered tags. Attacks ask again and again about the same few words around a position.
REMEMBERED = 2**16


class Tagger(Protocol):
    """Finds the part of speech of a word.

    Attributes:
        name: The tagger's name in results.
    """

    name: str

    def tag(self, words: Sequence[str], place: int) -> str:
        """Return the universal tag (NOUN, VERB, ADJ, ...) of one word of a text.

        Args:
            words: The words of the text.
            place: Position of the word to tag.
        """
        ...


class NltkTagger:
    """NLTK's averaged perceptron, which gives the tags of `nltk.pos_tag(words, tagset="universal")`.

    This class is faster, because it does not tag the words after the word in question, and remembers earlier
    decisions. A decision depends on the word, the two words on each side, and the two tags before.

    Args:
        data_dir: Folder of NLTK's data; None for the places where NLTK looks.

    Raises:
        ResourceError: If NLTK is not installed, or its data is missing or damaged.
    """

    name = "NLTK averaged perceptron"

    def __init__(self, data_dir: Path | None = None) -> None:
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
        self._remembered = functools.lru_cache(REMEMBERED)(self._penn)

    def tag(self, words: Sequence[str], place: int) -> str:
        """Return the universal tag of one word of a text."""
        tagger = self._tagger
        last, before_last = tagger.START
        context = (*tagger.START, *map(tagger.normalize, words[: place + 3]), *tagger.END)
        for number, word in enumerate(words[: place + 1]):
            around = context[number : number + 5]
            last, before_last = self._remembered(word, around, last, before_last), last
        return PENN_TO_UNIVERSAL.get(last, "X")

    def _penn(self, word: str, around: tuple[str, ...], last: str, before_last: str) -> str:
        """Return the Penn tag of a word, given five words with it in the middle, and the two tags before."""
        tag = self._tagger.tagdict.get(word)
        if not tag:
            features = self._tagger._get_features(0, word, around, last, before_last)
            tag, _ = self._tagger.model.predict(features)
        return str(tag)


class PatternTagger:
    """The tagger of TextBlob (from `pattern`), which comes with its own lexicon.

    Raises:
        ResourceError: If TextBlob is not installed.
    """

    name = "TextBlob pattern tagger"

    def __init__(self) -> None:
        _require("textblob")
        from textblob.en import parser

        self._parser = parser
        with warnings.catch_warnings():
            # The first call reads the lexicon, and TextBlob does not close its file.
            warnings.simplefilter("ignore", ResourceWarning)
            parser.find_tags(["word"])

    def tag(self, words: Sequence[str], place: int) -> str:
        """Return the universal tag of one word of a text."""
        # Unlike `textblob.en.tag`, the parser does not split words at spaces and slashes.
        tag = self._parser.find_tags(words)[place][1]
        # If the lexicon cannot decide, the tag is `NN|JJ`, for example; the first part is more likely.
        return PENN_TO_UNIVERSAL.get(tag.partition("|")[0], "X")


def load_tagger(data_dir: Path | None = None) -> Tagger:
    """Return NLTK's tagger if its data is found, else TextBlob's.

    Args:
        data_dir: Folder of NLTK's data; None for the places where NLTK looks.

    Raises:
        ResourceError: If `data_dir` is given and does not hold the tagger, NLTK's data is damaged, or NLTK's
            data and TextBlob are both missing.
    """
    if data_dir is not None or _has_nltk():
        return NltkTagger(data_dir)
    return PatternTagger()


def _has_nltk() -> bool:
    return importlib.util.find_spec("nltk") is not None and nltk_package(NLTK_PACKAGE) is not None


def _require(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise ResourceError(f"{package} is not installed: pip install 'earlyrobust[attack]'.")
