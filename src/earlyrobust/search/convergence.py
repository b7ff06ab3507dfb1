"""Live convergence of a search: compares the masks of miniepochs by the paper's distance, and stops training.

Both masks are drawn at the end of every miniepoch and compared with earlier ones. Training stops as soon as
they meet a rule of `earlyrobust.settling`.
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
from earlyrobust.errors import ConfigError, TicketError
from earlyrobust.pruning import ImportanceCoefficients
from earlyrobust.settling import SettlingRule
from earlyrobust.tickets.drawing import Mask, Scores, mask_distance
from earlyrobust.tickets.ticket import Miniepoch


class MaskHistory(nn.Module):
    """The masks of all miniepochs so far, as buffers of the searched model.

    As buffers they are part of every checkpoint, so a resumed search continues with them.

    Args:
        limit: Largest number of miniepochs.
        layers: Layers of the encoder.
        heads: Heads of a layer.
        neurons: Neurons of a layer.
        kept_scores: Number of the last miniepochs whose coefficients are stored, too.
    """

    NAME = "mask_history"

    heads: Tensor
    neurons: Tensor
    steps: Tensor
    head_scores: Tensor
    neuron_scores: Tensor

    def __init__(self, limit: int, layers: int, heads: int, neurons: int, kept_scores: int = 0) -> None:
        super().__init__()
        self._kept_scores = kept_scores
        if kept_scores:
            # The scores of a miniepoch overwrite those of the oldest stored miniepoch.
            self.register_buffer("head_scores", torch.zeros(kept_scores, layers, heads))
            self.register_buffer("neuron_scores", torch.zeros(kept_scores, layers, neurons))
        self.register_buffer("heads", torch.zeros(limit, layers, heads, dtype=torch.bool))
        self.register_buffer("neurons", torch.zeros(limit, layers, neurons, dtype=torch.bool))
        # The optimiser step at which each miniepoch ended; 0 for miniepochs that have not ended yet.
        self.register_buffer("steps", torch.zeros(limit, dtype=torch.int64))

    def __len__(self) -> int:
        return int(self.steps.count_nonzero())

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Load the masks of a search that had another limit, if they fit into this limit.

        Raises:
            ConfigError: If the masks are more than the limit of this search.
        """
        limit = len(self.steps)
        saved = state_dict.get(f"{prefix}steps")
        if saved is not None and len(saved) != limit:
            count = int(saved.count_nonzero())
            if count > limit:
                raise ConfigError(
                    f"The checkpoint holds {count} miniepochs of a search, but this search ends "
                    f"after {limit}: use the limit that the search began with."
                )
            for name in ("heads", "neurons", "steps"):
                part = state_dict[f"{prefix}{name}"][:limit]
                state_dict[f"{prefix}{name}"] = torch.cat(
                    [part, part.new_zeros(limit - len(part), *part.shape[1:])]
                )
        super()._load_from_state_dict(state_dict, prefix, *args)

    def clear(self) -> None:
        """Remove all masks and scores of an earlier search."""
        for buffer in self.buffers():
            buffer.zero_()

    def append(
        self, step: int, heads: Mask, neurons: Mask, scores: tuple[Scores, Scores] | None = None
    ) -> None:
        """Add the masks of a miniepoch; empty masks if none could be drawn.

        Args:
            step: Optimiser steps taken so far.
            heads: Shape (layers, heads).
            neurons: Shape (layers, neurons).
            scores: The coefficients from which both masks were drawn; needed if coefficients are stored.
        """
        index = len(self)
        if scores is not None and self._kept_scores:
            for kept, part in zip((self.head_scores, self.neuron_scores), scores, strict=True):
                kept[index % self._kept_scores] = torch.from_numpy(part)
        self.heads[index] = torch.from_numpy(heads)
        self.neurons[index] = torch.from_numpy(neurons)
        self.steps[index] = step

    def masks(self) -> tuple[Mask, Mask]:
        """Return head masks (miniepochs, layers, heads) and neuron masks (miniepochs, layers, neurons)."""
        count = len(self)
        # Copies, because a ticket holds these arrays, and a later search overwrites the buffers.
        return self.heads[:count].cpu().numpy().copy(), self.neurons[:count].cpu().numpy().copy()

    def scores(self, index: int) -> tuple[Scores, Scores]:
        """Return the stored coefficients of a miniepoch, those of heads and those of neurons.

        Args:
            index: Index of the miniepoch, one of the last `kept_scores`.
        """
        heads, neurons = (
            kept[index % self._kept_scores].cpu().numpy().copy()
            for kept in (self.head_scores, self.neuron_scores)
        )
        return heads, neurons

    def miniepochs(self, rule: SettlingRule) -> tuple[Miniepoch, ...]:
        """Return the miniepochs, with the distances of their masks and the lengths of their streaks.

        Args:
            rule: Decides when masks have settled.
        """
        steps: NDArray[np.int64] = self.steps[: len(self)].cpu().numpy()
        heads, neurons = self.masks()
        drawn = [bool(one.any() and other.any()) for one, other in zip(heads, neurons, strict=True)]

        def distances(first: int, second: int) -> tuple[float, float] | None:
            if not (drawn[first] and drawn[second]):
                return None
            return mask_distance(heads[first], heads[second]), mask_distance(neurons[first], neurons[second])

        moved = [distances(place - 1, place) if place else None for place in range(len(steps))]
        streaks = rule.streaks(len(steps), distances)
        return tuple(
            Miniepoch(int(step), None if pair is None else pair[0], None if pair is None else pair[1], streak)
            for step, pair, streak in zip(steps, moved, streaks, strict=True)
        )


