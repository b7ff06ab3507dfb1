"""What can happen to the two files of a ticket, whatever kind of ticket it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def file_damages(json_name: str, tensors_name: str) -> dict[str, Callable[[Path], object]]:
    """Damages by name; each is done to a folder that holds a ticket."""

    def as_json(content: bytes) -> Callable[[Path], object]:
        return lambda folder: (folder / json_name).write_bytes(content)

    return {
        "no folder": lambda folder: [path.unlink() for path in folder.iterdir()] and folder.rmdir(),
        "no json": lambda folder: (folder / json_name).unlink(),
        "no tensors": lambda folder: (folder / tensors_name).unlink(),
        "json is a folder": lambda folder: (folder / json_name).unlink() or (folder / json_name).mkdir(),
        "empty json": as_json(b""),
        "half a json": as_json(b'{"format_version": 1,'),
        "a list": as_json(b"[]"),
        "a number": as_json(b"1"),
        "null": as_json(b"null"),
        "deep": as_json(b"[" * 100_000),
        "not utf-8": as_json(b'{"model_type": "\xff"}'),
        "empty tensors": lambda folder: (folder / tensors_name).write_bytes(b""),
        "half the tensors": lambda folder: (folder / tensors_name).write_bytes(
            (folder / tensors_name).read_bytes()[:-1]
        ),
    }
