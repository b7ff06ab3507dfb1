"""`earlyrobust evaluate`: clean accuracy of a classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import TEST_DATA, takes
from earlyrobust.cli.outcome import AsJson, Threshold, end_if_below, print_record


@takes(TEST_DATA)
def evaluate(
    model: Annotated[
        str, typer.Argument(help="Classifier, cut or not: its folder, that of a run, or a name on the hub.")
    ],
    output: Annotated[
        Path | None, typer.Option(help="Folder for the record, evaluation.json.", show_default="no record")
    ] = None,
    fail_under: Annotated[
        str | None,
        typer.Option(
            help="End with exit code 3 if the accuracy is below this, in percent.", show_default="none"
        ),
    ] = None,
    json: AsJson = False,
    **flags: Any,
) -> None:
    """Measure the accuracy of a Hugging Face classifier on the test split of a task, or on your own file."""
    from earlyrobust.pipeline.testdata import TestData

    data = TestData(**{name: value for name, value in flags.items() if value is not None})
    data.source(model)
    threshold = None if fail_under is None else Threshold.parse(fail_under)
    announce(aside=json)
    from earlyrobust.cli.display import Display  # brings PyTorch: options are checked first

    with Display(aside=json) as display:
        from earlyrobust import pipeline

        report = pipeline.evaluate(model, data, output, display)
        display.summarise_evaluation(report)
        if json:
            print_record(report)
    end_if_below([("Clean%", report.accuracy, threshold)])
