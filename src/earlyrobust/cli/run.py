"""`earlyrobust run`: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from earlyrobust.cli.options import DATA, FINETUNING, RUN, SEARCH, TRAINING, takes


@takes(RUN, DATA, TRAINING, FINETUNING, SEARCH)
def run(config: Path | None, **flags: Any) -> None:
    """Search a robust ticket, cut the encoder, fine-tune it, and compare it with the dense one.

    Without options it runs on the embedded encoder and the built-in corpus. The same command continues an
    interrupted run.
    """
    from earlyrobust.pipeline.config import RunConfig

    resolved = RunConfig.build(flags, config)
    from earlyrobust.cli.display import Display  # brings PyTorch: options are checked first

    with Display(resolved.output_folder) as display:
        from earlyrobust import pipeline
        from earlyrobust.reports.plots import draw_pictures

        record = pipeline.run(resolved, display)
        draw_pictures(record, resolved.output_folder)
        display.summarise(record)
