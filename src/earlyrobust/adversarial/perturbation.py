"""The perturbation δ of a batch: its padding, norms and bounds, and how δ gets into the model.

δ is added to the output of the model's word embeddings by a forward hook. The model still sees its token ids,
token types and attention mask, so positions and everything else are computed as in plain training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Perturbation:
    """Adds δ to the embeddings of one batch, and does δ's arithmetic: per example, on valid tokens only."""

    def __init__(self, embedding: nn.Module, mask: Tensor) -> None:
        self._embedding = embedding
        self.mask = mask.unsqueeze(-1).float()
        self.lengths = mask.sum(dim=1).float()

    @contextmanager
    def applied(self, delta: Tensor) -> Iterator[None]:
        """Add `delta` (B, T, D) to the embeddings while the context lasts."""

        def add(_module: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
            return output + (delta * self.mask).to(output.dtype)

        handle = self._embedding.register_forward_hook(add)
        try:
            yield
        finally:
            handle.remove()

    @property
    def channels(self) -> int:
        """D, the width of the word embeddings."""
        return int(self._embedding.weight.shape[1])  # type: ignore[index]

    @torch.no_grad()
    def between(self, tokens: Tensor, others: Tensor) -> Tensor:
        """How far the embeddings of some tokens are from those of others: E[others] − E[tokens].

        Args:
            tokens: Indices (B, T).
            others: Indices (B, T, K).

        Returns:
            Shape (B, T, K, D), single precision, without gradient.
        """
        weight = self._embedding.weight
        return in_full(weight[others] - weight[tokens].unsqueeze(2))  # type: ignore[index]

    def uniform(self, magnitude: float, bound: float = 0) -> Tensor:
        """δ₀ ~ U(−1, 1) · magnitude / √(tokens · D), per example, zero at padding, then projected.

        Shape (B, T, D). A magnitude of 0 draws no random numbers: dropout then is that of plain training.
        """
        noise = self._zeros()
        if magnitude == 0:
            return noise
        noise.uniform_(-1, 1)
        # A row without any token, as an empty text may be, has nothing to be moved.
        scale = (magnitude / (self.lengths.clamp(min=1) * self.channels).sqrt())[:, None, None]
        return _project(noise * self.mask * scale, bound, 2)

    def normal(self, deviation: float, bound: float = 0) -> Tensor:
        """δ₀ ~ N(0, deviation²), zero at padding, projected by its largest entry. Shape (B, T, D).

        A deviation of 0 draws no random numbers, as above.
        """
        noise = self._zeros()
        return noise if deviation == 0 else _project(noise.normal_(0, deviation) * self.mask, bound, math.inf)

    def _zeros(self) -> Tensor:
        return torch.zeros((*self.mask.shape[:2], self.channels), device=self.mask.device)

    @staticmethod
    def ascend(
        delta: Tensor,
        gradient: Tensor,
        step_size: float,
        bound: float,
        norm: float = 2,
        *,
        each_token: bool = False,
    ) -> Tensor:
        """One normalised ascent, then projection: δ ← Π(δ + step_size · g/‖g‖), norms per example.

        What has no gradient stays where it is. The norm's scale does not matter, so neither does that of the
        loss (gradient accumulation, loss scaling).

        Args:
            delta: Current perturbation, (B, T, D).
            gradient: Of the loss with respect to `delta`.
            step_size: Length of the step.
            bound: Radius of the ball around zero that δ stays in; 0 leaves it unconstrained.
            norm: 2 for the Euclidean norm, `math.inf` for the largest entry.
            each_token: Give each token a step of that length, instead of each example.
        """
        length = _norms(gradient, norm, 2 if each_token else (1, 2))
        return _project(delta + step_size * gradient / length.where(length > 0, 1), bound, norm)


def _project(delta: Tensor, bound: float, norm: float) -> Tensor:
    """Pull each example's δ back into the ball of radius `bound` around zero; 0 is no bound."""
    if bound == 0:
        return delta
    if norm == math.inf:
        return delta.clamp(-bound, bound)
    return delta * (bound / _norms(delta, norm).clamp(min=bound))


def in_full(tensor: Tensor) -> Tensor:
    """In single precision where it was in half; autocast computes logits in half."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _norms(tensor: Tensor, norm: float, dim: int | tuple[int, ...] = (1, 2)) -> Tensor:
    """Norm of each example, (B, T, D) → (B, 1, 1), or over other dimensions."""
    norms: Tensor = torch.linalg.vector_norm(tensor, norm, dim=dim, keepdim=True)
    return norms
