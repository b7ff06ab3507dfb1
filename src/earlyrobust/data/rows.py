"""Rows of text and labels, on disk rather than in memory where there are many."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa

from earlyrobust.data.duplicates import KeyArray, table_keys
from earlyrobust.data.splitting import IntArray
from earlyrobust.errors import DataError
from earlyrobust.storage import A_DAY, TEMPORARY, cache_folder, remove_leftovers


def make_rows(
    texts: Sequence[str], pairs: Sequence[str] | None, labels: Sequence[int] | IntArray
) -> pa.Table:
    """Put rows into the one form the rest of the room works on.

    Returns:
        Columns `text` (string), `pair` (string, left out where `pairs` is None) and `label` (int64).
    """
    columns = {"text": pa.array(texts, pa.string())}
    if pairs is not None:
        columns["pair"] = pa.array(pairs, pa.string())
    columns["label"] = pa.array(labels, pa.int64())
    return pa.table(columns)


def gather(chunks: Iterator[pa.Table]) -> pa.Table:
    """Put chunks together: in memory if there is one, else in a file that is mapped into it.

    The file lies in the cache without a name, so that nothing of it is left when the process has ended.

    Args:
        chunks: At least one; all of the same columns.

    Raises:
        DataError: The file cannot be written.
    """
    first = next(chunks)
    second = next(chunks, None)
    if second is None:
        return first
    folder = cache_folder("rows")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder, age=A_DAY)
        handle, name = tempfile.mkstemp(dir=folder, prefix=TEMPORARY)
        os.close(handle)
        try:
            write_stream(Path(name), chain((first, second), chunks))
            return pa.ipc.open_stream(pa.memory_map(name)).read_all()
        finally:
            with suppress(OSError):  # some systems keep the name of a file that is mapped
                Path(name).unlink()
    except OSError as error:
        raise DataError(
            f"The rows cannot be kept in '{folder}' ({error.strerror}): set EARLYROBUST_CACHE to a folder "
            "with room."
        ) from error


def write_stream(path: Path, parts: Iterator[pa.Table]) -> None:
    """Write tables into a file of Arrow's stream format, one after the other.

    Args:
        path: The file.
        parts: At least one; all of the same columns.
    """
    first = next(parts)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, first.schema) as writer:
        for part in chain((first,), parts):
            writer.write_table(part)


@dataclass(frozen=True)
class Rows:
    """Some rows of a table, in an order of their own.

    Attributes:
        table: As `make_rows` makes them.
        indices: Which of its rows, shape (rows,).
        table_keys: Equal numbers for rows of the table with equal texts, shape (rows of the table,).
    """

    table: pa.Table
    indices: IntArray
    table_keys: KeyArray

    @classmethod
    def of(cls, table: pa.Table) -> Rows:
        """All rows of a table."""
        return cls(table, np.arange(len(table)), table_keys(table))

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def labels(self) -> IntArray:
        """Label of each row, shape (rows,)."""
        every: IntArray = self.table["label"].to_numpy()
        return every[self.indices]

    @property
    def keys(self) -> KeyArray:
        """Equal numbers for rows with equal texts, shape (rows,)."""
        return self.table_keys[self.indices]

    def take(self, places: IntArray) -> Rows:
        """The rows at some places among these."""
        return Rows(self.table, self.indices[places], self.table_keys)

    def to_dataset(self) -> datasets.Dataset:
        """The rows as a data set, which looks them up in the table."""
        return datasets.Dataset(self.table).select(self.indices)
