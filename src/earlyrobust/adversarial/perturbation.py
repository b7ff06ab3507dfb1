"""The perturbation δ of a batch: its arithmetic at valid tokens, and the hook that adds it to the embeddings.

A forward hook adds δ to the output of the model's word embeddings. The model still receives its token ids,
token types and attention mask. So it computes positions and everything else as in plain training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from earlyrobust.errors import ModelError

# How autograd says that the loss does not depend on δ.
_INDEPENDENT = ("not have been used in the graph", "does not require grad")


class Perturbation:
    """Creates, moves and projects δ per example, at valid tokens only, and adds it to the embeddings.

    Args:
        embedding: The model's word embeddings, whose output has shape (B, T, D).
        mask: Attention mask (B, T), 0 at padding.
    """

    def __init__(self, embedding: nn.Module, mask: Tensor) -> None:
        self._embedding = embedding
        self.mask = mask.unsqueeze(-1).float()
        self.lengths = mask.sum(dim=1).float()

    @contextmanager
    def applied(self, delta: Tensor) -> Iterator[None]:
        """Add `delta` (B, T, D) to the embeddings while the context lasts.

        Raises:
            ModelError: If no pass within the context computes the embeddings, or one computes them for other
                tokens than those of the batch, or the passes compute them for different tokens.
        """
        added = False
        calls = SameTokens()

        def add(_module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            nonlocal added
            calls.check(inputs)
            # Unequal shapes may still fit each other by broadcasting, but then δ would reach other tokens.
            if output.shape[:-1] != self.mask.shape[:-1]:
                raise ModelError(
                    f"This model pads its input itself or rearranges it, from {tuple(self.mask.shape[:-1])} "
                    f"to {tuple(output.shape[:-1])}, so its embeddings cannot be perturbed: choose another "
                    "model, or pad the texts to a length that it keeps."
                )
            added = True
            return output + (delta * self.mask).to(output.dtype)

        handle = self._embedding.register_forward_hook(add)
        try:
            yield
        except RuntimeError as error:
            # A pass without δ fails where δ's gradient is wanted. Other errors, such as of memory or of other
            # processes, keep their names.
            if added or not any(words in str(error) for words in _INDEPENDENT):
                raise
            raise _bypassed() from error
        finally:
            handle.remove()
        if not added:
            raise _bypassed()

    @property
    def channels(self) -> int:
        """Return D, the width of the word embeddings."""
        return int(self._embedding.weight.shape[1])  # type: ignore[index]

    @torch.no_grad()
    def between(self, tokens: Tensor, others: Tensor) -> Tensor:
        """Return the vectors from the embeddings of tokens to those of other tokens: E[others] − E[tokens].

        Args:
            tokens: Token ids, shape (B, T).
            others: Token ids, shape (B, T, K).

        Returns:
            Shape (B, T, K, D), in single precision, without gradient.
        """
        # The layer and not its weights, because some layers scale them. Hooks may add noise, and `forward`
        # runs none.
        embed = self._embedding.forward
        return in_full(embed(others) - embed(tokens).unsqueeze(2))

    def uniform(self, magnitude: float, bound: float = 0) -> Tensor:
        """Draw δ₀ ~ U(−1, 1) · magnitude / √(tokens · D) per example, zero at padding, and project it.

        A magnitude of 0 draws no random numbers, so the dropout masks are those of plain training.

        Args:
            magnitude: ε₀, the magnitude of the start.
            bound: Radius of the ball around zero that each example is projected into; 0 for no bound.

        Returns:
            δ₀, shape (B, T, D).
        """
        noise = self._zeros()
        if magnitude == 0:
            return noise
        noise.uniform_(-1, 1)
        # The row of an empty text may hold no token; the clamp avoids a division by zero.
        scale = (magnitude / (self.lengths.clamp(min=1) * self.channels).sqrt())[:, None, None]
        return _project(noise * self.mask * scale, bound, 2)

    def normal(self, deviation: float, bound: float = 0) -> Tensor:
        """Draw δ₀ ~ N(0, deviation²), zero at padding, and clamp its entries to the bound.

        A deviation of 0 draws no random numbers, so the dropout masks are those of plain training.

        Args:
            deviation: σ, the standard deviation.
            bound: Largest absolute value of an entry; 0 for no bound.

        Returns:
            δ₀, shape (B, T, D).
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
        """Take one normalised ascent step, then project: δ ← Π(δ + step_size · g/‖g‖), norms per example.

        An example without a gradient does not move. The step does not depend on the gradient's scale, so
        neither gradient accumulation nor loss scaling changes it.

        Args:
            delta: Current perturbation, shape (B, T, D).
            gradient: Gradient of the loss with respect to `delta`, shape (B, T, D).
            step_size: Length of the step.
            bound: Radius of the ball around zero that δ stays in; 0 for no bound.
            norm: 2 for the Euclidean norm, `math.inf` for the largest entry.
            each_token: Whether each token takes a step of this length, instead of each example.

        Returns:
            The new perturbation, shape (B, T, D).
        """
        length = _norms(gradient, norm, 2 if each_token else (1, 2))
        return _project(delta + step_size * gradient / length.where(length > 0, 1), bound, norm)


class SameTokens:
    """Refuses passes that compute one embedding layer for several texts, as some encoder-decoders do.

    What belongs to the embeddings of one text would also reach the embeddings of the other.
    """

    def __init__(self) -> None:
        self._first: Tensor | None = None

    def check(self, inputs: tuple[Any, ...]) -> None:
        """Check the inputs of a call of the layer.

        Args:
            inputs: The positional arguments; the first one are the token ids.

        Raises:
            ModelError: If the ids differ from those of the first call.
        """
        tokens = inputs[0] if inputs else None
        if not isinstance(tokens, Tensor):
            return
        if self._first is None:
            self._first = tokens
        elif tokens is not self._first and not torch.equal(tokens, self._first):
            raise ModelError(
                "This model passes more than one text through get_input_embeddings(), such as those of an "
                "encoder and a decoder, so the embeddings of one text cannot be perturbed, and no noise can "
                "learn from their gradients: choose another model, or a method and noise that use no "
                "embeddings."
            )


def _bypassed() -> ModelError:
    return ModelError(
        "This model does not pass its tokens through get_input_embeddings(), so its embeddings cannot be "
        "perturbed: choose another model, or a method and noise that perturb no embeddings."
    )


def _project(delta: Tensor, bound: float, norm: float) -> Tensor:
    """Pull each example's δ back into the ball of radius `bound` around zero; 0 for no bound."""
    if bound == 0:
        return delta
    if norm == math.inf:
        return delta.clamp(-bound, bound)
    return delta * (bound / _norms(delta, norm).clamp(min=bound))


def in_full(tensor: Tensor) -> Tensor:
    """Convert a half-precision tensor to single precision; autocast computes logits in half precision."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _norms(tensor: Tensor, norm: float, dim: int | tuple[int, ...] = (1, 2)) -> Tensor:
    """Return the norm of each example, (B, T, D) → (B, 1, 1), or the norms over other dimensions."""
    norms: Tensor = torch.linalg.vector_norm(tensor, norm, dim=dim, keepdim=True)
    return norms
