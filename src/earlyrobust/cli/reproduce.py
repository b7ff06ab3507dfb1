"""`earlyrobust reproduce`: reproduces the tables and figures of the paper."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from earlyrobust.cli.compare import command_line
from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import expanded, only, takes
from earlyrobust.options.comparison import CompareConfig

# The options of an experiment that the user can set: places of data and resources, and hardware.
_OWN = (
    *("data_dir", "model", "bf16", "seeds", "launcher", "cell_cpus", "cell_gpus"),
    *("neighbours", "sentence_encoder", "masked_lm", "nltk_data", "token_budget"),
)
_FLAGS = only(CompareConfig.flags(), *_OWN)
# The scale decides about these options unless the user does.
_FLAGS |= {
    name: (kind, replace(described, shown="by scale"))
    for name, (kind, described) in _FLAGS.items()
    if name in ("model", "bf16", "seeds")
}


class ScaleName(StrEnum):
    """The scales of experiments."""

    smoke = "smoke"
    cpu = "cpu"
    paper = "paper"


@takes(_FLAGS)
def reproduce(
    name: Annotated[str, typer.Argument(help="A table or figure: see `earlyrobust list experiments`.")],
    scale: Annotated[ScaleName, typer.Option(help="Size: see `earlyrobust list experiments`.")],
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder of all experiments at this scale.",
            show_default="runs/reproduce-SCALE",
            callback=expanded,
        ),
    ] = None,
    **flags: Any,
) -> None:
    """Reproduce a table or figure of the paper.

    Experiments at the same scale share their common runs. The same command continues an interrupted
    experiment. It ends with exit code 1 if a run failed.
    """
    from earlyrobust.experiments.reproduction import plan_experiment

    given = {option: value for option, value in flags.items() if value is not None}
    record, folder, comparisons = plan_experiment(name, scale.value, given, output)
    announce()
    from earlyrobust.cli.display import Display  # imports PyTorch, so options are checked first

    with Display(folder) as display:
        from earlyrobust import experiments
        from earlyrobust.cli.summaries import show_comparison
        from earlyrobust.reports.pages import render_report

        whole = True
        record = replace(record, command=command_line())
        for comparison in experiments.reproduce(record, folder, comparisons, display):
            whole = whole and comparison.is_whole
            render_report(folder)
            show_comparison(display, comparison, folder)
        if not whole:
            raise typer.Exit(1)
