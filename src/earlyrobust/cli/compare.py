"""`earlyrobust compare`: compares methods under one budget and several seeds."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import typer

from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import CONFIG, NO_ATTACK, takes, with_attack
from earlyrobust.options.comparison import CompareConfig


@takes(CONFIG, CompareConfig.flags(without=("method",)), NO_ATTACK)
def compare(config: Path | None, no_attack: bool, **flags: Any) -> None:
    """Compare methods on one data set, with equal batches, epochs, precision and attacked examples.

    Every cell of the grid is a run of its own. The same command continues an interrupted comparison, and can
    add methods and seeds. It ends with exit code 1 if a cell failed.
    """
    resolved = CompareConfig.build(with_attack(flags, no_attack), config, suffix="-compare")
    announce()
    from earlyrobust.cli.display import Display  # imports PyTorch, so options are checked first

    with Display(resolved.output_folder) as display:
        from earlyrobust import experiments
        from earlyrobust.cli.summaries import show_comparison
        from earlyrobust.reports.pages import render_report

        comparison = experiments.compare(resolved, display, command=command_line())
        render_report(resolved.output_folder)
        show_comparison(display, comparison, resolved.output_folder)
        if not comparison.is_whole:
            raise typer.Exit(1)


def command_line() -> str:
    """Return the running command, as a user would type it."""
    return shlex.join(["earlyrobust", *sys.argv[1:]])
