"""Defines the options of an export, without the options of the data."""

from __future__ import annotations

from typing import Literal

from earlyrobust.options.attack import AttackConfig
from earlyrobust.options.base import Names, option
from earlyrobust.options.places import FilePath

Target = Literal["dense", "remote-code", "onnx", "onnx-int8"]


class ExportConfig(AttackConfig):
    """Options of `earlyrobust export`, in addition to the options of the data."""

    to: Target = option(
        ...,
        "Form of the export: dense (an ordinary model of its family, at full size), remote-code (small, "
        "loads by trust_remote_code=True), onnx, or onnx-int8 (matrices in 8-bit integers).",
        "Run",
        shown="",
    )
    output: FilePath | None = option(
        None, "Folder of the export.", "Run", shown="exports/ in the folder of the run"
    )
    attack: Names = option(
        (),
        "Attacks on both classifiers, separated by commas: see `earlyrobust list attacks`.",
        "Attack",
        shown="for onnx-int8 those of the run that trained the model, else none",
    )
