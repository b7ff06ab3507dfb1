"""`earlyrobust replay`: tests a classifier on the texts that broke another one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import Model, expanded, only, takes
from earlyrobust.options.test_data import TestData


@takes(only(TestData.flags(), "labels", "max_length"))
def replay(
    journal: Annotated[
        Path,
        typer.Argument(
            help="Journal of an attack on another classifier, or a CSV log of TextAttack.", callback=expanded
        ),
    ],
    model: Model,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the record, replay.json.", show_default="no record", callback=expanded),
    ] = None,
    **flags: Any,
) -> None:
    """Count how many of the texts that broke another classifier break this one, too."""
    announce()
    from earlyrobust.cli.display import Display  # imports PyTorch, so options are checked first

    with Display() as display:
        from earlyrobust import judging
        from earlyrobust.cli.summaries import show_replay

        report = judging.replay(journal, model, output=output, observer=display, **flags)
        show_replay(display, report)
