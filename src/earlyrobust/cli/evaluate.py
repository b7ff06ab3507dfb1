"""`earlyrobust evaluate`: clean accuracy of a classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from earlyrobust.cli.options import TEST_DATA, takes


@takes(TEST_DATA)
def evaluate(
    model: Annotated[
        str, typer.Argument(help="Classifier, cut or not: its folder, that of a run, or a name on the hub.")
    ],
    output: Annotated[
        Path | None, typer.Option(help="Folder for the record, evaluation.json.", show_default="no record")
    ] = None,
    **flags: Any,
) -> None:
    """Measure the accuracy of a Hugging Face classifier on the test split of a task, or on your own file."""
    from earlyrobust.pipeline.testdata import TestData

    data = TestData(**{name: value for name, value in flags.items() if value is not None})
    data.source(model)
    from earlyrobust.cli.display import Display  # brings PyTorch: options are checked first

    with Display() as display:
        from earlyrobust import pipeline

        display.summarise_evaluation(pipeline.evaluate(model, data, output, display))
