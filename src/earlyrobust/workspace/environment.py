"""Where a run takes place: versions and hardware, for its record."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import torch

from earlyrobust import __version__, processes
from earlyrobust.encoders import device_name
from earlyrobust.results import EnvironmentRecord
from earlyrobust.workspace.observer import Observer

PACKAGES = ("torch", "transformers", "accelerate", "datasets", "tokenizers", "numpy")


def describe_environment() -> EnvironmentRecord:
    """Versions of what computes, and the hardware it computes on."""
    return EnvironmentRecord(
        # Our own is also known where only the source code is on the path.
        versions={
            "python": platform.python_version(),
            "earlyrobust": __version__,
            **{package: version(package) for package in PACKAGES},
        },
        platform=platform.platform(),
        processor=_processor(),
        threads=torch.get_num_threads(),
        device=device_name(),
    )


def note_idle_devices(observer: Observer) -> None:
    """Say how all devices of the machine could be used, if a lone process sees several."""
    count = torch.accelerator.device_count() if torch.accelerator.is_available() else 1
    if processes.is_alone() and count > 1:
        observer.note(
            f"One of {count} devices is used. To use all, start run, search, finetune, evaluate or attack "
            f"with `torchrun --nproc-per-node {count} -m earlyrobust ...`, and a comparison with --launcher "
            "ray --cell-gpus 1."
        )


def _processor() -> str:
    """The processor's name; Linux tells it only in a file."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
