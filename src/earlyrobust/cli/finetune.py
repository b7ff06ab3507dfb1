"""`earlyrobust finetune`: train a ticket that was found before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from earlyrobust import processes
from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import ATTACK, ATTACK_OF_RUN, DATA, FINETUNING, RUN, TRAINING, takes, with_attack


@takes(RUN, DATA, TRAINING, FINETUNING, ATTACK, ATTACK_OF_RUN)
def finetune(
    ticket: Annotated[Path, typer.Option(help="Folder of a ticket, a run, or a cut model.")],
    config: Path | None,
    no_attack: bool,
    **flags: Any,
) -> None:
    """Cut the encoder by a ticket, also one of another task or seed, then fine-tune and evaluate it."""
    from earlyrobust.pipeline.config import RunConfig

    resolved = RunConfig.build(with_attack(flags, no_attack), config, suffix="-finetune")
    announce()
    from earlyrobust.cli.display import Display  # brings PyTorch: options are checked first

    with Display(resolved.output_folder) as display:
        from earlyrobust import pipeline
        from earlyrobust.reports.run_folder import draw_run

        record = pipeline.finetune(resolved, ticket, display)
        if processes.is_first():
            draw_run(resolved.output_folder)
        display.summarise(record)
