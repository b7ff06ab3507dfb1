"""`earlyrobust finetune`: trains an existing ticket."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from earlyrobust import processes
from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import CONFIG, NO_ATTACK, expanded, takes, with_attack
from earlyrobust.options.base import Panel
from earlyrobust.options.run import RunConfig

_PANELS: tuple[Panel, ...] = ("Run", "Data", "Training", "Fine-tuning", "Attack")


@takes(CONFIG, RunConfig.flags(_PANELS, without=("method", "dense")), NO_ATTACK)
def finetune(
    ticket: Annotated[
        Path, typer.Option(help="Folder of a ticket, a run, or a cut model.", callback=expanded)
    ],
    config: Path | None,
    no_attack: bool,
    **flags: Any,
) -> None:
    """Cut the encoder by a ticket, even of another task or seed, then fine-tune and evaluate it."""
    resolved = RunConfig.build(with_attack(flags, no_attack), config, suffix="-finetune")
    announce()
    from earlyrobust.cli.display import Display  # imports PyTorch, so options are checked first

    with Display(resolved.output_folder) as display:
        from earlyrobust import pipeline
        from earlyrobust.cli.summaries import show_run
        from earlyrobust.reports.run_folder import render_run

        record = pipeline.finetune(resolved, ticket, display)
        if processes.is_first():
            render_run(resolved.output_folder)
        show_run(display, record, resolved.output_folder)
