"""Where files are kept, and writing them so that a reader sees the whole of them or nothing."""

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

# Begins the names of files that are not whole yet.
TEMPORARY = ".earlyrobust-"
# Whoever writes into the cache is done within a day.
A_DAY = 86_400.0
# Held by the process that is at work in a folder.
_LOCK = f"{TEMPORARY}lock"
# File systems allow 255 bytes, and what we write beside a folder while it is not whole has a longer name.
_LONGEST_NAME = 200
_MOST_SHOWN = 80
_PROBE = "probe"


def cache_folder(kind: str, cache: Path | None = None) -> Path:
    """Where the package keeps what it can make or fetch again.

    Args:
        kind: What is kept there: the name of a subfolder.
        cache: The cache; if None, `$EARLYROBUST_CACHE` or else `~/.cache/earlyrobust`.
    """
    default = os.environ.get("EARLYROBUST_CACHE") or "~/.cache/earlyrobust"
    return (cache or Path(default)).expanduser() / kind


def content_of(folder: Path) -> list[Path]:
    """What is in a folder, without files whose writing was interrupted; nothing if there is no folder.

    Raises:
        OutputError: If it is no folder, or cannot be looked into.
    """
    try:
        return [path for path in folder.iterdir() if not _is_leftover(path)] if folder.exists() else []
    except OSError as error:
        raise OutputError(f"'{folder}' cannot be used: {error.strerror}.") from error


def check_can_be_made(folder: Path) -> None:
    """Check that a folder is there or can be made, and can be written to.

    Raises:
        OutputError: If not.
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
    """Refuse a name that no file has, or that leaves no room for temporary and lock files beside it."""
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
    """Keep other commands out of a folder while the context lasts.

    Args:
        folder: The folder, which is made where it is missing.
        beside: Whether to lock it from beside, without making it, because `write_folder` will.

    Raises:
        OutputError: If another command is at work in it, or it cannot be written to.
    """
    file = folder.with_name(f"{_LOCK}.{folder.name}") if beside else folder / _LOCK
    lock = filelock.FileLock(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout as error:
        if not file.exists():  # some systems refuse to make it as they refuse what another holds
            raise OutputError(f"'{folder}' cannot be written to.") from error
        raise OutputError(
            f"Another command is at work in '{folder}': wait until it has ended, or choose another --output."
        ) from error
    except OSError as error:
        raise OutputError(f"'{folder}' cannot be written to: {error.strerror}.") from error
    try:
        yield
    finally:
        with suppress(OSError):  # some systems keep the name of a file that is open
            file.unlink()
        lock.release()


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` fill a temporary file beside `path`, then put it in place in one step.

    Args:
        path: Where the file shall stand; its folder is made where it is missing.
        write: Called with the temporary path; writes the whole content there.
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
    """Have `write` fill a temporary folder beside `path`, then put it in place in one step.

    Args:
        path: Where the folder shall stand; it may be there already if it is empty.
        write: Called with the temporary path; writes the whole content there.
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
    """Make an empty file and return the permissions that the user's umask gives it.

    Libraries that write a file of their own and rename it leave one for its owner alone. To ask for the umask
    itself one has to change it, for all threads.
    """
    path.touch(0o666, exist_ok=False)
    return stat.S_IMODE(path.stat().st_mode)


def remove_leftovers(folder: Path, *, of: str = "", within: bool = False, age: float = 0) -> None:
    """Remove what was being written in a folder by processes that were killed.

    Args:
        folder: One in which no other process is at work, unless an age is given.
        of: How the names of what was written begin.
        within: Whether to look into the folders within it, too.
        age: Leave alone what was written to within so many seconds.
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
    except OSError:  # gone: its writer is done
        return 0


def _is_leftover(path: Path) -> bool:
    """Whether a file was being written when the process was killed."""
    return path.name.startswith(TEMPORARY)


def flush_folder(folder: Path) -> None:
    """Have all that a folder holds on the disk: a note that says so may outlive a power cut without it."""
    for path in (*folder.rglob("*"), folder):
        _flush(path)


def _flush(path: Path) -> None:
    """Have a file's content, or the names in a folder, on the disk."""
    is_folder = path.is_dir()
    with suppress(OSError) if is_folder else nullcontext():  # not all systems let folders be opened
        handle = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, atomically; NaN and infinity are refused."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # Halves of surrogate pairs, which UTF-8 has not, become the escapes that JSON has for them.
    write_atomically(path, lambda temporary: temporary.write_bytes(text.encode("utf-8", "backslashreplace")))
