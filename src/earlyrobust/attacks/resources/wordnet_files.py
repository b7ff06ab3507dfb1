"""Synonyms from the original files of WordNet, if they are on this machine."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path

from earlyrobust.attacks.resources.folding import fold
from earlyrobust.attacks.resources.places import nltk_package
from earlyrobust.attacks.text import words_of
from earlyrobust.errors import ResourceError

NLTK_PACKAGE = "corpora/wordnet"
# Endings of inflected words and the endings of their lemmas, from WordNet's documentation (morphy).
_ENDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "noun": (
        *(("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh")),
        *(("men", "man"), ("ies", "y")),
    ),
    "verb": (
        *(("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e")),
        ("ing", ""),
    ),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}
# A mark for the positions that an adjective may take in a sentence.
_PLACE = re.compile(r"\((a|p|ip)\)$")


class WordNet:
    """A source of neighbours that gives the synonyms of all senses of a word, from the files of WordNet 3.

    Inflected words have the synonyms of their lemmas, not inflected, as in NLTK. Phrases are left out.

    Args:
        folder: Folder with the files `index.*`, `data.*` and `*.exc`.

    Raises:
        ResourceError: If a file is missing or damaged.
    """

    has_vectors = False
    measures_meaning = False

    def __init__(self, folder: Traversable) -> None:
        digest = hashlib.sha256()
        # For each part of speech: places of the senses of each lemma, words at each place, irregular forms.
        self._places: dict[str, dict[str, list[str]]] = {}
        self._words: dict[str, dict[str, list[str]]] = {}
        self._lemmas: dict[str, dict[str, list[str]]] = {}
        try:
            for part in _ENDINGS:
                files = [folder / name for name in (f"index.{part}", f"data.{part}", f"{part}.exc")]
                index, data, exceptions = (file.read_bytes() for file in files)
                for content in (index, data, exceptions):
                    digest.update(content)
                self._places[part] = {
                    fields[0]: fields[-int(fields[2]) :] for fields in map(str.split, _lines(index))
                }
                self._words[part] = {line[:8]: _words(line) for line in _lines(data)}
                self._lemmas[part] = {form: of for form, *of in map(str.split, _lines(exceptions))}
        except (OSError, KeyError, ValueError, IndexError) as error:  # KeyError: an archive lacks the file
            raise ResourceError(f"The WordNet in {folder} cannot be read: download it again.") from error
        self.name = f"WordNet's files ({digest.hexdigest()[:12]})"

    def nearest(self, word: str, count: int) -> list[str]:
        """Return the first `count` synonyms of a word; synonyms of earlier senses come first."""
        found: dict[str, None] = {}
        for part, places in self._places.items():
            for lemma in self._lemmas_of(fold(word), part):
                for place in places[lemma]:
                    found.update(dict.fromkeys(self._words[part][place]))
        found.pop(word, None)
        return list(found)[:count]

    def cosine(self, a: str, b: str) -> None:
        """Return None, because WordNet holds no vectors."""

    def _lemmas_of(self, word: str, part: str) -> list[str]:
        """Return the forms of a word, itself or possible lemmas, that WordNet lists."""
        forms = self._lemmas[part].get(word) or [
            word[: -len(ending)] + instead for ending, instead in _ENDINGS[part] if word.endswith(ending)
        ]
        return [form for form in dict.fromkeys((word, *forms)) if form in self._places[part]]


def _lines(content: bytes) -> Iterator[str]:
    """Yield the lines of a WordNet file, without the licence at its beginning."""
    return (line for line in content.decode("latin-1").splitlines() if line and not line.startswith("  "))


def _words(line: str) -> list[str]:
    """Return the words of a synonym set that an attack treats as single words."""
    fields = line.split(" ")
    names = (_PLACE.sub("", name) for name in fields[4 : 4 + 2 * int(fields[3], 16) : 2])
    return [name for name in names if "_" not in name and len(words_of(name)) == 1]


def find_wordnet(data_dir: Path | None = None) -> WordNet | None:
    """Find WordNet in a folder of NLTK's data.

    Args:
        data_dir: Folder of NLTK's data; None for the places where NLTK looks.

    Returns:
        The synonyms; None if there is no WordNet.

    Raises:
        ResourceError: If `data_dir` is not a folder, or the WordNet in it is damaged.
    """
    folder = nltk_package(NLTK_PACKAGE, data_dir)
    return None if folder is None else WordNet(folder)
