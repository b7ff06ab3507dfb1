"""The options that commands share. What an option means is said here once; its default in `RunConfig`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_DATA, _TRAINING, _TICKET, _SEARCH = "Data", "Training", "Ticket", "Search"


def _default(text: str, panel: str, help_: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(help=help_, show_default=text, rich_help_panel=panel)
    return option


Model = Annotated[
    str | None,
    _default(
        "minilm", _TRAINING, "Encoder: 'minilm' (embedded), a folder, or a name on the Hugging Face hub."
    ),
]
Config = Annotated[Path | None, typer.Option(help="YAML file of options, named as the flags are; flags win.")]
Output = Annotated[Path | None, typer.Option(help="Folder of the run.", show_default="runs/<task>")]
Seed = Annotated[int | None, _default("0", _TRAINING, "Seed of everything random.")]

Task = Annotated[str | None, _default("builtin", _DATA, "A task: see `earlyrobust list`.")]
DataDir = Annotated[
    Path | None,
    _default("the hub", _DATA, "Folder of Parquet files to read the task from: <task>/train.parquet."),
]
TrainSamples = Annotated[
    int | None, _default("all", _DATA, "Training examples to draw, keeping class shares.")
]
TrainFile = Annotated[
    Path | None, typer.Option(help="Your own CSV, TSV, JSONL or Parquet.", rich_help_panel=_DATA)
]
TestFile = Annotated[
    Path | None, _default("10 % of the training file", _DATA, "Your own test data, in the same columns.")
]
TextColumn = Annotated[str | None, _default("text", _DATA, "Column of the text in your files.")]
PairColumn = Annotated[
    str | None, typer.Option(help="Column of the second text, for pairs.", rich_help_panel=_DATA)
]
LabelColumn = Annotated[str | None, _default("label", _DATA, "Column of the label, a number or a word.")]
MaxLength = Annotated[int | None, _default("by task", _DATA, "Longest text in tokens.")]

Epochs = Annotated[float | None, _default("by task", _TRAINING, "Epochs of fine-tuning.")]
BatchSize = Annotated[int | None, _default("16", _TRAINING, "Examples per optimiser step.")]
LearningRate = Annotated[float | None, _default("5e-5", _TRAINING, "Peak learning rate.")]
Bf16 = Annotated[bool | None, _default("no", _TRAINING, "Compute in bfloat16 where that is safe.")]

Heads = Annotated[float | None, _default("1/6", _TICKET, "Share of all attention heads to cut.")]
Neurons = Annotated[float | None, _default("by task", _TICKET, "Share of all FFN neurons to cut.")]
HeadPenalty = Annotated[float | None, _default("1e-5", _SEARCH, "L1 weight of the heads' coefficients.")]
NeuronPenalty = Annotated[float | None, _default("2e-4", _SEARCH, "L1 weight of the neurons' coefficients.")]
Gamma = Annotated[float | None, _default("0.1", _SEARCH, "Mask distance below which masks count as settled.")]
Patience = Annotated[int | None, _default("5", _SEARCH, "Miniepochs in a row for which they must be.")]
Miniepoch = Annotated[float | None, _default("0.05", _SEARCH, "Length of a miniepoch in epochs.")]
MiniepochMinSteps = Annotated[int | None, _default("20", _SEARCH, "Fewest optimiser steps of a miniepoch.")]
SearchEpochs = Annotated[float | None, _default("1", _SEARCH, "Epochs after which the search stops anyway.")]
AdversarySteps = Annotated[int | None, _default("5", _SEARCH, "K, passes of FreeLB in each step.")]
AdversaryStepSize = Annotated[float | None, _default("0.01", _SEARCH, "Length of its ascent's steps.")]
AdversaryMagnitude = Annotated[float | None, _default("0.05", _SEARCH, "Magnitude of its random start.")]
