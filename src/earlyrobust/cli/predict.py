"""`earlyrobust predict`: classify the texts of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import UNLABELLED, takes
from earlyrobust.cli.outcome import AsJson, print_record


@takes(UNLABELLED)
def predict(
    model: Annotated[
        str, typer.Argument(help="Classifier, cut or not: its folder, that of a run, or a name on the hub.")
    ],
    file: Annotated[Path, typer.Argument(help="File of texts: CSV, TSV, JSONL or Parquet.")],
    output: Annotated[Path, typer.Option(help="New file for the predictions, in one of these formats.")],
    precision: Annotated[
        str, typer.Option(help="Precision of the computation: float32, tf32 or bf16.")
    ] = "float32",
    json: AsJson = False,
    **flags: Any,
) -> None:
    """Classify the texts of a file: all of its columns, and the class and the probabilities of each row.

    The file may be larger than the memory. The same command continues an interrupted one.
    """
    from earlyrobust.pipeline.attack_options import AttackOptions
    from earlyrobust.pipeline.testdata import TestData

    chosen = AttackOptions.parse({"precision": precision}).used_precision
    given = {name: value for name, value in flags.items() if value is not None}
    data = TestData(**{**given, "test_file": file})
    data.source(model)
    announce(aside=json)
    from earlyrobust.cli.display import Display  # brings PyTorch: options are checked first

    with Display(output.with_name(f"{output.name}.parts"), aside=json) as display:
        from earlyrobust import pipeline

        report = pipeline.predict(model, file, output, data, chosen, display)
        display.summarise_predictions(report)
        if json:
            print_record(report)
