"""Fingerprints of data by content, equal for equal rows in equal order on every machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import datasets

_ROWS = 10_000


def split_digest(split: datasets.Dataset) -> str:
    """Return the sha256 of a split's column names and all its values, row order included."""
    digest = hashlib.sha256()
    for name in sorted(split.column_names):
        # JSON marks where each value ends, so that no two different columns give the same bytes. They are
        # those of the list of the name and all values, of which no more than a part is ever in memory.
        digest.update(f"[{json.dumps(name)}, [".encode())
        between = ""
        for part in split.select_columns([name]).iter(_ROWS):
            digest.update((between + json.dumps(part[name])[1:-1]).encode())
            between = ", "
        digest.update(b"]]")
    return digest.hexdigest()


def combined_digest(parts: Iterable[str]) -> str:
    """Return the sha256 of a list of strings."""
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()
