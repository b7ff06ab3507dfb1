"""The numeric precision in which attacks compute models: float32, TF32 or bfloat16."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch

from earlyrobust.errors import ConfigError

Precision = Literal["float32", "tf32", "bf16"]


def check_precision(precision: str, device: torch.device) -> None:
    """Check that a device supports a precision.

    Args:
        precision: Name of the precision.
        device: The device on which the models run.

    Raises:
        ConfigError: If there is no such precision, or the device does not support it.
    """
    if precision not in get_args(Precision):
        raise ConfigError(f"There is no precision '{precision}': choose {', '.join(get_args(Precision))}.")
    if precision == "tf32" and not _has_tf32(device):
        raise ConfigError(
            f"TF32 is a precision of NVIDIA GPUs (Ampere and later), but the models run on {device}: choose "
            "--precision float32 or bf16."
        )


def _has_tf32(device: torch.device) -> bool:
    return (
        device.type == "cuda"
        and torch.version.hip is None
        and torch.cuda.is_bf16_supported(including_emulation=False)
    )


@contextmanager
def computing_in(precision: Precision, device: torch.device) -> Iterator[None]:
    """Set the precision of matrix products while the context lasts.

    With bfloat16, matrix products round their inputs and their results. Sums over a text, such as those of
    layer norms and softmax, and the residual stream stay in float32.

    Args:
        precision: Name of the precision.
        device: The device on which the model runs.
    """
    if precision == "float32":
        yield
    elif precision == "bf16":
        with torch.autocast(device.type, torch.bfloat16):
            yield
    else:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("high")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)
