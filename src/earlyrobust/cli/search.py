"""`earlyrobust search`: searches a ticket, without training it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import CONFIG, takes
from earlyrobust.options.run import RunConfig


@takes(CONFIG, RunConfig.flags(("Run", "Data", "Training", "Ticket", "Search")))
def search(config: Path | None, **flags: Any) -> None:
    """Search a ticket and save it, for `earlyrobust finetune`."""
    resolved = RunConfig.build(flags, config, suffix="-ticket")
    announce()
    from earlyrobust.cli.display import Display  # imports PyTorch, so options are checked first

    with Display(resolved.output_folder) as display:
        from earlyrobust import pipeline
        from earlyrobust.cli.summaries import show_ticket
        from earlyrobust.pipeline.recipe import Recipe, note_idle_options

        note_idle_options(resolved, display, Recipe.for_search(resolved))
        show_ticket(display, pipeline.search(resolved, display), resolved.output_folder)
