"""The options of an export, besides those of the data."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from earlyrobust.pipeline.attack_options import AttackConfig
from earlyrobust.pipeline.options import Names
from earlyrobust.pipeline.testdata import run_of

Target = Literal["dense", "remote-code", "onnx", "onnx-int8"]


class ExportConfig(AttackConfig):
    """Options of `earlyrobust export`, besides those of the data.

    Attributes:
        to: What the classifier is exported to.
        attack: Attacks that both are put under; none if it is empty.
    """

    to: Target
    attack: Names = ()


def export_folder(model_name: str, to: str) -> Path:
    """Where an export is put unless something else is asked for."""
    run = run_of(model_name)
    return (run or Path("runs") / Path(model_name).name) / "exports" / to
