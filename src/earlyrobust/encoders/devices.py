"""The device that models run on."""

from __future__ import annotations

import torch


def fastest_device() -> torch.device:
    """The accelerator, or the CPU if there is none."""
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return accelerator or torch.device("cpu")


def has_bf16() -> bool:
    """Whether the device that models are trained on computes in bfloat16 itself, instead of emulating it."""
    device = fastest_device()
    if device.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)
