"""SMART's smoothness-inducing regulariser (Jiang et al., ACL 2020), on embeddings."""

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
        weight: λ_s, of the regulariser (1: the release).
        steps: Ascents (1: the release).
        step_size: η, largest entry of one ascent of a token (1e-3: the paper). This deviates from the
            release, see the class.
        deviation: σ of the normal start (1e-5: the release).
        bound: ε, largest entry of δ, 0 for none (0: the release, which projects nothing).
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

    L(θ) + λ_s · mean over the batch of max_δ ℓ_s(f(x + δ), f(x)),  ℓ_s(P, Q) = KL(P‖Q) + KL(Q‖P);
    δ₀ ~ N(0, σ²);  δ ← Π(δ + η ∇_δ ℓ_s / ‖∇_δ ℓ_s‖_∞), norms per token, as in the release.

    This deviates from the release in the length and in the place of δ. The release normalises the sum of the
    start and the ascent, so that the largest entry of δ is 1 at every token, whatever η and σ are. It adds δ
    to the output of the embedding layer, after LayerNorm. Here η is the length, as in the paper, and δ is
    added to the word embeddings, as by all adversaries here, for which that is about as far as FreeLB goes.
    In the ascent, the release takes one of the two divergences alone.

    The second part of the paper's method, Bregman proximal point optimisation, is left out: it perturbs
    nothing. With weight 0 it is plain training.
    """

    Config = SMARTConfig
    config: SMARTConfig

    def cost(self, layers: int) -> float:
        """A clean and a perturbed pass, and the ascents, which use the clean pass's predictions."""
        return 1 if self.config.weight == 0 else 2 + self.config.steps * ASCENT

    def parts(self, model: PreTrainedModel) -> None:
        """None; refuses a model whose outputs are no classes, between which there is nothing to diverge.

        Raises:
            ConfigError: If it is one.
        """
        kind = model.config.problem_type
        if self.config.weight and (
            model.config.num_labels == 1 or kind not in (None, "single_label_classification")
        ):
            raise ConfigError(
                "SMART compares what a model says of classes that exclude one another, but this one is for "
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
        """The δ that moves the predictions most, as far as the ascents find it."""
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
    """Symmetric Kullback-Leibler divergence of two batches of predictions, in nats, averaged over the batch.

    Args:
        first: Logits, (B, classes).
        second: Logits, (B, classes).
    """
    p, q = (log_softmax(in_full(logits), dim=1) for logits in (first, second))
    return ((p.exp() - q.exp()) * (p - q)).sum(dim=1).mean()
