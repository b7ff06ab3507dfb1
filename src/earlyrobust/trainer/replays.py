"""Training on every batch several times in a row, with an optimiser step each time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import Sampler
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from earlyrobust.errors import ConfigError

if TYPE_CHECKING:
    from earlyrobust.noise import NoisyBatch


def epochs_of_replays(epochs: float, replays: int) -> float:
    """Return the epochs in which a training with replays takes as many steps as one without in `epochs`."""
    # The quotient is rounded down, because Trainer rounds the number of steps up.
    return epochs if replays == 1 else math.nextafter(epochs / replays, 0)


class RepeatedGroups(Sampler[int]):
    """Yields groups of examples, each group several times in a row.

    The last group of an epoch is filled up with examples from the beginning of the epoch. So all batches have
    the same examples each time they are repeated.

    Args:
        sampler: Yields the indices of the examples in the order of the epoch.
        size: Examples of a group.
        times: How often each group is repeated.
    """

    def __init__(self, sampler: Sampler[int], size: int, times: int) -> None:
        self._sampler = sampler
        self._size = size
        self._times = times

    def __len__(self) -> int:
        return -(-len(self._sampler) // self._size) * self._size * self._times  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[int]:
        order = list(self._sampler)
        filled = list(islice(cycle(order), len(self) // self._times))
        for begin in range(0, len(filled), self._size):
            for _ in range(self._times):
                yield from filled[begin : begin + self._size]

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next order, if the sampler's order depends on the epoch."""
        if hasattr(self._sampler, "set_epoch"):
            self._sampler.set_epoch(epoch)


@dataclass
class Memory:
    """The data that are kept for one batch until its last replay.

    Attributes:
        adversary: The tensors that the adversary keeps.
        noisy: The batch with its noise, as inputs of the model and as a `NoisyBatch`; None before the first
            replay.
    """

    adversary: dict[str, Tensor] = field(default_factory=dict)
    noisy: tuple[dict[str, Any], NoisyBatch] | None = None
    _tokens: Tensor | None = None

    def check(self, inputs: dict[str, Any]) -> None:
        """Check that a replay has the tokens of the first pass over its batch.

        Args:
            inputs: The batch, without noise.

        Raises:
            ConfigError: If it has others.
        """
        tokens = inputs.get("input_ids")
        if self._tokens is None or tokens is None:
            self._tokens = tokens
        elif not torch.equal(self._tokens, tokens):
            raise ConfigError(
                "The adversary replays each batch, but the next batch has other tokens: let the trainer "
                "class keep get_train_dataloader and _get_train_sampler of AdversarialTrainer, and the data "
                "collator draw nothing at random."
            )


class Memories(TrainerCallback):  # type: ignore[misc]
    """Keeps the memories of all batches of an optimiser step, each until the last replay of its batch.

    Checkpoints do not hold the memories. So this callback delays checkpoints until the last replay. It delays
    evaluations, too, because loading the best model requires that it was saved when it was evaluated.

    Args:
        replays: How often each batch is trained on.
    """

    def __init__(self, replays: int) -> None:
        self._replays = replays
        self._forget()

    def _forget(self) -> None:
        self._step = -1
        self._next = 0
        self._kept: list[Memory] = []
        self._put_off = {"should_save": False, "should_evaluate": False}

    def of_next_batch(self, step: int) -> Memory:
        """Return the memory of the next batch of an optimiser step.

        Args:
            step: Number of the optimiser step, counted from the start of the training.
        """
        if step != self._step:
            self._step, self._next = step, 0
            if step % self._replays == 0:
                self._kept = []
        self._next += 1
        while len(self._kept) < self._next:
            self._kept.append(Memory())
        return self._kept[self._next - 1]

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Drop the memories of an earlier training."""
        self._forget()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Delay checkpoints and evaluations that are due between replays until the last replay."""
        now = state.global_step % self._replays == 0 or control.should_training_stop
        for wish, put_off in self._put_off.items():
            wanted = getattr(control, wish) or put_off
            setattr(control, wish, wanted and now)
            self._put_off[wish] = wanted and not now
