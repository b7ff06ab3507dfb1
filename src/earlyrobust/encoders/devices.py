"""Finds the device that models run on, its precisions, and its speed in them."""

from __future__ import annotations

import copy
import math
import platform
import time
from typing import TYPE_CHECKING

import torch

from earlyrobust import processes

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_SECONDS_OF_MEASURING = 0.5


def fastest_device() -> torch.device:
    """Return the accelerator, or the CPU if there is none.

    If several processes share a machine, each process has an accelerator of its own.

    Raises:
        ConfigError: If more processes share the machine than it has accelerators.
    """
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if accelerator is None or processes.is_alone():
        return accelerator or torch.device("cpu")
    processes.check_devices()
    # In training, accelerate assigns the devices in the same way.
    own = processes.local_rank() % torch.accelerator.device_count()
    torch.accelerator.set_device_index(own)  # for tensors that are made without a device
    return torch.device(accelerator.type, own)


def has_bf16() -> bool:
    """Return whether the training device computes in bfloat16 natively, not by emulation."""
    device = fastest_device()
    if device.type == "cpu":
        # oneDNN offers bfloat16 on every CPU with AVX-512, and emulates it if the CPU has no instructions
        # for it.
        emulates = platform.machine() in ("x86_64", "AMD64") and not torch.cpu._is_avx512_bf16_supported()
        return not emulates and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


def time_in_bf16() -> float:
    """Measure the time of a training step's matrix products in bfloat16, relative to float32.

    The measurement takes less than a second. The shapes are those of a small encoder and a batch of 32 texts
    of 64 tokens.

    Returns:
        Time in bfloat16 / time in float32.
    """
    device = fastest_device()
    weights = torch.randn(1536, 384, device=device, requires_grad=True)
    inputs = torch.randn(2048, 384, device=device, requires_grad=True)
    best = {torch.float32: math.inf, torch.bfloat16: math.inf}
    began = time.perf_counter()
    while time.perf_counter() - began < _SECONDS_OF_MEASURING:
        for dtype in best:
            start = time.perf_counter()
            with torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
                product = inputs @ weights.T
            torch.autograd.backward(product.sum())
            synchronize(device)
            best[dtype] = min(best[dtype], time.perf_counter() - start)
    return best[torch.bfloat16] / best[torch.float32]


def synchronize(device: torch.device) -> None:
    """Wait until a device has finished all its work, for example before a clock is read."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def device_name() -> str:
    """Return the name of the device that models run on; `cpu` for the processor."""
    device = fastest_device()
    if device.type == "cpu":
        return device.type
    named = getattr(torch.get_device_module(device), "get_device_name", None)
    name = None if named is None else named(device)
    if name is None or device.type == "cuda":  # the names of these already begin with the maker
        return name or device.type
    return f"{device.type}: {name}"


def on_device(model: PreTrainedModel, device: torch.device) -> PreTrainedModel:
    """Return a model on a device: the model itself if it is already there, else a copy."""
    return model if model.device == device else copy.deepcopy(model).to(device)
