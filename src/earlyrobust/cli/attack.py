"""`earlyrobust attack`: accuracy of a classifier under attack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from earlyrobust import processes
from earlyrobust.cli.options import ATTACK, TEST_DATA, TRAINING, takes


@takes(TEST_DATA, ATTACK, {"seed": TRAINING["seed"]})
def attack(
    model: Annotated[
        str, typer.Argument(help="Classifier, cut or not: its folder, that of a run, or a name on the hub.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the results.", show_default="under runs/, named after model and data"),
    ] = None,
    **flags: Any,
) -> None:
    """Attack a Hugging Face classifier: accuracy under attack, queries, and the examples.

    The same command continues an interrupted attack.
    """
    from earlyrobust.pipeline.attack_options import AttackConfig
    from earlyrobust.pipeline.testdata import TestData

    data = TestData(**{name: value for name in TEST_DATA if (value := flags.pop(name)) is not None})
    folder = output or data.attack_folder(model)
    config = AttackConfig.parse({**flags, "output": folder})
    from earlyrobust.cli.display import Display  # brings PyTorch: options are checked first

    with Display(folder) as display:
        from earlyrobust import pipeline
        from earlyrobust.reports.examples import draw_journals

        report = pipeline.attack(model, data, config, display)
        if processes.is_first():
            draw_journals(report.attacks, report.label_names, folder, report.findings)
        display.summarise_attacks(model, report)
