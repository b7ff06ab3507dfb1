"""The two files of a ticket: one of what a person would read, in JSON, and one of its arrays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from earlyrobust.errors import TicketError
from earlyrobust.storage import write_atomically, write_json

T = TypeVar("T")


def save_files(
    folder: Path, names: tuple[str, str], content: dict[str, Any], tensors: dict[str, NDArray[Any]]
) -> None:
    """Write both files; the folder is made where it is missing, other files in it are left alone.

    Args:
        folder: Where they go.
        names: Of the JSON file and of the file of arrays.
        content: What the JSON file holds, its `format_version` included.
        tensors: What the other one holds.
    """
    from safetensors.numpy import save_file

    def write(path: Path) -> None:
        write_json(path, content)
        write_atomically(folder / names[1], lambda path: save_file(tensors, path))

    # Both files are complete before either is put in place, and the JSON file comes last: a folder without it
    # holds no ticket.
    write_atomically(folder / names[0], write)


def load_files(
    folder: Path,
    names: tuple[str, str],
    version: int,
    build: Callable[[dict[str, Any], dict[str, NDArray[Any]]], T],
    kind: str = "ticket",
) -> T:
    """Read both files.

    Args:
        folder: Where they are.
        names: Of the JSON file and of the file of arrays.
        version: The newest format that can be read.
        build: Makes the ticket of both contents; whatever it raises means that they are damaged.
        kind: What messages call the ticket.

    Raises:
        TicketError: If there is no ticket, or its files are damaged or of a newer format.
    """
    from safetensors.numpy import load_file

    for name in names:
        if not (folder / name).is_file():
            raise TicketError(f"There is no {kind} in '{folder}': {name} is missing.")
    try:
        content = json.loads((folder / names[0]).read_text(encoding="utf-8"))
        newer = content["format_version"] > version
        json.dumps(content, allow_nan=False)  # it is written again wherever the ticket goes
        ticket = None if newer else build(content, load_file(folder / names[1]))
    except Exception as error:  # whatever a damaged file makes its reader raise
        raise TicketError(f"The ticket in '{folder}' is damaged and cannot be read.") from error
    if ticket is None:
        raise TicketError(
            f"The ticket in '{folder}' has format {content['format_version']}, newer than the {version} that "
            "this version reads: update earlyrobust."
        )
    return ticket
