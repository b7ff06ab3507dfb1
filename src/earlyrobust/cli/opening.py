"""The first line that a command prints, before it loads PyTorch."""

from __future__ import annotations

import sys

from earlyrobust import processes


def announce(*, aside: bool = False) -> None:
    """Print that the command has begun: its options are valid, and PyTorch is loaded next.

    Args:
        aside: Whether the line goes to standard error, because standard output is for the record.
    """
    if processes.is_first():
        (sys.stderr if aside else sys.stdout).write("Loading PyTorch and transformers ...\n")
        (sys.stderr if aside else sys.stdout).flush()
