"""`earlyrobust evaluate`: clean accuracy of a classifier."""

from __future__ import annotations

from typing import Annotated

import typer

from earlyrobust.cli import options as o


def evaluate(
    model: Annotated[str, typer.Argument(help="Classifier: a folder or a name on the hub, cut or not.")],
    task: o.Task = None,
    data_dir: o.DataDir = None,
    test_file: o.TestFile = None,
    text_column: o.TextColumn = None,
    pair_column: o.PairColumn = None,
    label_column: o.LabelColumn = None,
    max_length: o.MaxLength = None,
) -> None:
    """Measure the accuracy of a Hugging Face classifier on the test split of a task, or on your own file."""
    from earlyrobust.cli.display import Display

    with Display() as display:
        from earlyrobust import pipeline

        accuracy = pipeline.evaluate(
            model,
            task=task,
            data_dir=data_dir,
            test_file=test_file,
            text_column=text_column or "text",
            pair_column=pair_column,
            label_column=label_column or "label",
            max_length=max_length,
            observer=display,
        )
        display.summarise_accuracy(model, accuracy)
