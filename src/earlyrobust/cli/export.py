"""`earlyrobust export`: a trained classifier for other software."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from earlyrobust.cli.opening import announce
from earlyrobust.cli.options import (
    ATTACK,
    ATTACK_OF_RUN,
    TEST_DATA,
    TRAINING,
    Group,
    option,
    takes,
    with_attack,
)

_ATTACK: Group = {
    **ATTACK,
    "attack": option(
        str,
        "Attack",
        "Attacks that both are put under: see `earlyrobust list attacks`.",
        "for onnx-int8 those of the run that trained the model, else none",
    ),
    "no_attack": ATTACK_OF_RUN["no_attack"],
}


@takes(TEST_DATA, _ATTACK, {"seed": TRAINING["seed"]})
def export(
    model: Annotated[
        str, typer.Argument(help="Classifier, cut or not: its folder, that of a run, or a name on the hub.")
    ],
    to: Annotated[
        str,
        typer.Option(
            help="dense (ordinary model of its family, at full size), remote-code (small, loads by "
            "trust_remote_code=True), onnx, onnx-int8 (matrices in 8-bit integers)."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="Folder of the export.", show_default="exports/ in the folder of the run"),
    ] = None,
    no_attack: bool = False,
    **flags: Any,
) -> None:
    """Write a trained classifier for software that does not know this package, and compare the two.

    The same command continues an interrupted one.
    """
    from earlyrobust.pipeline.export_options import ExportConfig
    from earlyrobust.pipeline.testdata import TestData

    data = TestData(**{name: value for name in TEST_DATA if (value := flags.pop(name)) is not None})
    config = ExportConfig.of(model, {**with_attack(flags, no_attack), "to": to, "output": output})
    announce()
    from earlyrobust.cli.display import Display  # brings PyTorch: options are checked first

    with Display(config.output) as display:
        from earlyrobust import pipeline
        from earlyrobust.reports.export_card import draw_export_card

        record = pipeline.export(model, data, config, display)
        draw_export_card(record, cast("Path", config.output))
        display.summarise_export(record)
