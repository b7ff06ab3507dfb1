"""A loss that weights examples by their classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def balanced_weights(counts: Sequence[int]) -> list[float]:
    """Return the weight of each class, inversely proportional to its number of examples.

    The mean weight of the examples is 1: the weight of a class is examples / (classes * its examples).

    Args:
        counts: Number of examples of each class, at least 1.
    """
    return [sum(counts) / (len(counts) * count) for count in counts]


class WeightedLoss:
    """The mean over examples of their cross-entropies, each times the weight of its class.

    `Trainer` takes it as `compute_loss_func`.

    Args:
        weights: The weight of each class.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self._weights = torch.tensor(weights)

    def __call__(
        self, outputs: Any, labels: Tensor, num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """Return the loss of a batch, a scalar.

        Args:
            outputs: The outputs of the model, with logits of shape (examples, classes).
            labels: The right classes, shape (examples,).
            num_items_in_batch: Number of examples of the whole optimiser step; None for those at hand.
        """
        logits = outputs.logits.float()
        losses = cross_entropy(logits, labels, weight=self._weights.to(logits.device), reduction="none")
        return losses.sum() / (len(labels) if num_items_in_batch is None else num_items_in_batch)
