"""Watching the masks settle while a search trains: the paper's ticket convergence metric, live.

At the end of every miniepoch both masks are drawn and compared with those of the miniepoch before. When both
distances have been below γ for `patience` miniepochs in a row, training stops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from earlyrobust import processes
from earlyrobust.errors import TicketError
from earlyrobust.pruning import ImportanceCoefficients
from earlyrobust.ticket import Mask, Miniepoch, Scores, mask_distance


class MaskHistory(nn.Module):
    """The masks of all miniepochs so far, as buffers of the model that is searched.

    As buffers they are in every checkpoint, whole or not at all, and a resumed search goes on with them.

    Args:
        limit: The most miniepochs there can be.
        layers: Layers of the encoder.
        heads: Heads of a layer.
        neurons: Neurons of a layer.
    """

    NAME = "mask_history"

    heads: Tensor
    neurons: Tensor
    steps: Tensor

    def __init__(self, limit: int, layers: int, heads: int, neurons: int) -> None:
        super().__init__()
        self.register_buffer("heads", torch.zeros(limit, layers, heads, dtype=torch.bool))
        self.register_buffer("neurons", torch.zeros(limit, layers, neurons, dtype=torch.bool))
        # Optimiser steps at which each miniepoch ended; 0 for those still to come.
        self.register_buffer("steps", torch.zeros(limit, dtype=torch.int64))

    def __len__(self) -> int:
        return int(self.steps.count_nonzero())

    def clear(self) -> None:
        """Forget a search before this one."""
        for buffer in self.buffers():
            buffer.zero_()

    def append(self, step: int, heads: Mask, neurons: Mask) -> None:
        """Add the masks drawn after optimiser step `step`; empty ones where none could be drawn."""
        index = len(self)
        self.heads[index] = torch.from_numpy(heads)
        self.neurons[index] = torch.from_numpy(neurons)
        self.steps[index] = step

    def masks(self) -> tuple[Mask, Mask]:
        """Head masks (miniepochs, layers, heads) and neuron masks (miniepochs, layers, neurons)."""
        count = len(self)
        return self.heads[:count].cpu().numpy(), self.neurons[:count].cpu().numpy()

    def miniepochs(self, gamma: float) -> tuple[Miniepoch, ...]:
        """The distances between consecutive masks, and how long they have stayed below `gamma`."""
        steps: NDArray[np.int64] = self.steps[: len(self)].cpu().numpy()
        seen: list[Miniepoch] = []
        before: tuple[Mask, Mask] | None = None
        for step, heads, neurons in zip(steps, *self.masks(), strict=True):
            drawn = bool(heads.any() and neurons.any())
            distances: tuple[float | None, float | None] = (None, None)
            streak = 0
            if drawn and before is not None:
                distances = mask_distance(before[0], heads), mask_distance(before[1], neurons)
                settled = all(distance is not None and distance < gamma for distance in distances)
                streak = seen[-1].streak + 1 if settled else 0
            seen.append(Miniepoch(int(step), *distances, streak))
            before = (heads, neurons) if drawn else None
        return tuple(seen)


class ConvergenceCallback(TrainerCallback):  # type: ignore[misc]
    """Draws and compares masks at the end of every miniepoch, and stops training when they have settled.

    Args:
        gates: The coefficients that are trained.
        history: Where the masks are kept.
        draw: Draws both masks from the coefficients.
        gamma: γ, the distance below which masks count as settled.
        patience: For how many miniepochs in a row they must be; None to watch only.
        steps_per_miniepoch: Optimiser steps of one miniepoch.
        report: Called with every miniepoch as it ends.
    """

    def __init__(
        self,
        gates: ImportanceCoefficients,
        history: MaskHistory,
        *,
        draw: Callable[[Scores, Scores], tuple[Mask, Mask]],
        gamma: float,
        patience: int | None,
        steps_per_miniepoch: int,
        report: Callable[[Miniepoch], None] | None = None,
    ) -> None:
        self._gates = gates
        self._history = history
        self._draw = draw
        self._gamma = gamma
        self._patience = patience
        self._steps_per_miniepoch = steps_per_miniepoch
        self._report = report
        self.converged = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Forget a search before this one."""
        self.converged = False

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take stock if this step ends a miniepoch."""
        if state.global_step % self._steps_per_miniepoch == 0:
            self._history.append(state.global_step, *self._draw_or_none())
            miniepoch = self._history.miniepochs(self._gamma)[-1]
            if self._report is not None:
                self._report(miniepoch)
            if self._patience is not None and miniepoch.streak >= self._patience:
                self.converged = True
                control.should_training_stop = True
        self._save_only_before_the_stop(control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stopping ends the epoch, too."""
        self._save_only_before_the_stop(control)

    def _draw_or_none(self) -> tuple[Mask, Mask]:
        """Both masks, or two empty ones while the coefficients rank nothing."""
        scores = scores_of(self._gates)
        try:
            return self._draw(*scores)
        except TicketError:
            heads, neurons = (np.zeros(part.shape, dtype=np.bool_) for part in scores)
            return heads, neurons

    def _save_only_before_the_stop(self, control: TrainerControl) -> None:
        # The ticket is about to be saved; a checkpoint of the last step would resume past it.
        if control.should_training_stop:
            control.should_save = False


def scores_of(gates: ImportanceCoefficients) -> tuple[Scores, Scores]:
    """The coefficients as arrays: heads (layers, heads) and neurons (layers, neurons).

    Processes that share a search all see those of the first, so that they stop at the same step and draw the
    same ticket, even if their hardware does not round alike.

    Raises:
        TicketError: If training has made them NaN or infinite.
    """
    parts = (gates.heads, gates.neurons)
    heads, neurons = (
        np.array(part, np.float32)
        for part in processes.by_first(lambda: [part.detach().float().cpu().tolist() for part in parts])
    )
    if not (np.isfinite(heads).all() and np.isfinite(neurons).all()):
        raise TicketError("The search diverged, its coefficients are not finite: lower its learning rate.")
    return heads, neurons
