"""Loads antonyms of English words, and removes them from the neighbours of a word."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import as_file, files

import pyarrow.parquet as pq

from earlyrobust.attacks.resources.folding import fold
from earlyrobust.attacks.resources.neighbours import Neighbours


@cache
def load_antonyms() -> Mapping[str, frozenset[str]]:
    """Return the antonyms from WordNet 3.0 that come with the package, by word in lower case.

    An antonym has the same inflection as its word: "hates" is an antonym of "loves". If a is an antonym of
    b, b is an antonym of a.
    """
    with as_file(files("earlyrobust.attacks.resources") / "wordnet" / "antonyms.parquet") as path:
        table = pq.read_table(path).to_pydict()
    return dict(zip(table["word"], map(frozenset, table["antonyms"]), strict=True))


class WithoutAntonyms:
    """A source of neighbours that leaves the antonyms of a word out of the neighbours of another source.

    Args:
        neighbours: The other source. It also provides the cosines.
    """

    def __init__(self, neighbours: Neighbours) -> None:
        self.name = f"{neighbours.name} without antonyms"
        self.has_vectors = neighbours.has_vectors
        self.measures_meaning = neighbours.measures_meaning
        self._neighbours = neighbours

    def nearest(self, word: str, count: int) -> list[str]:
        """Return up to `count` neighbours of a word that are not its antonyms, nearest first."""
        antonyms = load_antonyms().get(fold(word), frozenset())
        # The source may name each antonym once, so it is asked for that many more.
        found = self._neighbours.nearest(word, count + len(antonyms))
        return [other for other in found if fold(other) not in antonyms][:count]

    def cosine(self, a: str, b: str) -> float | None:
        """Return the cosine of two words' vectors in the other source; None if that source has no cosine."""
        return self._neighbours.cosine(a, b)
