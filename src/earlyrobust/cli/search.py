"""`earlyrobust search`: only find a ticket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import DATA, RUN, SEARCH, TRAINING, takes


@takes(RUN, DATA, TRAINING, SEARCH)
def search(config: Path | None, **flags: Any) -> None:
    """Search a robust ticket and save it, for `earlyrobust finetune`."""
    from earlyrobust.pipeline.config import RunConfig

    resolved = RunConfig.build(flags, config, suffix="-ticket")
    announce()
    from earlyrobust.cli.display import Display  # brings PyTorch: options are checked first

    with Display(resolved.output_folder) as display:
        from earlyrobust import pipeline
        from earlyrobust.pipeline.recipe import note_idle_options

        note_idle_options(resolved, display)
        display.summarise_ticket(pipeline.search(resolved, display))
