"""Computes fingerprints of data: equal rows in equal order have equal fingerprints on every machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import datasets

_ROWS = 10_000


def split_digest(split: datasets.Dataset) -> str:
    """Return the sha256 of a split's column names and values; it depends on the order of the rows."""
    digest = hashlib.sha256()
    for name in sorted(split.column_names):
        # JSON marks where each value ends, so that no two different columns give the same bytes. The bytes
        # are those of the list of the name and all values, but only a part of the values is in memory. Values
        # that JSON does not know, such as dates, count as their text.
        digest.update(f"[{json.dumps(name)}, [".encode())
        between = ""
        for part in split.select_columns([name]).iter(_ROWS):
            digest.update((between + json.dumps(part[name], default=str)[1:-1]).encode())
            between = ", "
        digest.update(b"]]")
    return digest.hexdigest()


def combined_digest(parts: Iterable[str]) -> str:
    """Return the sha256 of a list of strings."""
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()
