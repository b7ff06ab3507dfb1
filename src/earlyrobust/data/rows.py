"""Holds rows of texts and labels, in memory if they are few and else on disk."""

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
    """Return a table of texts and labels, the form of rows in the whole package.

    Args:
        texts: The texts, or the first texts of pairs.
        pairs: The second texts; None for single texts.
        labels: The label of each row.

    Returns:
        Columns `text` (string), `pair` (string, left out where `pairs` is None) and `label` (int64).
    """
    columns = {"text": pa.array(texts, pa.string())}
    if pairs is not None:
        columns["pair"] = pa.array(pairs, pa.string())
    columns["label"] = pa.array(labels, pa.int64())
    return pa.table(columns)


def gather(chunks: Iterator[pa.Table]) -> pa.Table:
    """Join chunks into one table: a single chunk stays in memory, several go into a memory-mapped file.

    The file is in the cache and loses its name at once, so that nothing of it is left when the process ends.

    Args:
        chunks: One or more tables with the same columns.

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
            with suppress(OSError):  # Some systems do not remove a mapped file.
                Path(name).unlink()
    except OSError as error:
        raise DataError(
            f"The rows cannot be kept in '{folder}' ({error.strerror}): set EARLYROBUST_CACHE to a folder "
            "with room."
        ) from error


def write_stream(path: Path, parts: Iterator[pa.Table]) -> None:
    """Write consecutive tables into a file in Arrow's stream format.

    Args:
        path: The file.
        parts: One or more tables with the same columns.
    """
    first = next(parts)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, first.schema) as writer:
        for part in chain((first,), parts):
            writer.write_table(part)


@dataclass(frozen=True)
class Rows:
    """A selection of the rows of a table, in any order.

    Attributes:
        table: A table from `make_rows`.
        indices: Indices of the selected rows, shape (rows,).
        table_keys: Equal numbers for rows of the table with equal texts, shape (rows of the table,).
    """

    table: pa.Table
    indices: IntArray
    table_keys: KeyArray

    @classmethod
    def of(cls, table: pa.Table) -> Rows:
        """Return all rows of a table."""
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
        """Return the rows at some positions in this selection."""
        return Rows(self.table, self.indices[places], self.table_keys)

    def to_dataset(self) -> datasets.Dataset:
        """Return the rows as a data set, which looks them up in the table."""
        return datasets.Dataset(self.table).select(self.indices)
