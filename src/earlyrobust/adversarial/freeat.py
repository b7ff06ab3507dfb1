"""FreeAT: adversarial training for free (Shafahi et al., NeurIPS 2019), on embeddings."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from earlyrobust.adversarial.base import Adversary, AscentConfig, Passes
from earlyrobust.adversarial.perturbation import Perturbation


@dataclass(frozen=True, kw_only=True)
class FreeATConfig(AscentConfig):
    """Settings of FreeAT. The default values of the ascent are those of FreeLB (our choice).

    Attributes:
        replays: m, how often in a row the trainer trains on each batch. Default: 3 (our choice).
    """

    replays: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.replays >= 1, f"replays is {self.replays}, but must be at least 1")


class FreeAT(Adversary):
    """Trains on each batch m times in a row; each pass also yields the gradient by which δ ascends.

    Algorithm 1 of the paper:

        δ₀ ~ U(−1, 1)·ε₀/√(tokens·D)
        for t = 1…m:
            θ ← θ − η ∇_θ L(θ, δ_{t−1})
            δ_t ← Π(δ_{t−1} + α ∇_δ L / ‖∇_δ L‖₂)

    The trainer takes an optimiser step at each replay and divides the number of epochs by m. So FreeAT costs
    as much as plain training. The paper also carries δ over from batch to batch. That works for images, which
    all have the same shape. Here δ starts anew for each batch of texts. With one replay and initial_magnitude
    0, FreeAT is plain training.
    """

    Config = FreeATConfig
    config: FreeATConfig

    @property
    def replays(self) -> int:
        """Return m, the number of replays of each batch."""
        return self.config.replays

    def cost(self, layers: int) -> float:
        """Return the cost of one pass, which yields the gradients of the weights and of δ."""
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
