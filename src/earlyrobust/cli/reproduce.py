"""`earlyrobust reproduce`: the tables and figures of the paper."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from earlyrobust.cli.compare import command_line
from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import ATTACK, DATA, GRID, TRAINING, takes

# What an experiment leaves to its user: where things are, and what runs them.
_OWN = {
    "data_dir": DATA["data_dir"],
    **{name: TRAINING[name] for name in ("model", "bf16")},
    **{name: kind for name, kind in GRID.items() if name not in ("methods", "baseline", "cells")},
    **{
        name: ATTACK[name]
        for name in ("neighbours", "sentence_encoder", "masked_lm", "nltk_data", "token_budget")
    },
}


class ScaleName(StrEnum):
    """How large an experiment is."""

    smoke = "smoke"
    cpu = "cpu"
    paper = "paper"


@takes(_OWN)
def reproduce(
    name: Annotated[str, typer.Argument(help="A table or figure: see `earlyrobust list experiments`.")],
    scale: Annotated[ScaleName, typer.Option(help="How large: see `earlyrobust list experiments`.")],
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of all experiments at this scale.", show_default="runs/reproduce-SCALE"),
    ] = None,
    **flags: Any,
) -> None:
    """Reproduce a table or figure of the paper.

    Experiments at the same scale share the runs that they have in common. The same command goes on where it
    was interrupted. Ends with exit code 1 if a run failed.
    """
    from earlyrobust.experiments.reproduction import plan_experiment

    given = {option: value for option, value in flags.items() if value is not None}
    record, folder, comparisons = plan_experiment(name, scale.value, given, output)
    announce()
    from earlyrobust.cli.display import Display  # brings PyTorch: options are checked first

    with Display(folder) as display:
        from earlyrobust import experiments
        from earlyrobust.reports.pages import draw_report

        whole = True
        record = replace(record, command=command_line())
        for comparison in experiments.reproduce(record, folder, comparisons, display):
            whole = whole and comparison.is_whole
            draw_report(folder)
            display.summarise_comparison(comparison, folder)
        if not whole:
            raise typer.Exit(1)
