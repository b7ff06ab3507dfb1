"""Finding equal texts, so that none stands on both sides of a cut unseen.

Two texts are equal if they are so after Unicode normalisation (NFC) and case folding, and with one space for
every run of blanks and none at the ends. A pair of texts equals another if both its texts do.
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
    """Count the rows whose text, or pair of texts, also stands in other rows.

    Args:
        rows: Columns `text` and, for pairs, `pair`.
        others: The same columns.
    """
    keys, known = (text_keys(split.with_format("arrow").iter(_ROWS)) for split in (rows, others))
    return int(np.isin(keys, known).sum())


def text_keys(parts: Iterable[pa.Table]) -> KeyArray:
    """Return a number for each row that is equal for equal texts.

    It is a hash of 64 bits: two different texts among a million share a number with a chance of 3e-8.

    Args:
        parts: The rows, a table after the other, with columns `text` and, for pairs, `pair`.

    Returns:
        Shape (rows,).
    """
    digests = [b"".join(map(_digest, *_columns(part))) for part in parts]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def table_keys(table: pa.Table) -> KeyArray:
    """Return the keys of all rows of a table, of which only a part is in memory at a time."""
    return text_keys(table.slice(start, _ROWS) for start in range(0, len(table), _ROWS))


def count_repeats(keys: Mapping[str, KeyArray], labels: Mapping[str, IntArray]) -> dict[str, int]:
    """Count the repeated texts within and across the splits of a data set.

    Args:
        keys: Of the rows of the splits `train`, `selection` and `test`.
        labels: Of the same rows.

    Returns:
        Numbers of rows. Under the name of each split: rows that repeat an earlier row's text. Under
        `selection_in_train`, `test_in_train` and `test_in_selection`: rows of one split whose text also
        stands in the other. Under `contradicted`: rows of all splits whose text also stands with another
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
    # No text holds a line feed once its blanks are spaces, so it marks where a pair's first ends.
    content = "\n".join(map(_normalised, texts))
    return hashlib.blake2b(content.encode(), digest_size=_BYTES).digest()


def _normalised(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.casefold().split())
