"""The device that models run on."""

from __future__ import annotations

import copy
import platform
from typing import TYPE_CHECKING

import torch

from earlyrobust import processes

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def fastest_device() -> torch.device:
    """The accelerator, or the CPU if there is none. Processes that share a machine have one each.

    Raises:
        ConfigError: If more processes share the machine than it has accelerators.
    """
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if accelerator is None or processes.is_alone():
        return accelerator or torch.device("cpu")
    processes.check_devices()
    own = processes.local_rank() % torch.accelerator.device_count()  # as training does, by accelerate
    torch.accelerator.set_device_index(own)  # for what is made without naming a device
    return torch.device(accelerator.type, own)


def has_bf16() -> bool:
    """Whether the device that models are trained on computes in bfloat16 itself, instead of emulating it."""
    device = fastest_device()
    if device.type == "cpu":
        # oneDNN offers it wherever there is AVX-512, and emulates it without instructions of its own.
        emulates = platform.machine() in ("x86_64", "AMD64") and not torch.cpu._is_avx512_bf16_supported()
        return not emulates and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


def synchronize(device: torch.device) -> None:
    """Wait until a device has done all that it was given, as before a clock is read."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def device_name() -> str:
    """The name of the device that models run on, `cpu` for the processor."""
    device = fastest_device()
    if device.type == "cpu":
        return device.type
    named = getattr(torch.get_device_module(device), "get_device_name", None)
    name = None if named is None else named(device)
    if name is None or device.type == "cuda":  # the makers of these put their own name first
        return name or device.type
    return f"{device.type}: {name}"


def on_device(model: PreTrainedModel, device: torch.device) -> PreTrainedModel:
    """The same model on a device: itself if it is there, and else a copy, so that it stays where it is."""
    return model if model.device == device else copy.deepcopy(model).to(device)
