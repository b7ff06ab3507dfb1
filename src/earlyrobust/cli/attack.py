"""`earlyrobust attack`: accuracy of a classifier under attack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from earlyrobust import processes
from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import Model, takes
from earlyrobust.cli.outcome import AsJson, end_if_below, parse_thresholds, print_record
from earlyrobust.options.attack import AttackConfig
from earlyrobust.options.test_data import TestData


@takes(TestData.flags(), AttackConfig.flags())
def attack(
    model: Model,
    output: Path | None,
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
    """Attack a Hugging Face classifier, and report its accuracy under attack, queries and changed texts.

    The same command continues an interrupted attack.
    """
    from earlyrobust.judging.test_data import attack_folder

    data = TestData.parse({name: flags.pop(name) for name in TestData.model_fields})
    folder = output or attack_folder(model, data)
    config = AttackConfig.parse({**flags, "output": folder})
    thresholds = parse_thresholds(fail_under or (), config.attack)
    announce(aside=json)
    from earlyrobust.cli.display import Display  # imports PyTorch, so options are checked first

    with Display(folder, aside=json) as display:
        from earlyrobust import judging
        from earlyrobust.cli.cards import tell_on_card
        from earlyrobust.cli.summaries import show_attacks
        from earlyrobust.reports.examples import render_journals
        from earlyrobust.reports.scrutiny import render_scrutiny

        report = judging.attack(model, data, config, display)
        if processes.is_first():
            render_scrutiny(report, folder)
            render_journals(report.attacks, report.label_names, folder, report.findings)
            if config.scrutiny:
                tell_on_card(model, report, display.note)
        show_attacks(display, model, report, folder)
        if json:
            print_record(report)
    of_attack = dict(zip(report.attacks, dict.fromkeys(config.attack), strict=True))
    end_if_below(
        (f"Aua% under {name}", record.under_attack, thresholds.get(of_attack[name]))
        for name, record in report.attacks.items()
    )
