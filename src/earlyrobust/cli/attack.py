"""`earlyrobust attack`: accuracy of a classifier under attack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from earlyrobust import processes
from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import ATTACK, SCRUTINY, TEST_DATA, TRAINING, takes
from earlyrobust.cli.outcome import AsJson, end_if_below, parse_thresholds, print_record


@takes(TEST_DATA, ATTACK, SCRUTINY, {"seed": TRAINING["seed"]})
def attack(
    model: Annotated[
        str, typer.Argument(help="Classifier, cut or not: its folder, that of a run, or a name on the hub.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the results.", show_default="under runs/, named after model and data"),
    ] = None,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            help="End with exit code 3 if an Aua% is below this: 30 for all attacks, or "
            "'textfooler=30,textbugger=20'.",
            show_default="none",
        ),
    ] = None,
    json: AsJson = False,
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
    thresholds = parse_thresholds(fail_under or (), config.attack)
    announce(aside=json)
    from earlyrobust.cli.display import Display  # brings PyTorch: options are checked first

    with Display(folder, aside=json) as display:
        from earlyrobust import pipeline
        from earlyrobust.cli.drawing import tell_on_card
        from earlyrobust.reports.examples import draw_journals
        from earlyrobust.reports.scrutiny import draw_scrutiny

        report = pipeline.attack(model, data, config, display)
        if processes.is_first():
            draw_scrutiny(report, folder)
            draw_journals(report.attacks, report.label_names, folder, report.findings)
            if config.scrutiny:
                tell_on_card(model, report, display.note)
        display.summarise_attacks(model, report)
        if json:
            print_record(report)
    of_attack = dict(zip(report.attacks, dict.fromkeys(config.attack), strict=True))
    end_if_below(
        (f"Aua% under {name}", record.under_attack, thresholds.get(of_attack[name]))
        for name, record in report.attacks.items()
    )
