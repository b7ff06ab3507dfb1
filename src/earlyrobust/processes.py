"""The processes that share a job: one process, or several that torchrun or `accelerate launch` started.

All processes run the same program. Only the first process writes to disk and to the screen. It sends its
results to the others. The processes exchange JSON and numbers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from earlyrobust import errors
from earlyrobust.errors import ConfigError, EarlyRobustError

if TYPE_CHECKING:
    import numpy as np
    from accelerate import PartialState
    from numpy.typing import NDArray

T = TypeVar("T")

_WHOLE = (
    "each process must hold the whole model, which is cut: leave it out, and save memory by "
    "--gradient-checkpointing or --gradient-accumulation"
)

# Variables of accelerate's launcher that would change the training, each with the usual name of the setting
# and the advice for the message.
_LAUNCHED = {
    "ACCELERATE_USE_FSDP": ("FSDP", _WHOLE),
    "ACCELERATE_USE_DEEPSPEED": ("DeepSpeed", _WHOLE),
    "ACCELERATE_USE_MEGATRON_LM": ("Megatron-LM", _WHOLE),
    "ACCELERATE_USE_PARALLELISM_CONFIG": ("a parallelism config", _WHOLE),
    "ACCELERATE_MIXED_PRECISION": ("mixed precision", "give --bf16 to earlyrobust itself"),
    "ACCELERATE_DYNAMO_BACKEND": ("compilation", "leave it out"),
}
# Values of these variables that switch the setting off.
_NOTHING = {"", "false", "no"}

# Processes wait while the first one prepares data or the slowest one attacks. If a process dies, the others
# notice its closed connections at once.
_PATIENCE = timedelta(days=7)


def count() -> int:
    """Return the number of processes."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Return the number of this process, from 0."""
    return int(os.environ.get("RANK", "0")) if count() > 1 else 0


def is_first() -> bool:
    """Return whether this is the first process, the only one that writes."""
    return rank() == 0


def local_rank() -> int:
    """Return the number of this process among those on its machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0")) if count() > 1 else 0


def is_first_on_its_machine() -> bool:
    """Return whether this is the first process on its machine."""
    return local_rank() == 0


def is_alone() -> bool:
    """Return whether there is only one process."""
    return count() == 1


def check_alone(what: str) -> None:
    """Refuse a command that works in one process only.

    Args:
        what: The name of the command, for the message.

    Raises:
        ConfigError: If there are several processes.
    """
    if not is_alone():
        raise ConfigError(
            f"{what} works in one process: start it without torchrun or accelerate launch; run, search, "
            "finetune, evaluate and attack work in several."
        )


def check_devices() -> None:
    """Refuse more processes on a machine than it has accelerators, because each process needs one.

    A machine without accelerators may have any number of processes. If a launcher shows each process only its
    own device, the number of accelerators is unknown, and nothing is refused.

    Raises:
        ConfigError: If there are more processes than accelerators.
    """
    import torch

    have = torch.accelerator.device_count() if torch.accelerator.is_available() else 0
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if not is_alone() and 0 < have < here:
        raise ConfigError(
            f"{here} processes share this machine, which has {have} device(s) for them: start at most {have} "
            "on it (--nproc-per-node), or hide the devices from them to compute on the CPU."
        )


def check_launch() -> None:
    """Refuse settings of accelerate's launcher that earlyrobust cannot use, or has options for.

    Raises:
        ConfigError: If there is such a setting.
    """
    for name, (asked, instead) in _LAUNCHED.items():
        if os.environ.get(name, "").lower() not in _NOTHING:
            raise ConfigError(f"accelerate launches with {asked} ({name}): {instead}.")


def wait() -> None:
    """Wait until all processes have called this function."""
    if not is_alone():
        _group().wait_for_everyone()


@contextmanager
def first_on_each_machine() -> Iterator[None]:
    """Run the block in the first process of each machine, then in the others, which find its results."""
    if is_alone():
        yield
        return
    with _group().local_main_process_first():
        yield


def by_first(work: Callable[[], T]) -> T:
    """Call a function in the first process only, and return its result in all processes.

    Args:
        work: The function. It returns JSON types.

    Raises:
        EarlyRobustError: In all processes, if the function raises it.
    """
    made: list[T] = []
    with agreed():
        if is_first():
            made = [work()]
    return gathered(made)[0][0]


@contextmanager
def agreed() -> Iterator[None]:
    """Wait for all processes at the end of the block; if one failed, raise its error in all processes.

    Raises:
        EarlyRobustError: The error of the first process that failed.
    """
    if is_alone():
        yield
        return
    failed = None
    try:
        yield
    except EarlyRobustError as error:
        failed = [type(error).__name__, str(error)]
    for failure in gathered(failed):
        if failure is not None:
            kind, sentence = failure
            raise getattr(errors, kind)(sentence)


def stacked(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rows of all processes in one array, in the order of the processes.

    Args:
        rows: The rows of this process, shape (N, columns). N may differ between processes.
    """
    if is_alone():
        return rows
    import numpy as np
    import torch
    from torch import distributed

    device = _group().device
    counts = gathered(len(rows))
    padded = torch.zeros(max(counts), rows.shape[1], dtype=torch.float64, device=device)
    padded[: len(rows)] = torch.from_numpy(rows).to(device)
    parts = [torch.empty_like(padded) for _ in counts]
    distributed.all_gather(parts, padded)
    return np.concatenate([part[:count].cpu().numpy() for part, count in zip(parts, counts, strict=True)])


def gathered(value: T) -> list[T]:
    """Return the values of all processes, in the order of the processes.

    Args:
        value: The value of this process, as JSON types.
    """
    if is_alone():
        return [value]
    import torch
    from torch import distributed

    device = _group().device
    content = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
    sizes = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(count())]
    distributed.all_gather(sizes, torch.tensor([len(content)], device=device))
    largest = max(int(size) for size in sizes)
    padded = torch.zeros(largest, dtype=torch.uint8, device=device)
    padded[: len(content)] = content
    parts = [torch.empty_like(padded) for _ in sizes]
    distributed.all_gather(parts, padded)
    return [
        json.loads(part[: int(size)].cpu().numpy().tobytes()) for part, size in zip(parts, sizes, strict=True)
    ]


def largest(value: int) -> int:
    """Return the largest value of all processes.

    The exchange is small and cheap enough for every training step.

    Args:
        value: The value of this process.
    """
    if is_alone():
        return value
    import torch
    from torch import distributed

    told = torch.tensor(value, device=_group().device)
    distributed.all_reduce(told, distributed.ReduceOp.MAX)
    return int(told)


def _group() -> PartialState:
    """Return the group of processes; join it if this process has not joined it yet."""
    import torch
    from accelerate import PartialState

    check_devices()
    return PartialState(cpu=not torch.accelerator.is_available(), timeout=_PATIENCE)
