"""The rate of noise that fits a task: it rises while the model still classifies texts with noise well."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

# Share of a mean loss that remains when a step updates it.
_MEMORY = 0.95
# Share of ln C by which the loss must have fallen before the knowledge of a model is compared.
_LEAST = 0.05


class FittedRate:
    """The level of noise, a factor from 0 to 1 that rises and falls during the training.

    Let H = ln C be the loss of a model that knows only the number of classes. The knowledge of a model on
    texts with the mean loss L is H − L. The level rises while the model keeps at least the share `keeps` of
    its knowledge on texts with noise: H − L(noisy) ≥ keeps · (H − L(clean)). Otherwise the level falls. It
    does not change while the model knows almost nothing about clean texts.

    Args:
        classes: C, the number of classes.
        keeps: The share of knowledge that the model must keep on texts with noise; 0 lets the level always
            rise.
        ramp: Share of the training in which the level can rise from 0 to 1; 0 for a level that
            stays at 1, whatever `keeps` is.

    Attributes:
        level: The level.
        limit: The highest possible level. It is 1 unless the training has gone back to a state with less
            noise.
        losses: Running means of the losses of clean texts and of texts with noise, shape (2,); NaN before the
            first such text.
    """

    def __init__(self, classes: int, keeps: float, ramp: float) -> None:
        self._most = math.log(max(2, classes))
        self._keeps = keeps
        self._ramp = ramp
        self.level = 1.0 if ramp == 0 else 0.0
        self.limit = 1.0
        self.losses = np.full(2, np.nan)
        self._progress = 0.0

    @property
    def direction(self) -> int:
        """Return 1 while the level rises, −1 while it falls, and 0 while it does not change."""
        if self._keeps == 0:
            return 1
        known = self._most - self.losses
        if not known[0] > _LEAST * self._most:  # also if it is NaN
            return 0
        return -1 if known[1] < self._keeps * known[0] else 1

    def add(self, losses: NDArray[np.float64], noisy: NDArray[np.bool_]) -> None:
        """Update the mean losses with the losses of the texts of one step.

        Losses that are not finite do not count, because such a value would stay in the mean for ever.

        Args:
            losses: The loss of each text, shape (N,).
            noisy: Whether the text has noise, shape (N,).
        """
        for kind in (0, 1):
            if (chosen := (noisy == bool(kind)) & np.isfinite(losses)).any():
                now = float(losses[chosen].mean())
                before = self.losses[kind]
                self.losses[kind] = now if np.isnan(before) else _MEMORY * before + (1 - _MEMORY) * now

    def move(self, progress: float) -> None:
        """Raise or lower the level for the part of the training since the last call.

        A call with an earlier point than the last one belongs to another training. It starts from the level
        that the last training reached.

        Args:
            progress: The point of the training, from 0 for its beginning to 1 for its end.
        """
        if self._ramp:
            way = max(0.0, progress - self._progress) / self._ramp
            self.level = max(0.0, self.level + self.direction * way)
        self.level = min(self.limit, self.level)
        self._progress = progress

    def halve(self) -> None:
        """Halve the level and the highest possible level."""
        self.level /= 2
        self.limit /= 2

    @property
    def state(self) -> NDArray[np.float64]:
        """Return the level, both mean losses, the point of the training and the limit, for checkpoints."""
        return np.array([self.level, *self.losses, self._progress, self.limit])

    @state.setter
    def state(self, state: NDArray[np.float64]) -> None:
        self.level, self._progress, self.limit = float(state[0]), float(state[3]), float(state[4])
        self.losses = state[1:3].copy()
