"""The processes that share a job: one alone, or those that torchrun or `accelerate launch` started together.

All of them run the same program. The first alone writes to disk and to the screen; what only it can know the
others are told, and where they must agree, they do as it does. What they tell one another is JSON or a
number.
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

# What accelerate's launcher passes on in the environment that would make another training of the same
# options: how people call it, and what to do instead.
_LAUNCHED = {
    "ACCELERATE_USE_FSDP": ("FSDP", _WHOLE),
    "ACCELERATE_USE_DEEPSPEED": ("DeepSpeed", _WHOLE),
    "ACCELERATE_USE_MEGATRON_LM": ("Megatron-LM", _WHOLE),
    "ACCELERATE_USE_PARALLELISM_CONFIG": ("a parallelism config", _WHOLE),
    "ACCELERATE_MIXED_PRECISION": ("mixed precision", "give --bf16 to earlyrobust itself"),
    "ACCELERATE_DYNAMO_BACKEND": ("compilation", "leave it out"),
}
# Values with which it passes on nothing.
_NOTHING = {"", "false", "no"}

# Processes wait for one another while the first prepares data or the slowest attacks. One that dies is
# noticed by its closed connections, whatever the time.
_PATIENCE = timedelta(days=7)


def count() -> int:
    """How many there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Which of them this one is, from 0."""
    return int(os.environ.get("RANK", "0")) if count() > 1 else 0


def is_first() -> bool:
    """Whether this is the one that writes."""
    return rank() == 0


def local_rank() -> int:
    """Which of the processes of its machine this one is, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0")) if count() > 1 else 0


def is_first_on_its_machine() -> bool:
    """Whether no other process of its machine comes before it."""
    return local_rank() == 0


def is_alone() -> bool:
    """Whether there are no others."""
    return count() == 1


def check_alone(what: str) -> None:
    """Refuse what one process does better.

    Args:
        what: Names it in the message.

    Raises:
        ConfigError: If there are several.
    """
    if not is_alone():
        raise ConfigError(
            f"{what} works in one process: start it without torchrun or accelerate launch; run, search, "
            "finetune, evaluate and attack work in several."
        )


def check_devices() -> None:
    """Refuse more processes on a machine than it has accelerators, if it has any: each needs its own.

    Launchers that show each process a device of its own do not say how many processes there are.

    Raises:
        ConfigError: If there are more.
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
    """Refuse what accelerate's launcher was asked for that belongs among the options, or cannot be done.

    Raises:
        ConfigError: If there is any.
    """
    for name, (asked, instead) in _LAUNCHED.items():
        if os.environ.get(name, "").lower() not in _NOTHING:
            raise ConfigError(f"accelerate was told to launch with {asked}, but {instead} ({name}).")


def wait() -> None:
    """Go on when all processes have come here."""
    if not is_alone():
        _group().wait_for_everyone()


@contextmanager
def first_on_each_machine() -> Iterator[None]:
    """Let the first process of each machine do something before the others do it and find its results."""
    if is_alone():
        yield
        return
    with _group().local_main_process_first():
        yield


def by_first(work: Callable[[], T]) -> T:
    """Have the first process do something, and the others wait for it.

    Args:
        work: Done by the first process alone; returns JSON types.

    Returns:
        What it returned, in all processes.

    Raises:
        EarlyRobustError: If it did, in all processes.
    """
    made: list[T] = []
    with agreed():
        if is_first():
            made = [work()]
    return gathered(made)[0][0]


@contextmanager
def agreed() -> Iterator[None]:
    """Wait for all processes at the end, and raise in all of them what the first of those that failed raised.

    Raises:
        EarlyRobustError: If any of them did.
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
    """Return the rows of all processes below one another, in the order of the processes.

    Args:
        rows: The rows of this process, shape (N, columns). Each process may have another N.
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
    """What each process has, in all of them, in their order.

    Args:
        value: What this one has, as JSON types.
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
    """The largest of the numbers that the processes have, in all of them: one exchange, fit for every step.

    Args:
        value: The number that this one has.
    """
    if is_alone():
        return value
    import torch
    from torch import distributed

    told = torch.tensor(value, device=_group().device)
    distributed.all_reduce(told, distributed.ReduceOp.MAX)
    return int(told)


def _group() -> PartialState:
    """The group of processes, which this one joins if it has not."""
    import torch
    from accelerate import PartialState

    check_devices()
    return PartialState(cpu=not torch.accelerator.is_available(), timeout=_PATIENCE)
