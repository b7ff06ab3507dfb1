"""`earlyrobust evaluate`: clean accuracy of a classifier."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from earlyrobust.cli.options import DATA, takes

_TEST_DATA = {name: DATA[name] for name in DATA if name not in ("train_samples", "train_file")}


@takes(_TEST_DATA)
def evaluate(
    model: Annotated[
        str, typer.Argument(help="Classifier, cut or not: its folder, that of a run, or a name on the hub.")
    ],
    **data: Any,
) -> None:
    """Measure the accuracy of a Hugging Face classifier on the test split of a task, or on your own file."""
    from earlyrobust.cli.display import Display

    with Display() as display:
        from earlyrobust import pipeline

        given = {name: value for name, value in data.items() if value is not None}
        display.summarise_accuracy(model, pipeline.evaluate(model, **given, observer=display))
