"""Reads a user's file into rows of texts with numbered labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from earlyrobust.data.chunks import Chunk
from earlyrobust.data.files import read_chunks
from earlyrobust.data.labels import LabelReader, order_classes
from earlyrobust.data.rows import gather, make_rows
from earlyrobust.data.textformat import TextFormat
from earlyrobust.errors import DataError


def text_columns_of(text: str, pair: str | None, label: str | None = None) -> list[str]:
    """Return the columns of the texts, in order.

    Args:
        text: Column of the text, or of the first text of a pair.
        pair: Column of the second text; None for single texts.
        label: Column of the label; None if labels are not read.

    Raises:
        DataError: If two options name the same column. A model that reads the label would always be right,
            and a pair of equal texts is no pair.
    """
    options: dict[str, str] = {}
    for option, column in (("--text-column", text), ("--pair-column", pair), ("--label-column", label)):
        if column is None:
            continue
        if column in options:
            raise DataError(
                f"{options[column]} and {option} are both {column!r}: name a column of its own for each."
            )
        options[column] = option
    return [text] if pair is None else [text, pair]


def read_labelled(
    path: Path, text_columns: Sequence[str], labels: LabelReader, form: TextFormat
) -> tuple[pa.Table, tuple[str, ...]]:
    """Read the rows of a file that defines the classes, and the classes.

    Args:
        path: CSV, TSV, JSONL or Parquet file.
        text_columns: Columns of the texts.
        labels: Reads the labels.
        form: The layout of a text file.

    Returns:
        The rows, with labels that are indices of the classes, and the names of the classes in their order.

    Raises:
        DataError: If the file cannot be used.
    """
    seen: dict[str, int] = {}  # the classes, numbered in the order of their first rows

    def rows(table: Chunk) -> pa.Table:
        numbers = [seen.setdefault(name, len(seen)) for name in labels.read(table)]
        return to_rows(table, text_columns, numbers)

    table = gather(map(rows, read_chunks(path, [*text_columns, labels.column], form=form)))
    classes = order_classes(list(seen), labels.defined)
    index = {name: number for number, name in enumerate(classes)}
    return renumbered(table, [index[name] for name in seen]), classes


def renumbered(rows: pa.Table, numbers: Sequence[int]) -> pa.Table:
    """Return rows with `numbers[label]` in place of each label."""
    labels = np.asarray(numbers, np.int64)[rows["label"].to_numpy()]
    return rows.set_column(rows.column_names.index("label"), "label", pa.array(labels, pa.int64()))


def to_rows(table: Chunk, text_columns: Sequence[str], labels: Sequence[int]) -> pa.Table:
    """Return rows with the texts of a table and the given label numbers."""
    texts, *pairs = [table.texts(column) for column in text_columns]
    return make_rows(texts, pairs[0] if pairs else None, labels)
