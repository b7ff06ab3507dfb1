"""FreeLB: enhanced adversarial training for natural language understanding (Zhu et al., ICLR 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor

from earlyrobust.adversarial.base import Adversary, AdversaryConfig, Passes, Perturbation, replay


@dataclass(frozen=True, kw_only=True)
class FreeLBConfig(AdversaryConfig):
    """Settings of FreeLB.

    Attributes:
        steps: K, forward-backward passes per step (5: the early-bird paper's release for IMDB).
        step_size: Length of one normalised ascent (0.01: the same).
        initial_magnitude: ε₀ of the uniform start (0.05: the same).
        bound: Radius of the ball that δ stays in, 0 for none (0: the same).
        share_dropout: Draw the dropout masks once for all K passes (False: the same).
    """

    steps: int = 5
    step_size: float = 0.01
    initial_magnitude: float = 0.05
    bound: float = 0.0
    share_dropout: bool = False

    def __post_init__(self) -> None:
        self._require(self.steps >= 1, f"steps is {self.steps}, but at least one pass is needed")
        for name in ("step_size", "initial_magnitude", "bound"):
            value = getattr(self, name)
            self._require(0 <= value < math.inf, f"{name} is {value}, but must be a number of at least 0")


class FreeLB(Adversary):
    """Averages the weights' gradient over K passes while δ ascends between them.

    δ₀ ~ U(−1, 1)·ε₀/√(tokens·D);  for t = 1…K:
        g_θ ← g_θ + (1/K) ∇_θ L(δ_{t−1});   δ_t ← Π(δ_{t−1} + α ∇_δ L / ‖∇_δ L‖₂)   (Algorithm 1 there).

    With one step and a zero start it is plain training.
    """

    Config: ClassVar[type[AdversaryConfig]] = FreeLBConfig

    @property
    def passes(self) -> int:
        """K forward-backward passes."""
        return cast("FreeLBConfig", self.config).steps

    def _step(self, perturbation: Perturbation, passes: Passes) -> Tensor:
        config = cast("FreeLBConfig", self.config)
        delta = perturbation.uniform(config.initial_magnitude)
        rewind = replay(delta.device) if config.share_dropout else None
        losses = []
        for step in range(config.steps):
            last = step == config.steps - 1
            # The last pass's ascent would never be used, so δ's gradient is not computed there.
            delta = delta.detach().requires_grad_(not last)
            if rewind is not None:
                rewind()
            with perturbation.applied(delta):
                losses.append(passes.accumulate(1 / config.steps))
            if not last:
                gradient = cast("Tensor", delta.grad)
                delta = perturbation.ascend(delta.detach(), gradient, config.step_size, config.bound)
        return torch.stack(losses).mean()