class ConvergenceCallback(TrainerCallback):  # type: ignore[misc]
    """Draws and compares masks at the end of every miniepoch, and stops training when they have settled.

    Args:
        coefficients: The trained coefficients.
        history: Stores the masks.
        draw: Draws both masks from the coefficients.
        rule: Decides when masks have settled.
        stops: Whether training stops when masks have settled; False to observe only.
        steps_per_miniepoch: Optimiser steps of one miniepoch.
        limit: Optimiser steps after which training stops anyway.
        report: Called with every miniepoch when it ends.
    """

    def __init__(
        self,
        coefficients: ImportanceCoefficients,
        history: MaskHistory,
        *,
        draw: Callable[[Scores, Scores], tuple[Mask, Mask]],
        rule: SettlingRule,
        stops: bool,
        steps_per_miniepoch: int,
        limit: int,
        report: Callable[[Miniepoch], None] | None = None,
    ) -> None:
        self._coefficients = coefficients
        self._history = history
        self._draw = draw
        self._rule = rule
        self._stops = stops
        self._steps_per_miniepoch = steps_per_miniepoch
        self._limit = limit
        self._report = report
        self.converged = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Reset the result of an earlier search."""
        self.converged = False

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Draw and compare masks if this step ends a miniepoch, and stop when they have settled."""
        if state.global_step % self._steps_per_miniepoch == 0:
            scores = scores_of(self._coefficients)
            self._history.append(state.global_step, *self._draw_or_none(scores), scores)
            miniepoch = self._history.miniepochs(self._rule)[-1]
            if self._report is not None:
                self._report(miniepoch)
            if self._stops and miniepoch.streak >= self._rule.patience:
                self.converged = True
                control.should_training_stop = True
        if state.global_step >= self._limit:
            control.should_training_stop = True
        self._save_only_before_the_stop(control)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Prevent a checkpoint at the end of the epoch if the search stops there."""
        self._save_only_before_the_stop(control)

    def _draw_or_none(self, scores: tuple[Scores, Scores]) -> tuple[Mask, Mask]:
        """Return both masks; empty masks while the coefficients rank nothing."""
        try:
            return self._draw(*scores)
        except TicketError:
            heads, neurons = (np.zeros(part.shape, dtype=np.bool_) for part in scores)
            return heads, neurons

    def _save_only_before_the_stop(self, control: TrainerControl) -> None:
        # The ticket is drawn now. A search that resumed from a checkpoint of this step would continue past
        # the stop.
        if control.should_training_stop:
            control.should_save = False


def scores_of(coefficients: ImportanceCoefficients) -> tuple[Scores, Scores]:
    """Return the coefficients as arrays: heads (layers, heads) and neurons (layers, neurons).

    All processes of a search get the coefficients of the first process. So they stop at the same step and
    draw the same ticket, even if their hardware rounds differently.

    Raises:
        TicketError: If training has made the coefficients NaN or infinite.
    """
    parts = (coefficients.heads, coefficients.neurons)
    heads, neurons = (
        np.array(part, np.float32)
        for part in processes.by_first(lambda: [part.detach().float().cpu().tolist() for part in parts])
    )
    if not (np.isfinite(heads).all() and np.isfinite(neurons).all()):
        raise TicketError("The search diverged, its coefficients are not finite: lower its learning rate.")
    return heads, neurons
