"""`earlyrobust compare`: methods side by side, under one budget and several seeds."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import typer

from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import (
    ATTACK,
    ATTACK_OF_RUN,
    DATA,
    FINETUNING,
    GRID,
    RUN,
    SEARCH,
    TRAINING,
    takes,
    with_attack,
)

_SHARED = {name: kind for name, kind in SEARCH.items() if name != "method"}


@takes(RUN, GRID, DATA, TRAINING, FINETUNING, _SHARED, ATTACK, ATTACK_OF_RUN)
def compare(config: Path | None, no_attack: bool, **flags: Any) -> None:
    """Compare methods: the same data, batches, epochs, precision and attacked examples for all.

    Every cell of the grid is a run of its own. The same command goes on where it was interrupted; further
    methods and seeds can be added. Ends with exit code 1 if a cell failed.
    """
    from earlyrobust.experiments.config import CompareConfig

    resolved = CompareConfig.build(with_attack(flags, no_attack), config, suffix="-compare")
    announce()
    from earlyrobust.cli.display import Display  # brings PyTorch: options are checked first

    with Display(resolved.output_folder) as display:
        from earlyrobust import experiments
        from earlyrobust.reports.pages import draw_report

        comparison = experiments.compare(resolved, display, command=command_line())
        draw_report(resolved.output_folder)
        display.summarise_comparison(comparison, resolved.output_folder)
        if not comparison.is_whole:
            raise typer.Exit(1)


def command_line() -> str:
    """The command that is running, as one would type it."""
    return shlex.join(["earlyrobust", *sys.argv[1:]])
