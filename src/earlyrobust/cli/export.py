"""`earlyrobust export`: writes a trained classifier for other software."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import NO_ATTACK, Model, takes, with_attack
from earlyrobust.options.export import ExportConfig
from earlyrobust.options.test_data import TestData


@takes(TestData.flags(), ExportConfig.flags(without=("to", "scrutiny")), NO_ATTACK)
def export(
    model: Model,
    to: Annotated[str, typer.Option(help=ExportConfig.described()["to"].help)],
    output: Path | None,
    no_attack: bool,
    **flags: Any,
) -> None:
    """Export a trained classifier for other software, and compare the export with the classifier.

    The same command continues an interrupted export.
    """
    data = TestData.parse({name: flags.pop(name) for name in TestData.model_fields})
    from earlyrobust.judging.export_options import export_options

    config = export_options(model, {**with_attack(flags, no_attack), "to": to, "output": output})
    announce()
    from earlyrobust.cli.display import Display  # imports PyTorch, so options are checked first

    folder = cast("Path", config.output)
    with Display(folder) as display:
        from earlyrobust import judging
        from earlyrobust.cli.summaries import show_export
        from earlyrobust.reports.export_card import render_export_card

        record = judging.export(model, data, config, display)
        render_export_card(record, folder)
        show_export(display, record, folder)
