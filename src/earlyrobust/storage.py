"""The places of files, and functions that write files so that readers never see them incomplete."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import filelock

from earlyrobust.errors import OutputError

# Prefix of the names of incomplete files.
TEMPORARY = ".earlyrobust-"
# In seconds. A process that writes into the cache finishes within a day.
A_DAY = 86_400.0
# The file whose lock a process holds while it works in a folder.
_LOCK = f"{TEMPORARY}lock"
# File systems allow 255 bytes, and the temporary files beside a folder have longer names than the folder.
_LONGEST_NAME = 200
_MOST_SHOWN = 80
_PROBE = "probe"


def cache_folder(kind: str, cache: Path | None = None) -> Path:
    """Return the folder for files that the package can make or fetch again.

    Args:
        kind: The kind of files: the name of a subfolder.
        cache: The cache; if None, `$EARLYROBUST_CACHE` or else `~/.cache/earlyrobust`.
    """
    default = os.environ.get("EARLYROBUST_CACHE") or "~/.cache/earlyrobust"
    return (cache or Path(default)).expanduser() / kind


def content_of(folder: Path) -> list[Path]:
    """Return the content of a folder without incomplete files; an empty list if there is no folder.

    Raises:
        OutputError: If the path is no folder, or the folder cannot be read.
    """
    try:
        return [path for path in folder.iterdir() if not _is_leftover(path)] if folder.exists() else []
    except OSError as error:
        raise OutputError(f"'{folder}' cannot be used: {error.strerror}.") from error


def check_can_be_made(folder: Path) -> None:
    """Check that a folder exists or can be created, and can be written to.

    Raises:
        OutputError: If the folder cannot be used.
    """
    _check_name(folder)
    try:
        nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    except OSError as error:
        raise OutputError(
            f"'{_shortened(folder)}' cannot be made ({error.strerror}): choose another name."
        ) from error
    if not (nearest.is_dir() and os.access(nearest, os.W_OK)):
        raise OutputError(f"'{folder}' cannot be made: '{nearest}' is not a folder that can be written to.")


def _check_name(folder: Path) -> None:
    """Refuse a name that no file can have, or that leaves no room for the names of temporary files."""
    if "\0" in str(folder):
        raise OutputError(f"{_shortened(folder)!r} holds a null character: choose another name.")
    if len(os.fsencode(folder.name)) > _LONGEST_NAME:
        raise OutputError(
            f"The name '{_shortened(folder)}' is too long: choose one of at most {_LONGEST_NAME} bytes."
        )


def _shortened(path: Path) -> str:
    shown = str(path)
    return shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}…"


@contextmanager
def locked(folder: Path, *, beside: bool = False) -> Iterator[None]:
    """Lock a folder against other commands while the context lasts.

    Args:
        folder: The folder. It is created if it does not exist.
        beside: Whether the lock file is beside the folder, so that the folder itself is not created. Use this
            if `write_folder` creates the folder.

    Raises:
        OutputError: If another command works in the folder, or it cannot be written to.
    """
    file = folder.with_name(f"{_LOCK}.{folder.name}") if beside else folder / _LOCK
    lock = filelock.FileLock(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        if not file.exists():  # some systems report a file that cannot be created as a locked one
            raise OutputError(f"'{folder}' cannot be written to.") from error
        raise OutputError(
            f"Another command is at work in '{folder}': wait until it has ended, or choose another --output."
        ) from error
    except OSError as error:
        raise OutputError(f"'{folder}' cannot be written to: {error.strerror}.") from error
    try:
        yield
    finally:
        with suppress(OSError):  # some systems do not remove an open file
            file.unlink()
        lock.release()


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then move it into place in one step.

    Args:
        path: The path of the file. Its folder is created if it does not exist.
        write: Receives the temporary path, and writes the whole content there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{path.name}.{secrets.token_hex(8)}{path.suffix}")
    mode = _touch(temporary)
    try:
        write(temporary)
        temporary.chmod(mode)
        _flush(temporary)
        temporary.replace(path)
        _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_folder(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary folder beside `path`, then move it into place in one step.

    Args:
        path: The path of the folder. It may exist already if it is empty.
        write: Receives the temporary path, and writes the whole content there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, of=f"{path.name}.")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{TEMPORARY}{path.name}.") as scratch:
        made = Path(scratch) / path.name
        made.mkdir()
        write(made)
        mode = _touch(Path(scratch) / _PROBE)
        for file in made.rglob("*"):
            if file.is_file():
                file.chmod(mode)
        flush_folder(made)
        made.replace(path)
        _flush(path.parent)


def _touch(path: Path) -> int:
    """Create an empty file, and return the permissions that the user's umask gives it.

    Libraries that write a temporary file and rename it make it readable only for its owner. A program can
    read the umask only by changing it, for all threads.
    """
    path.touch(0o666, exist_ok=False)
    return stat.S_IMODE(path.stat().st_mode)


def remove_leftovers(folder: Path, *, of: str = "", within: bool = False, age: float = 0) -> None:
    """Remove the incomplete files in a folder that killed processes have left.

    Args:
        folder: The folder. No other process works in it, unless an age is given.
        of: Beginning of the names of the files that were written.
        within: Whether to look into its subfolders, too.
        age: Keep files that were changed less than this number of seconds ago.
    """
    find = folder.rglob if within else folder.glob
    for path in list(find(f"{TEMPORARY}{glob.escape(of)}*")):
        if age and _age(path) < age:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif not path.name.startswith(_LOCK):
            path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:  # the file is gone, because its writer has finished
        return 0


def _is_leftover(path: Path) -> bool:
    """Return whether a path is an incomplete file."""
    return path.name.startswith(TEMPORARY)


def flush_folder(folder: Path) -> None:
    """Write all files of a folder to the disk.

    Without this, a record of these files may survive a power cut that the files do not survive.
    """
    for path in (*folder.rglob("*"), folder):
        _flush(path)


def _flush(path: Path) -> None:
    """Write a file's content, or the names in a folder, to the disk."""
    is_folder = path.is_dir()
    with suppress(OSError) if is_folder else nullcontext():  # not all systems can open folders
        handle = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, atomically; NaN and infinity raise a `ValueError`."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # Lone surrogates, which UTF-8 cannot encode, become JSON's escapes.
    write_atomically(path, lambda temporary: temporary.write_bytes(text.encode("utf-8", "backslashreplace")))
