"""InfoBERT: robustness from an information-theoretic perspective (Wang et al., ICLR 2021)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from earlyrobust.adversarial.base import GRADIENT, Adversary, Objective, Passes
from earlyrobust.adversarial.freelb import FreeLBConfig, average_while_ascending
from earlyrobust.adversarial.perturbation import Perturbation, in_full

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, kw_only=True)
class InfoBERTConfig(FreeLBConfig):
    """Settings of InfoBERT, which include those of its FreeLB.

    Attributes:
        steps: K, the number of FreeLB's passes. Default: 3 (the release for ANLI).
        step_size: Length of one normalised ascent step. Default: 0.04 (the release).
        initial_magnitude: ε₀, the magnitude of the uniform start. Default: 0.08 (the release).
        bottleneck_weight: β, the weight of the upper bound on the information in local features. Default:
            5e-3 (the release).
        anchor_weight: α, the weight of the lower bound on the information that anchors share with the
            sentence. Default: 5e-3 (the release).
        anchors_from: Share of an example's tokens, in ascending order of their gradients' norms, at which the
            anchors begin. Default: 0.5 (the release).
        anchors_to: Share of an example's tokens, in the same order, at which the anchors end. Default: 0.9
            (the release).
        critic_size: Hidden units of the critic. Default: 300 (the release).
    """

    steps: int = 3
    step_size: float = 0.04
    initial_magnitude: float = 0.08
    bottleneck_weight: float = 5e-3
    anchor_weight: float = 5e-3
    anchors_from: float = 0.5
    anchors_to: float = 0.9
    critic_size: int = 300

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(0, "bottleneck_weight", "anchor_weight", "anchors_from", "anchors_to")
        self._require_at_least(1, "critic_size")
        self._require(
            self.anchors_to <= 1, f"anchors_to is {self.anchors_to}, but is a share of the tokens, at most 1"
        )
        self._require(
            self.anchors_from < self.anchors_to,
            f"anchors_from is {self.anchors_from}, but must be below anchors_to, {self.anchors_to}",
        )


class InfoBERT(Adversary):
    """Adds two information-theoretic regularisers on the local features T and the global feature Z to FreeLB.

    L(δ) + β · Î(X; T) − α · Î(T_anchor; Z), averaged over K passes while δ ascends as in FreeLB. T are the
    outputs of the embedding layer. Z is the output of the last layer at the first token. Anchors are the
    tokens whose embeddings' gradients are neither among the smallest nor among the largest of their example.
    As in the release, these are the gradients of L(δ) + β · Î(X; T) on the perturbed batch. They are computed
    from the graph that the pass has already built.

    This class deviates from the release in three ways:

    - The release chooses the anchors in every pass, with a second backward pass each time. Here the anchors
      of the first pass serve for all K passes, because the δ of these passes are close to one another.
    - In the release, δ ascends the objective without the anchors' term. Here δ ascends the whole objective.
    - The release contrasts an anchor with the sentences of other, randomly drawn anchors. Here it is
      contrasted with all sentences of the batch.

    With one pass, initial_magnitude 0 and both weights 0, InfoBERT is plain training.
    """

    Config = InfoBERTConfig
    config: InfoBERTConfig

    def cost(self, layers: int) -> float:
        """Return the cost of K passes, and of one gradient with respect to δ if anchors are used."""
        return self.config.steps + (GRADIENT if self.config.anchor_weight else 0)

    def parts(self, model: PreTrainedModel) -> nn.Module | None:
        """Return the critic; None if `anchor_weight` is 0."""
        if self.config.anchor_weight == 0:
            return None
        return Critic(model.config.hidden_size, self.config.critic_size)

    def _step(self, perturbation: Perturbation, passes: Passes) -> Tensor:
        config = self.config
        valid = perturbation.mask[..., 0] > 0
        anchors: Tensor | None = None

        def regularised_at(delta: Tensor) -> Objective:
            def regularised(loss: Tensor, outputs: Any) -> Tensor:
                nonlocal anchors
                local, sentence = outputs.hidden_states[0], outputs.hidden_states[-1][:, 0]
                if config.bottleneck_weight:
                    loss = loss + config.bottleneck_weight * information_bound(local[valid])
                if config.anchor_weight and anchors is None:
                    norms = passes.gradient_of(loss, delta).norm(dim=-1)
                    anchors = choose_anchors(norms, valid, config.anchors_from, config.anchors_to)
                if anchors is not None and anchors.any():
                    shared = shared_information(cast("Critic", passes.parts), local, sentence, anchors)
                    loss = loss - config.anchor_weight * shared
                return loss

            return regularised

        return average_while_ascending(
            config, perturbation, passes, regularised_at, output_hidden_states=True
        )


class Critic(nn.Module):
    """Scores how well a local feature and a sentence go together; it is trained with the classifier.

    Softplus(w · ReLU(U t + V z + b) + c), a network with one hidden layer over both features.

    Args:
        channels: Channels of a local feature, and of a sentence's feature.
        hidden: Units of the hidden layer.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.local = nn.Linear(channels, hidden)
        self.sentence = nn.Linear(channels, hidden, bias=False)
        self.score = nn.Linear(hidden, 1)

    def forward(self, local: Tensor, sentence: Tensor) -> Tensor:
        """Return the scores of all pairs of a local feature and a sentence.

        Args:
            local: Local features, shape (N, channels).
            sentence: Features of the sentences, shape (B, channels).

        Returns:
            The scores, shape (N, B).
        """
        hidden = torch.relu(self.local(local)[:, None] + self.sentence(sentence)[None])
        scores: Tensor = nn.functional.softplus(self.score(hidden)[..., 0])
        return scores


