"""`earlyrobust evaluate`: clean accuracy of a classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import Model, expanded, takes
from earlyrobust.cli.outcome import AsJson, Threshold, end_if_below, print_record
from earlyrobust.options.test_data import TestData


@takes(TestData.flags())
def evaluate(
    model: Model,
    output: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the record, evaluation.json.", show_default="no record", callback=expanded
        ),
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
    from earlyrobust.judging.test_data import source_of

    data = TestData.parse(flags)
    source_of(model, data)  # raises an error for options that cannot be used
    threshold = None if fail_under is None else Threshold.parse(fail_under)
    announce(aside=json)
    from earlyrobust.cli.display import Display  # imports PyTorch, so options are checked first

    with Display(aside=json) as display:
        from earlyrobust import judging
        from earlyrobust.cli.summaries import show_evaluation

        report = judging.evaluate(model, data, output, display)
        show_evaluation(display, report)
        if json:
            print_record(report)
    end_if_below([("Clean%", report.accuracy, threshold)])
