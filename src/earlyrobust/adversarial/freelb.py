"""FreeLB: enhanced adversarial training for natural language understanding (Zhu et al., ICLR 2020)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor

from earlyrobust.adversarial.base import Adversary, AscentConfig, Objective, Passes, replay
from earlyrobust.adversarial.perturbation import Perturbation


@dataclass(frozen=True, kw_only=True)
class FreeLBConfig(AscentConfig):
    """Settings of FreeLB.

    Attributes:
        steps: K, the number of forward-backward passes per step. Default: 5 (the early-bird paper's release
            for IMDB).
        share_dropout: Whether all K passes use the same dropout masks. Default: False (the early-bird paper's
            release for IMDB).
    """

    steps: int = 5
    share_dropout: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(self.steps >= 1, f"steps is {self.steps}, but at least one pass is needed")


class FreeLB(Adversary):
    """Averages the weights' gradient over K passes while δ ascends between them.

    Algorithm 1 of the paper:

        δ₀ ~ U(−1, 1)·ε₀/√(tokens·D)
        for t = 1…K:
            g_θ ← g_θ + (1/K) ∇_θ L(δ_{t−1})
            δ_t ← Π(δ_{t−1} + α ∇_δ L / ‖∇_δ L‖₂)

    With one pass and initial_magnitude 0, FreeLB is plain training.
    """

    Config = FreeLBConfig
    config: FreeLBConfig

    def cost(self, layers: int) -> float:
        """Return the cost of K passes."""
        return self.config.steps

    def _step(self, perturbation: Perturbation, passes: Passes) -> Tensor:
        return average_while_ascending(self.config, perturbation, passes)


def average_while_ascending(
    config: FreeLBConfig,
    perturbation: Perturbation,
    passes: Passes,
    objective_at: Callable[[Tensor], Objective] | None = None,
    **options: Any,
) -> Tensor:
    """Run FreeLB's step on any objective.

    Args:
        config: The settings.
        perturbation: Creates, projects and applies δ for this batch.
        passes: Runs the model over the batch.
        objective_at: Returns the objective of a pass for `Passes.accumulate`, given the δ of this pass. None
            minimises the loss itself.
        **options: More arguments for the model, see `Passes.accumulate`.

    Returns:
        The mean loss of the passes, a detached scalar.
    """
    delta = perturbation.uniform(config.initial_magnitude, config.bound)
    rewind = replay(delta.device) if config.share_dropout else None
    losses = []
    for step in range(config.steps):
        last = step == config.steps - 1
        # No pass uses a δ that ascended after the last pass. So the last pass computes δ's gradient only for
        # an objective.
        delta = delta.detach().requires_grad_(not last or objective_at is not None)
        objective = None if objective_at is None else objective_at(delta)
        if rewind is not None:
            rewind()
        with perturbation.applied(delta):
            losses.append(passes.accumulate(1 / config.steps, objective, **options))
        if not last:
            gradient = cast("Tensor", delta.grad)
            delta = perturbation.ascend(delta.detach(), gradient, config.step_size, config.bound)
    return torch.stack(losses).mean()
