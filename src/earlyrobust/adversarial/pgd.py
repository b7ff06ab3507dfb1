"""PGD: projected gradient descent (Madry et al., ICLR 2018), on embeddings."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from earlyrobust.adversarial.base import ASCENT, Adversary, AscentConfig, Passes
from earlyrobust.adversarial.perturbation import Perturbation


@dataclass(frozen=True, kw_only=True)
class PGDConfig(AscentConfig):
    """Settings of PGD. The default values of the ascent are those of FreeLB (our choice).

    Attributes:
        steps: K, the number of ascents before the update. Default: 5 (our choice, as for FreeLB).
    """

    steps: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(0, "steps")


class PGD(Adversary):
    """Searches for the worst δ in K ascents, then trains on it once.

        δ₀ ~ U(−1, 1)·ε₀/√(tokens·D)
        for t = 1…K:
            δ_t ← Π(δ_{t−1} + α ∇_δ L / ‖∇_δ L‖₂)
        g_θ ← ∇_θ L(δ_K)

    The ascents compute no gradients of weights. With 0 steps and initial_magnitude 0, PGD is plain training.
    """

    Config = PGDConfig
    config: PGDConfig

    def cost(self, layers: int) -> float:
        """Return the cost of K ascents and a pass."""
        return self.config.steps * ASCENT + 1

    def _step(self, perturbation: Perturbation, passes: Passes) -> Tensor:
        config = self.config
        delta = perturbation.uniform(config.initial_magnitude, config.bound)
        for _ in range(config.steps):
            delta.requires_grad_()
            with perturbation.applied(delta):
                gradient = passes.gradient(delta)
            delta = perturbation.ascend(delta.detach(), gradient, config.step_size, config.bound)
        with perturbation.applied(delta):
            return passes.accumulate()
