"""`earlyrobust finetune`: train a ticket that was found before."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earlyrobust.cli import options as o


def finetune(
    ticket: Annotated[
        Path, typer.Option(help="Folder of a ticket, a run, or a cut model.", show_default=False)
    ],
    config: o.Config = None,
    output: o.Output = None,
    task: o.Task = None,
    data_dir: o.DataDir = None,
    train_samples: o.TrainSamples = None,
    train_file: o.TrainFile = None,
    test_file: o.TestFile = None,
    text_column: o.TextColumn = None,
    pair_column: o.PairColumn = None,
    label_column: o.LabelColumn = None,
    max_length: o.MaxLength = None,
    model: o.Model = None,
    epochs: o.Epochs = None,
    batch_size: o.BatchSize = None,
    learning_rate: o.LearningRate = None,
    bf16: o.Bf16 = None,
    seed: o.Seed = None,
) -> None:
    """Cut the encoder by a ticket, also one of another task or seed, then fine-tune and evaluate it."""
    flags = {name: value for name, value in locals().items() if name not in ("config", "ticket")}
    from earlyrobust.cli.display import Display
    from earlyrobust.pipeline.config import RunConfig

    resolved = RunConfig.build(flags, config)
    with Display(resolved.output_folder) as display:
        from earlyrobust import pipeline
        from earlyrobust.reports.plots import draw_pictures

        record = pipeline.finetune(resolved, ticket, display)
        draw_pictures(record, resolved.output_folder)
        display.summarise(record)
