"""SMART: a smoothness-inducing regulariser (Jiang et al., ACL 2020), on embeddings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.nn.functional import log_softmax

from earlyrobust.adversarial.base import ASCENT, Adversary, AdversaryConfig, Passes
from earlyrobust.adversarial.perturbation import Perturbation, in_full
from earlyrobust.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, kw_only=True)
class SMARTConfig(AdversaryConfig):
    """Settings of SMART.

    Attributes:
        weight: λ_s, the weight of the regulariser. Default: 1 (the release).
        steps: Number of ascents. Default: 1 (the release).
        step_size: η, the largest entry of one ascent step of a token. Default: 1e-3 (the paper). This
            deviates from the release; the docstring of `SMART` says how.
        deviation: σ, the standard deviation of the normal start. Default: 1e-5 (the release).
        bound: ε, the largest absolute value of an entry of δ; 0 for no bound. Default: 0 (the release, which
            projects nothing).
    """

    weight: float = 1.0
    steps: int = 1
    step_size: float = 1e-3
    deviation: float = 1e-5
    bound: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(0, "weight", "steps", "step_size", "deviation", "bound")


class SMART(Adversary):
    """Keeps the predictions for clean and for perturbed embeddings close to each other.

    The loss, with the mean over the batch, and the ascent, with norms per token as in the release:

        L(θ) + λ_s · mean of max_δ ℓ_s(f(x + δ), f(x)),  ℓ_s(P, Q) = KL(P‖Q) + KL(Q‖P)
        δ₀ ~ N(0, σ²)
        δ ← Π(δ + η ∇_δ ℓ_s / ‖∇_δ ℓ_s‖_∞)

    This class deviates from the release in three ways:

    - The release normalises the sum of the start and the ascent step. So the largest entry of δ is 1 at every
      token, whatever η and σ are. Here η is the length of the step, as in the paper.
    - The release adds δ to the output of the embedding layer, after LayerNorm. Here δ is added to the word
      embeddings, as in all adversaries of this package. At the word embeddings, a step of the default η is
      about as long as a step of FreeLB.
    - In the ascent, the release maximises only one of the two divergences. Here the ascent maximises their
      sum.

    The second part of the paper's method, Bregman proximal point optimisation, is left out, because it
    perturbs nothing. With weight 0, SMART is plain training.
    """

    Config = SMARTConfig
    config: SMARTConfig

    def cost(self, layers: int) -> float:
        """Return the cost of a clean pass, a perturbed pass, and the ascents.

        The ascents use the predictions of the clean pass.
        """
        return 1 if self.config.weight == 0 else 2 + self.config.steps * ASCENT

    def parts(self, model: PreTrainedModel) -> None:
        """Return None, after a check that the model is a classifier of mutually exclusive classes.

        Raises:
            ConfigError: If `weight` is positive and the model has one output, or is for regression or for
                several labels per example.
        """
        kind = model.config.problem_type
        if self.config.weight and (
            model.config.num_labels == 1 or kind not in (None, "single_label_classification")
        ):
            raise ConfigError(
                "SMART needs a classifier of mutually exclusive classes, but this model is for "
                f"{(kind or 'regression').replace('_', ' ')}: choose another adversary."
            )

    def _step(self, perturbation: Perturbation, passes: Passes) -> Tensor:
        config = self.config

        def regularised(loss: Tensor, outputs: Any) -> Tensor:
            delta = self._worst(perturbation, passes, outputs.logits.detach())
            with perturbation.applied(delta):
                perturbed = passes.outputs().logits
            return loss + config.weight * divergence(perturbed, outputs.logits)

        return passes.accumulate(objective=None if config.weight == 0 else regularised)

    def _worst(self, perturbation: Perturbation, passes: Passes, clean: Tensor) -> Tensor:
        """Return the δ after the ascents, which approximates the δ that moves the predictions most."""
        config = self.config
        delta = perturbation.normal(config.deviation, config.bound)
        for _ in range(config.steps):
            delta.requires_grad_()
            with perturbation.applied(delta):
                gradient = passes.gradient(delta, lambda _, outputs: divergence(outputs.logits, clean))
            delta = perturbation.ascend(
                delta.detach(), gradient, config.step_size, config.bound, math.inf, each_token=True
            )
        return delta


def divergence(first: Tensor, second: Tensor) -> Tensor:
    """Return the symmetric Kullback-Leibler divergence of predictions, in nats, averaged over the batch.

    Args:
        first: Logits, shape (B, classes).
        second: Logits, shape (B, classes).

    Returns:
        The mean divergence, a scalar.
    """
    p, q = (log_softmax(in_full(logits), dim=1) for logits in (first, second))
    return ((p.exp() - q.exp()) * (p - q)).sum(dim=1).mean()
