"""A loss that weights examples by their classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def balanced_weights(counts: Sequence[int]) -> list[float]:
    """Return the weight of each class, inversely proportional to its number of examples.

    The mean weight of the examples is 1. The weight of a class is examples / (classes * its examples).

    Args:
        counts: Number of examples of each class, at least 1.
    """
    return [sum(counts) / (len(counts) * count) for count in counts]


class WeightedLoss:
    """The mean of the cross-entropies of the examples, each multiplied by the weight of its class.

    `Trainer` accepts it as `compute_loss_func`.

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
            labels: The correct classes, shape (examples,).
            num_items_in_batch: Number of examples of the whole optimiser step; None for those of this batch.
        """
        logits = outputs.logits.float()
        losses = cross_entropy(logits, labels, weight=self._weights.to(logits.device), reduction="none")
        return losses.sum() / (len(labels) if num_items_in_batch is None else num_items_in_batch)
