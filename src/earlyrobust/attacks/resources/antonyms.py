"""Antonyms of English words, and neighbours without them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import as_file, files

import pyarrow.parquet as pq

from earlyrobust.attacks.resources.neighbours import Neighbours


@cache
def load_antonyms() -> Mapping[str, frozenset[str]]:
    """Return the antonyms from WordNet 3.0 that the package carries, by word in lower case.

    An antonym has the form of its word: "loves" has "hates". If a is an antonym of b, b is one of a.
    """
    with as_file(files("earlyrobust.attacks.resources") / "wordnet" / "antonyms.parquet") as path:
        table = pq.read_table(path).to_pydict()
    return dict(zip(table["word"], map(frozenset, table["antonyms"]), strict=True))


class WithoutAntonyms:
    """A source of neighbours that leaves the antonyms of a word out of the neighbours of another source.

    Args:
        neighbours: The other source. It also gives the cosines.
    """

    def __init__(self, neighbours: Neighbours) -> None:
        self.name = f"{neighbours.name} without antonyms"
        self.has_vectors = neighbours.has_vectors
        self.measures_meaning = neighbours.measures_meaning
        self._neighbours = neighbours

    def nearest(self, word: str, count: int) -> list[str]:
        """Return up to `count` neighbours of a word that are not its antonyms, nearest first."""
        antonyms = load_antonyms().get(word.lower(), frozenset())
        # The source may name each antonym once, so it is asked for that many more.
        found = self._neighbours.nearest(word, count + len(antonyms))
        return [other for other in found if other.lower() not in antonyms][:count]

    def cosine(self, a: str, b: str) -> float | None:
        """Return the cosine that the other source gives for two words."""
        return self._neighbours.cosine(a, b)
