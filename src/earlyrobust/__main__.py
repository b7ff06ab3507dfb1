"""The command line as a process of its own: `python -m earlyrobust`, and the script that is installed."""

from __future__ import annotations

import atexit
import os
import sys

# Packages that only the command line needs.
_OF_CLI = ("typer", "rich", "jinja2", "matplotlib")
# PyTorch and oneDNN each remember what was made for a shape of input. Attacks ask in ever new shapes, and
# what both remember unless told otherwise, 1,024 of a kind, comes to hundreds of megabytes.
_REMEMBERED = {"LRU_CACHE_CAPACITY": "64", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "64"}


def start() -> None:
    """Run the command line, and end the process at once when it is done.

    Python would take apart all that was imported, which takes seconds after PyTorch: too long for someone who
    pressed Ctrl-C. Whatever libraries do at exit is done before.
    """
    codes: list[int] = []
    # Before any import of theirs, because what is registered first is called last.
    atexit.register(_end, codes)
    for name, shapes in _REMEMBERED.items():  # read when PyTorch is loaded
        os.environ.setdefault(name, shapes)
    try:
        from earlyrobust.cli import main
    except ModuleNotFoundError as error:
        if error.name not in _OF_CLI:
            raise
        sys.stderr.write(f"Error: The command needs {error.name}: pip install 'earlyrobust[cli]'.\n")
        codes.append(2)
        raise SystemExit(2) from error
    try:
        main()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            codes.append(end.code or 0)
        raise


def _end(codes: list[int]) -> None:
    if not codes:
        return
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        return  # Nobody reads any more, for which Python has a message and a code.
    os._exit(codes[0])


if __name__ == "__main__":
    start()
