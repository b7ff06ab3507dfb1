"""Where a run takes place: versions and hardware, for its record."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import torch

from earlyrobust import __version__
from earlyrobust.results import EnvironmentRecord

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
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    )


def _processor() -> str:
    """The processor's name; Linux tells it only in a file."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
