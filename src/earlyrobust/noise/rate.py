"""The rate of noise that fits a task: it rises while the model still understands texts with noise."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

# Share of a mean loss that stays when a step adds to it.
_MEMORY = 0.95
# Share of the entropy of the classes that a model must have learned before its knowledge is compared.
_LEAST = 0.05


class FittedRate:
    """The level of noise, a factor from 0 to 1 that rises and falls in the course of the training.

    Let H be the loss of a model that knows nothing but the number of classes, ln C. A model knows H − L of
    texts with the mean loss L. The level rises while the model knows at least a share `keeps` of texts with
    noise, compared with texts without noise: H − L(noisy) ≥ keeps · (H − L(clean)). Otherwise it falls. It
    waits while the model knows next to nothing of clean texts.

    Args:
        classes: C, number of classes.
        keeps: The share of knowledge that texts with noise must keep; 0 lets the level rise in any case.
        ramp: Share of the training in which the level can rise from 0 to 1; 0 starts at 1.

    Attributes:
        level: The level.
        limit: The highest level that there can be, 1 unless a training has gone back to less noise.
        losses: Running means of the losses of clean and noisy texts, shape (2,); NaN where there were none.
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
        """1 while the level rises, −1 while it falls, 0 while it waits."""
        if self._keeps == 0:
            return 1
        known = self._most - self.losses
        if not known[0] > _LEAST * self._most:  # NaN, too
            return 0
        return -1 if known[1] < self._keeps * known[0] else 1

    def add(self, losses: NDArray[np.float64], noisy: NDArray[np.bool_]) -> None:
        """Add the losses of the texts of one step.

        Args:
            losses: The loss of each text, shape (N,).
            noisy: Whether the text has noise, shape (N,).
        """
        for kind in (0, 1):
            if (chosen := noisy == bool(kind)).any():
                now = float(losses[chosen].mean())
                before = self.losses[kind]
                self.losses[kind] = now if np.isnan(before) else _MEMORY * before + (1 - _MEMORY) * now

    def move(self, progress: float) -> None:
        """Let the level rise or fall up to a point of the training.

        Args:
            progress: The point, from 0 for the beginning of the training to 1 for its end.
        """
        if self._ramp:
            way = (progress - self._progress) / self._ramp
            self.level = max(0.0, self.level + self.direction * way)
        self.level = min(self.limit, self.level)
        self._progress = progress

    @property
    def state(self) -> NDArray[np.float64]:
        """The level, the two mean losses, the point of the training and the limit, for a checkpoint."""
        return np.array([self.level, *self.losses, self._progress, self.limit])

    @state.setter
    def state(self, state: NDArray[np.float64]) -> None:
        self.level, self._progress, self.limit = float(state[0]), float(state[3]), float(state[4])
        self.losses = state[1:3].copy()
