"""`earlyrobust run`: searches a ticket, trains the cut model, and evaluates it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from earlyrobust import processes
from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import CONFIG, NO_ATTACK, takes, with_attack
from earlyrobust.options.run import RunConfig


@takes(CONFIG, RunConfig.flags(), NO_ATTACK)
def run(config: Path | None, no_attack: bool, **flags: Any) -> None:
    """Search a ticket, cut the encoder, train the cut encoder, and compare it with the dense encoder.

    Without options it runs on the embedded encoder and the built-in corpus. The same command continues an
    interrupted run.
    """
    resolved = RunConfig.build(with_attack(flags, no_attack), config)
    announce()
    from earlyrobust.cli.display import Display  # imports PyTorch, so options are checked first

    with Display(resolved.output_folder) as display:
        from earlyrobust import pipeline
        from earlyrobust.cli.summaries import show_run
        from earlyrobust.pipeline.recipe import note_idle_options
        from earlyrobust.reports.run_folder import render_run

        note_idle_options(resolved, display)
        record = pipeline.run(resolved, display)
        if processes.is_first():
            render_run(resolved.output_folder)
        show_run(display, record, resolved.output_folder)
