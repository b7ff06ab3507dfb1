"""`earlyrobust predict`: classifies the texts of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import Model, expanded, only, takes
from earlyrobust.cli.outcome import AsJson, print_record
from earlyrobust.options.attack import AttackOptions
from earlyrobust.options.test_data import TestData

_READING = ("text_column", "pair_column", "quotes", "delimiter", "encoding", "max_length")


@takes(only(TestData.flags(), *_READING))
def predict(
    model: Model,
    file: Annotated[
        Path, typer.Argument(help="File of texts: CSV, TSV, JSONL or Parquet.", callback=expanded)
    ],
    output: Annotated[
        Path, typer.Option(help="New file for the predictions, in one of these formats.", callback=expanded)
    ],
    precision: Annotated[
        str, typer.Option(help="Precision of the computation: float32, tf32 or bf16.")
    ] = "float32",
    json: AsJson = False,
    **flags: Any,
) -> None:
    """Classify the texts of a file, and write its rows with the predicted class and the probabilities.

    The file may be larger than the memory. The same command continues interrupted predictions.
    """
    from earlyrobust.judging.test_data import source_of

    chosen = AttackOptions.parse({"precision": precision}).used_precision
    data = TestData.parse({**flags, "test_file": file})
    source_of(model, data)  # raises an error for options that cannot be used
    announce(aside=json)
    from earlyrobust.cli.display import Display  # imports PyTorch, so options are checked first

    with Display(output.with_name(f"{output.name}.parts"), aside=json) as display:
        from earlyrobust import judging
        from earlyrobust.cli.summaries import show_predictions

        report = judging.predict(model, file, output, data, chosen, display)
        show_predictions(display, report)
        if json:
            print_record(report)
