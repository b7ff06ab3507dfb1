"""The log of the training of a stage."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Number of points that the log of a stage keeps; a picture cannot show more.
_MOST = 200


@dataclass(frozen=True)
class TrainingLog:
    """Loss, gradient norm and learning rate of a training, at the logged steps.

    Numbers that are not finite are None.

    Attributes:
        steps: The logged optimiser steps, counted from 1.
        loss: Mean loss since the previous logged step, without the penalty.
        gradient_norm: Norm of the gradient of all weights, before clipping.
        learning_rate: Learning rate at the step.
        penalty: Mean penalty since the previous logged step; empty without a penalty.
        noise_level: Level of the noise, a factor of its rate; empty without noise.
        clean_loss: Mean loss of the texts that the noise does not change; empty without noise. If it is above
            `noisy_loss`, the noise reveals the classes of the texts.
        noisy_loss: Mean loss of the texts that were chosen for noise; empty without noise.
        retreats: The steps at which the training went back to its last good state, because the model
            was no better than naming the largest class.
        epochs: The epochs after which the model was evaluated on the selection split; empty without such
            evaluations.
        selection: For each of `epochs`, accuracy on the selection split, or macro-F1 with balanced classes.
        kept_epoch: The epoch whose weights were kept; None if the model was not evaluated.
    """

    steps: list[int] = field(default_factory=list)
    loss: list[float | None] = field(default_factory=list)
    gradient_norm: list[float | None] = field(default_factory=list)
    learning_rate: list[float | None] = field(default_factory=list)
    penalty: list[float | None] = field(default_factory=list)
    noise_level: list[float | None] = field(default_factory=list)
    clean_loss: list[float | None] = field(default_factory=list)
    noisy_loss: list[float | None] = field(default_factory=list)
    retreats: list[int] = field(default_factory=list)
    epochs: list[float] = field(default_factory=list)
    selection: list[float] = field(default_factory=list)
    kept_epoch: float | None = None

    @classmethod
    def of(cls, history: Sequence[Mapping[str, Any]]) -> TrainingLog:
        """Make the log from the log history of a trainer.

        Of a long history, evenly spaced points are kept, the first and the last included.

        Args:
            history: The entries of `TrainerState.log_history`.
        """
        points = [entry for entry in history if "loss" in entry]
        if len(points) > _MOST:
            last = len(points) - 1
            points = [points[round(place * last / (_MOST - 1))] for place in range(_MOST)]

        def values(name: str) -> list[float | None]:
            return [_finite(point.get(name)) for point in points]

        def some(name: str) -> list[float | None]:
            return values(name) if any(name in point for point in points) else []

        judged = [entry for entry in history if "selection" in entry]
        best = max(judged, key=lambda entry: entry["selection"], default=None)
        return cls(
            steps=[int(point["step"]) for point in points],
            loss=values("loss"),
            gradient_norm=values("grad_norm"),
            learning_rate=values("learning_rate"),
            penalty=some("penalty"),
            noise_level=some("noise_level"),
            clean_loss=some("clean_loss"),
            noisy_loss=some("noisy_loss"),
            retreats=[int(entry["step"]) for entry in history if "retreat" in entry],
            epochs=[float(entry["epoch"]) for entry in judged],
            selection=[float(entry["selection"]) for entry in judged],
            kept_epoch=None if best is None else float(best["epoch"]),
        )


def _finite(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)
