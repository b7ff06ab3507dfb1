"""Fingerprints of data by content, equal for equal rows in equal order on every machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import datasets


def split_digest(split: datasets.Dataset) -> str:
    """Return the sha256 of a split's column names and all its values, row order included."""
    digest = hashlib.sha256()
    for name in sorted(split.column_names):
        # JSON marks where each value ends, so that no two different columns give the same bytes.
        digest.update(json.dumps([name, split[name][:]]).encode())
    return digest.hexdigest()


def combined_digest(parts: Iterable[str]) -> str:
    """Return the sha256 of a list of strings."""
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()