def information_bound(features: Tensor) -> Tensor:
    """Return an upper bound on the information that local features hold about their inputs, in nats.

    This is the contrastive bound E_i log q(t_i|x_i) − E_{i,j} log q(t_j|x_i) with the Gaussian q(t|x_i) =
    N(t_i, 1). It is ½ E_{i,j} ‖t_i − t_j‖², the mean squared distance of the features to their mean.

    Args:
        features: Features of all valid tokens of the batch, shape (N, channels).

    Returns:
        The bound, a scalar.
    """
    features = in_full(features)
    return (features - features.mean(dim=0)).square().sum(dim=1).mean()


def shared_information(critic: Critic, local: Tensor, sentence: Tensor, anchors: Tensor) -> Tensor:
    """Return InfoNCE, a lower bound on the information that anchors share with their sentence, in nats.

    E_i [ f(t_i, z_i) − log (1/B) Σ_j exp f(t_i, z_j) ] over all anchors i and the batch's sentences j. The
    bound is at most log B.

    Args:
        critic: f, the critic.
        local: Features of all tokens, shape (B, T, channels).
        sentence: Features of the sentences, shape (B, channels).
        anchors: True at tokens that are anchors, shape (B, T).

    Returns:
        The bound, a scalar.
    """
    scores = in_full(critic(local[anchors], sentence))
    own = anchors.nonzero()[:, :1]
    return (scores.gather(1, own)[:, 0] - scores.logsumexp(dim=1)).mean() + math.log(len(sentence))


def choose_anchors(norms: Tensor, valid: Tensor, start: float, stop: float) -> Tensor:
    """Choose the tokens whose gradients are neither small nor among the largest of their example.

    Tokens with small gradients have no influence; tokens with the largest gradients are the least robust.

    Args:
        norms: The norm of each token's gradient, shape (B, T).
        valid: False at padding, shape (B, T).
        start: Share of an example's n tokens to leave out, those with the smallest gradients.
        stop: Share of an example's n tokens at which the anchors end.

    Returns:
        True at anchors, shape (B, T). In ascending order of the norms, these are the ranks from ⌈start·n⌉ to
        below ⌈stop·n⌉.
    """
    ranks = norms.masked_fill(~valid, torch.inf).argsort(dim=1, stable=True).argsort(dim=1)
    tokens = valid.sum(dim=1, keepdim=True).double()
    # The product is rounded first, so that 0.9 of ten tokens is nine tokens in spite of floating-point
    # errors.
    low, high = (torch.ceil((share * tokens).round(decimals=6)) for share in (start, stop))
    return valid & (ranks >= low) & (ranks < high)
