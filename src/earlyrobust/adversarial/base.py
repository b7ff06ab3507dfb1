"""The base of all adversaries: it owns δ's padding, norms and bounds, and how δ gets into the model.

δ is added to the output of the model's word embeddings by a forward hook. The model still sees its token ids,
token types and attention mask, so positions and everything else are computed as in plain training.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from earlyrobust.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class AdversaryConfig:
    """Base of the adversaries' settings; each one checks its own on construction."""

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON types."""
        return asdict(self)

    def _require(self, condition: bool, message: str) -> None:
        if not condition:
            raise ConfigError(f"{type(self).__name__}: {message}.")


class Passes(ABC):
    """What a trainer lets an adversary do with one batch. The model is in training mode throughout."""

    @abstractmethod
    def accumulate(self, weight: float) -> Tensor:
        """Run forward and backward once, adding `weight` times the loss's gradient to every parameter.

        Returns:
            The unweighted loss, a detached scalar.
        """


class Adversary(ABC):
    """Computes the gradients of one training step under perturbed embeddings.

    A subclass names its settings in `Config` and writes `_step`; everything it needs for it is a method here.
    Shapes: B examples, T tokens, D embedding channels.

    Args:
        config: The settings.
        **settings: Or the settings by name: `FreeLB(steps=3)`.
    """

    Config: ClassVar[type[AdversaryConfig]]

    def __init__(self, config: AdversaryConfig | None = None, **settings: Any) -> None:
        if config is not None and settings:
            raise ConfigError("Give an adversary either its config or settings by name, not both.")
        try:
            self.config = config or self.Config(**settings)
        except TypeError as error:
            known = ", ".join(self.Config.__dataclass_fields__)
            raise ConfigError(f"{type(self).__name__} knows the settings {known}: {error}.") from error

    @final
    def step(self, embedding: nn.Module, mask: Tensor, passes: Passes) -> Tensor:
        """Add the gradients of one training step to the parameters.

        Args:
            embedding: The model's word embeddings, whose output (B, T, D) is perturbed.
            mask: Attention mask (B, T), 0 at padding, which is never perturbed.
            passes: Runs the model over the batch.

        Returns:
            The loss to report, a detached scalar.
        """
        return self._step(Perturbation(embedding, mask), passes)

    @property
    @abstractmethod
    def passes(self) -> int:
        """Forward-backward passes over the model in one training step."""

    @abstractmethod
    def _step(self, perturbation: Perturbation, passes: Passes) -> Tensor:
        """The adversary's own mathematics."""


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

    def uniform(self, magnitude: float) -> Tensor:
        """δ₀ ~ U(−1, 1) · magnitude / √(tokens · D), per example, zero at padding. Shape (B, T, D).

        A magnitude of 0 draws no random numbers: dropout then is that of plain training.
        """
        noise = torch.zeros((*self.mask.shape[:2], self.channels), device=self.mask.device)
        if magnitude == 0:
            return noise
        noise.uniform_(-1, 1)
        return noise * self.mask * (magnitude / (self.lengths * self.channels).sqrt())[:, None, None]

    def ascend(self, delta: Tensor, gradient: Tensor, step_size: float, bound: float) -> Tensor:
        """One normalised ascent, then projection: δ ← Π(δ + step_size · g/‖g‖₂), norms per example.

        An example without any gradient stays where it is. The norm's scale does not matter, so neither does
        that of the loss (gradient accumulation, loss scaling).

        Args:
            delta: Current perturbation, (B, T, D).
            gradient: Of the loss with respect to `delta`.
            step_size: Length of the step.
            bound: Radius of the ball around zero that δ stays in; 0 leaves it unconstrained.
        """
        norm = _norms(gradient)
        moved = delta + step_size * gradient / norm.where(norm > 0, 1)
        if bound > 0:
            length = _norms(moved)
            moved = moved * (bound / length.clamp(min=bound))
        return moved


def _norms(tensor: Tensor) -> Tensor:
    """Euclidean norm of each example, (B, T, D) → (B, 1, 1)."""
    norms: Tensor = torch.linalg.vector_norm(tensor, dim=(1, 2), keepdim=True)
    return norms


def replay(device: torch.device) -> Callable[[], None]:
    """Remember the state of the random generators; the function returned goes back to it.

    Called before each pass, it makes all passes draw the same dropout masks.
    """
    cpu = torch.get_rng_state()
    own = None if device.type == "cpu" else torch.get_device_module(device).get_rng_state(device)

    def rewind() -> None:
        torch.set_rng_state(cpu)
        if own is not None:
            torch.get_device_module(device).set_rng_state(own, device)

    return rewind
