"""Neighbours of words from lists: from a user's file, or the WordNet synonyms in the package."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

from earlyrobust.attacks.resources.folding import fold
from earlyrobust.attacks.resources.list_files import read_entries
from earlyrobust.attacks.resources.places import fingerprint
from earlyrobust.attacks.text import words_of
from earlyrobust.errors import ResourceError


class NeighbourLists:
    """A source of neighbours that looks words up in lists, nearest first.

    Neither letter case nor the Unicode form matters: of several spellings of a neighbour, the first counts.

    Args:
        entries: Words with their neighbours. Several entries for one word are joined, in their order.
        name: Name of the lists in results.

    Attributes:
        words: Number of words that have neighbours.
        unused: Number of entries that no attack can use: the entry's word is not a single word of a text, or
            the entry names no other word.
    """

    has_vectors = False
    measures_meaning = False

    def __init__(self, entries: Iterable[tuple[str, Iterable[str | None] | None]], name: str) -> None:
        self.name = name
        self.unused = 0
        # For each word its neighbours, by their folded spelling.
        lists: dict[str, dict[str, str]] = {}
        for word, others in entries:
            key = fold(word.strip())
            usable = [other.strip() for other in others or () if other is not None]
            usable = [other for other in usable if other and fold(other) != key]
            if not usable or words_of(key) != [key]:
                self.unused += 1
                continue
            listed = lists.setdefault(key, {})
            for other in usable:
                listed.setdefault(fold(other), other)
        self._lists: Mapping[str, list[str]] = {word: list(near.values()) for word, near in lists.items()}
        self.words = len(self._lists)

    def nearest(self, word: str, count: int) -> list[str]:
        """Return the first `count` neighbours of a word; an empty list for an unknown word."""
        return self._lists.get(fold(word), [])[:count]

    def cosine(self, a: str, b: str) -> None:
        """Return None, because lists hold no vectors."""


def read_lists(path: Path) -> NeighbourLists:
    """Read neighbour lists from a Parquet, CSV, TSV, JSON or JSONL file; see `read_entries` for the layouts.

    Raises:
        ResourceError: If the file cannot be read, has another layout, is empty, or has no entry that an
            attack can use.
    """
    digest = fingerprint(path)
    lists = NeighbourLists(read_entries(path), f"neighbour lists {path.name} ({digest[:12]})")
    if not lists.words:
        raise ResourceError(
            f"No entry of {path} can be used: an entry should hold a single word and at least one other word."
        )
    return lists


@cache
def wordnet_synonyms() -> NeighbourLists:
    """Return the synonyms from WordNet 3.0 that come with the package, at most 16 for each word."""
    with as_file(files("earlyrobust.attacks.resources") / "wordnet" / "synonyms.parquet") as path:
        return NeighbourLists(read_entries(path), f"WordNet synonyms ({fingerprint(path)[:12]})")
