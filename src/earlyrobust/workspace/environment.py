"""Describes the versions and the hardware of a run, for its record."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import version
from pathlib import Path

import torch

from earlyrobust import __version__, processes
from earlyrobust.encoders import device_name
from earlyrobust.results import EnvironmentRecord
from earlyrobust.workspace.observer import Observer

PACKAGES = ("torch", "transformers", "accelerate", "datasets", "tokenizers", "numpy")


def describe_environment() -> EnvironmentRecord:
    """Return the versions of the software, and the hardware."""
    return EnvironmentRecord(
        # `__version__` is also known if only the source code is on the path.
        versions={
            "python": platform.python_version(),
            "earlyrobust": __version__,
            **{package: version(package) for package in PACKAGES},
        },
        platform=platform.platform(),
        processor=_processor(),
        threads=torch.get_num_threads(),
        device=device_name(),
        code=_code(),
    )


def note_idle_devices(observer: Observer) -> None:
    """Tell the observer how to use all devices of the machine, if a single process sees several.

    Args:
        observer: Receives the message.
    """
    count = torch.accelerator.device_count() if torch.accelerator.is_available() else 1
    if processes.is_alone() and count > 1:
        observer.note(
            f"One of {count} devices is used. To use all, start run, search, finetune, evaluate or attack "
            f"with `torchrun --nproc-per-node {count} -m earlyrobust ...`, and a comparison with --launcher "
            "ray --cell-gpus 1."
        )


@cache
def _code() -> str:
    """Return the first digits of the sha256 of the package's modules, which differ between two releases."""
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _processor() -> str:
    """Return the name of the processor, which Linux gives only in a file."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
