"""`earlyrobust finetune`: train a ticket that was found before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from earlyrobust.cli.options import DATA, FINETUNING, RUN, TRAINING, takes


@takes(RUN, DATA, TRAINING, FINETUNING)
def finetune(
    ticket: Annotated[Path, typer.Option(help="Folder of a ticket, a run, or a cut model.")],
    config: Path | None,
    **flags: Any,
) -> None:
    """Cut the encoder by a ticket, also one of another task or seed, then fine-tune and evaluate it."""
    from earlyrobust.pipeline.config import RunConfig

    resolved = RunConfig.build(flags, config, suffix="-finetune")
    from earlyrobust.cli.display import Display  # brings PyTorch: options are checked first

    with Display(resolved.output_folder) as display:
        from earlyrobust import pipeline
        from earlyrobust.reports.plots import draw_pictures

        record = pipeline.finetune(resolved, ticket, display)
        draw_pictures(record, resolved.output_folder)
        display.summarise(record)
