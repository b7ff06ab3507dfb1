"""FreeAT: adversarial training for free (Shafahi et al., NeurIPS 2019), on embeddings."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from earlyrobust.adversarial.base import Adversary, AscentConfig, Passes
from earlyrobust.adversarial.perturbation import Perturbation


@dataclass(frozen=True, kw_only=True)
class FreeATConfig(AscentConfig):
    """Settings of FreeAT; those of the ascent are FreeLB's (ours).

    Attributes:
        replays: m, how often in a row each batch is trained on (3: ours).
    """

    replays: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.replays >= 1, f"replays is {self.replays}, but must be at least 1")


class FreeAT(Adversary):
    """Trains on each batch m times in a row, and lets δ ascend with the gradient that each time yields.

    δ₀ ~ U(−1, 1)·ε₀/√(tokens·D);  for t = 1…m:
        θ ← θ − η ∇_θ L(θ, δ_{t−1});   δ_t ← Π(δ_{t−1} + α ∇_δ L / ‖∇_δ L‖₂)   (Algorithm 1 there).

    The trainer takes an optimiser step each time and divides the epochs by m, so that it costs as much as
    plain training. There δ is carried over from batch to batch too, which is for images, all of one shape;
    here each batch of texts has its own start. With one replay and a zero start it is plain training.
    """

    Config = FreeATConfig
    config: FreeATConfig

    @property
    def replays(self) -> int:
        """M."""
        return self.config.replays

    def cost(self, layers: int) -> float:
        """One pass, which yields the gradients of weights and of δ."""
        return 1

    def _step(self, perturbation: Perturbation, passes: Passes) -> Tensor:
        config = self.config
        delta = passes.memory.get("delta")
        if delta is None:
            delta = perturbation.uniform(config.initial_magnitude, config.bound)
        delta.requires_grad_(config.replays > 1)
        with perturbation.applied(delta):
            loss = passes.accumulate()
        if delta.grad is not None:
            passes.memory["delta"] = perturbation.ascend(
                delta.detach(), delta.grad, config.step_size, config.bound
            )
        return loss
