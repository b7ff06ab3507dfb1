"""Keeps what a call in Python changes for the whole process from outlasting the call."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def as_before() -> Iterator[None]:
    """Restore the random states and the filters of warnings at the end, also after an error.

    A training seeds Python, NumPy and torch, and libraries add filters. Meanwhile torch records gradients,
    even if the caller has switched them off. The random state of Apple's devices (MPS) is not restored.
    """
    python, numpy = random.getstate(), np.random.get_state()
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    # torch.random.fork_rng cannot save the state of MPS, which has no number of a device.
    kind = "cuda" if device is None or device.type == "mps" else device.type
    with (
        torch.random.fork_rng(range(torch.get_device_module(kind).device_count()), device_type=kind),
        warnings.catch_warnings(),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
