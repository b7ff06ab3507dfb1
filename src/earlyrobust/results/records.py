"""How records are read, and what all of them tell."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from earlyrobust.errors import OutputError

SCHEMA_VERSION = 1

Record = TypeVar("Record")


@dataclass(frozen=True)
class EnvironmentRecord:
    """Where a run took place: versions of what computes, and the hardware."""

    versions: dict[str, str]
    platform: str
    processor: str
    threads: int
    device: str


def read_record(path: Path, kind: type[Record], missing: str) -> Record:
    """Read a record.

    Args:
        path: The file.
        kind: The dataclass that it was made of.
        missing: What to say if there is no such file.

    Raises:
        OutputError: If there is none, it is damaged, or it was written by a newer version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        version = content["schema_version"]
        if version > SCHEMA_VERSION:
            raise OutputError(
                f"The record '{path}' has layout {version}, newer than the {SCHEMA_VERSION} that this "
                "version reads: update earlyrobust."
            )
        read: Record = _reader(kind).validate_python(content)  # type: ignore[arg-type] # a class has a hash
        return read
    except FileNotFoundError as error:
        raise OutputError(missing) from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
        raise OutputError(f"The record '{path}' is damaged and cannot be read.") from error


@functools.cache
def _reader(kind: type[Any]) -> TypeAdapter[Any]:
    """Return the validator of a kind of record, which takes longer to build than to use."""
    return TypeAdapter(kind)
