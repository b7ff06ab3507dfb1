"""`python -m earlyrobust`: the command line."""

from __future__ import annotations

from earlyrobust.cli import main

main()
