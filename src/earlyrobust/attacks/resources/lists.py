"""Neighbours from a file that lists them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from earlyrobust.attacks.resources.places import fingerprint
from earlyrobust.errors import ResourceError


class NeighbourLists:
    """Neighbours from a Parquet file: columns `word` (text) and `neighbors` (lists of text, nearest first).

    Args:
        path: The file.

    Raises:
        ResourceError: The file cannot be read or has other columns.
    """

    has_vectors = False

    def __init__(self, path: Path) -> None:
        self.name = f"neighbour lists {path.name} ({fingerprint(path)[:12]})"
        wanted = pa.schema([("word", pa.string()), ("neighbors", pa.list_(pa.string()))])
        try:
            table = pq.read_table(path, columns=wanted.names).cast(wanted)
        except (pa.ArrowException, ValueError, OSError) as error:
            raise ResourceError(
                f"{path} is not a Parquet file of the columns 'word' (text) and 'neighbors' (lists of text)."
            ) from error
        columns = table.to_pydict()
        self._lists: dict[str, list[str]] = {
            word: [other for other in others or () if other not in (word, None)]
            for word, others in zip(columns["word"], columns["neighbors"], strict=True)
        }

    def nearest(self, word: str, count: int) -> list[str]:
        """Return the first `count` neighbours of the word's list, none for an unknown word."""
        return self._lists.get(word, [])[:count]

    def cosine(self, a: str, b: str) -> None:
        """Return None: lists hold no vectors."""
