"""Finds equal texts, so that no text is in two splits without notice.

Texts are compared after Unicode normalisation (NFC) and case folding, with one space for each run of blanks
and no blanks at the ends. Two pairs of texts are equal if their first texts are equal and their second texts
are equal.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from earlyrobust.data.splitting import IntArray

if TYPE_CHECKING:
    from datasets import Dataset

KeyArray: TypeAlias = npt.NDArray[np.uint64]

_ROWS = 10_000
_BYTES = 8


def count_overlap(rows: Dataset, others: Dataset) -> int:
    """Return the number of rows whose text, or pair of texts, is also in other rows.

    Args:
        rows: Columns `text` and, for pairs, `pair`.
        others: Rows with the same columns.
    """
    keys, known = (text_keys(split.with_format("arrow").iter(_ROWS)) for split in (rows, others))
    return int(np.isin(keys, known).sum())


def text_keys(parts: Iterable[pa.Table]) -> KeyArray:
    """Return a number for each row; rows with equal texts have equal numbers.

    The number is a hash of 64 bits. Among a million different texts, the probability that two share a number
    is 3e-8.

    Args:
        parts: The rows in consecutive tables, with columns `text` and, for pairs, `pair`.

    Returns:
        Shape (rows,).
    """
    digests = [b"".join(map(_digest, *_columns(part))) for part in parts]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def table_keys(table: pa.Table) -> KeyArray:
    """Return the keys of all rows of a table, see `text_keys`; only a part of the table is in memory."""
    return text_keys(table.slice(start, _ROWS) for start in range(0, len(table), _ROWS))


def count_repeats(keys: Mapping[str, KeyArray], labels: Mapping[str, IntArray]) -> dict[str, int]:
    """Count the repeated texts within and across the splits of a data set.

    Args:
        keys: Keys of the rows of the splits `train`, `selection` and `test`, see `text_keys`.
        labels: Labels of the same rows.

    Returns:
        Numbers of rows. Under the name of each split: rows that repeat the text of an earlier row. Under
        `selection_in_train`, `test_in_train` and `test_in_selection`: rows of the first split whose text is
        also in the second. Under `contradicted`: rows of all splits whose text also occurs with another
        label.
    """
    within = {name: len(own) - len(np.unique(own)) for name, own in keys.items()}
    across = {
        f"{name}_in_{other}": int(np.isin(keys[name], keys[other]).sum())
        for name, other in (("selection", "train"), ("test", "train"), ("test", "selection"))
    }
    every = np.concatenate(list(keys.values()))
    return {**within, **across, "contradicted": _contradicted(every, np.concatenate(list(labels.values())))}


def _contradicted(keys: KeyArray, labels: IntArray) -> int:
    order = np.argsort(keys, kind="stable")
    keys, labels = keys[order], labels[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    several = np.minimum.reduceat(labels, starts) != np.maximum.reduceat(labels, starts)
    return int(np.diff(np.append(starts, len(keys)))[several].sum())


def _columns(part: pa.Table) -> list[list[str]]:
    return [part[name].to_pylist() for name in ("text", "pair") if name in part.column_names]


def _digest(*texts: str) -> bytes:
    # A normalised text holds no line feed, so a line feed can separate the texts of a pair.
    content = "\n".join(map(_normalised, texts))
    return hashlib.blake2b(content.encode(), digest_size=_BYTES).digest()


def _normalised(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.casefold().split())
