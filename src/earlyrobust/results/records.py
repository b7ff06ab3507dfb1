"""Reads records from JSON, and holds the parts that all records share."""

from __future__ import annotations

import dataclasses
import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from pydantic import TypeAdapter, ValidationError

from earlyrobust.errors import OutputError
from earlyrobust.storage import write_json

SCHEMA_VERSION = 1

Record = TypeVar("Record")


@dataclass(frozen=True)
class EnvironmentRecord:
    """The software and hardware of a run.

    Attributes:
        versions: Versions of Python and of each package, by name.
        platform: Operating system.
        processor: Name of the processor.
        threads: Number of threads that PyTorch uses.
        device: Name of the device, such as "cpu".
        code: Fingerprint of the package's own code; empty in the record of an older version.
    """

    versions: dict[str, str]
    platform: str
    processor: str
    threads: int
    device: str
    code: str = ""


@dataclass(frozen=True)
class SavedRecord:
    """A record that a folder holds as a JSON file. Subclasses add the fields.

    Attributes:
        FILE: Name of the file.
        MISSING: Message of the error if the file does not exist, in which {folder} is the folder.
    """

    FILE: ClassVar[str]
    MISSING: ClassVar[str]

    def save(self, folder: Path) -> None:
        """Write the record into a folder."""
        write_json(folder / self.FILE, dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the record from a folder.

        Raises:
            OutputError: If there is no record, it is damaged, or a newer version has written it.
        """
        return read_record(folder / cls.FILE, cls, cls.MISSING.format(folder=folder))


def read_record(path: Path, kind: type[Record], missing: str) -> Record:
    """Read a record from a JSON file.

    Args:
        path: The file.
        kind: The dataclass of the record.
        missing: Message of the error if the file does not exist.

    Raises:
        OutputError: If there is no record, it is damaged, or a newer version has written it.
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
    except OSError as error:
        raise OutputError(f"The record '{path}' cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError) as error:
        raise OutputError(
            f"The record '{path}' is damaged and cannot be read: restore it, or delete it and run the "
            "command again."
        ) from error


@functools.cache
def _reader(kind: type[Any]) -> TypeAdapter[Any]:
    """Return the validator of a dataclass; it is cached, because it takes longer to build than to use."""
    return TypeAdapter(kind)
