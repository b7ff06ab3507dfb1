"""The process of the command line: `python -m earlyrobust`, and the installed script."""

from __future__ import annotations

import atexit
import os
import sys

# Packages that only the command line needs.
_OF_CLI = ("typer", "rich", "jinja2", "matplotlib")
# PyTorch and oneDNN each cache objects for every shape of input, by default 1,024 of a kind. Attacks use ever
# new shapes, so the default caches would take hundreds of megabytes. A training needs some ten objects for
# each length of text.
_REMEMBERED = {"LRU_CACHE_CAPACITY": "256", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256"}


def start() -> None:
    """Run the command line, and end the process at once when it is done.

    Python would clear all imported modules at exit. After an import of PyTorch this takes seconds, which is
    too long for a user who pressed Ctrl-C. The exit functions of libraries run before.
    """
    codes: list[int] = []
    # This is registered before any library is imported, because the function that is registered first runs
    # last.
    atexit.register(_end, codes)
    for name, shapes in _REMEMBERED.items():  # PyTorch reads these variables when it is loaded
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
        return  # The reader has closed the pipe; Python's own exit has a message and a code for that.
    os._exit(codes[0])


if __name__ == "__main__":
    start()
