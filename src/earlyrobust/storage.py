"""Where files are kept, and writing them so that a reader sees the whole of them or nothing."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


def cache_folder(kind: str, cache: Path | None = None) -> Path:
    """Where the package keeps what it can make or fetch again.

    Args:
        kind: What is kept there: the name of a subfolder.
        cache: The cache; if None, `$EARLYROBUST_CACHE` or else `~/.cache/earlyrobust`.
    """
    default = os.environ.get("EARLYROBUST_CACHE") or "~/.cache/earlyrobust"
    return (cache or Path(default)).expanduser() / kind


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` fill a temporary file beside `path`, then put it in place in one step.

    Args:
        path: Where the file shall stand; its folder is made where it is missing.
        write: Called with the temporary path; writes the whole content there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        # mkstemp makes files for the owner alone; what we put in place follows the user's umask.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, atomically; NaN and infinity are refused."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
