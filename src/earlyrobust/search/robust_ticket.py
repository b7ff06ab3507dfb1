"""RobusT's search (Zheng et al., ACL 2022): robust tickets over single weights, by hard-concrete masks.

The weights of a fine-tuned model are frozen. The search trains masks over the entries of its matrices on the
adversarial loss, with a penalty on the share of open masks. The ticket keeps the entries whose masks are most
likely to be open. It is then trained from the pretrained weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from transformers import TrainerCallback, TrainingArguments

from earlyrobust.errors import ConfigError, ModelError
from earlyrobust.pruning.zeroing import matrices_of
from earlyrobust.search.base import Search
from earlyrobust.search.schedule import search_arguments
from earlyrobust.tickets.drawing import Scores
from earlyrobust.tickets.ticket import Miniepoch
from earlyrobust.tickets.weight_ticket import WeightTicket, draw_weights
from earlyrobust.trainer import AdversarialTrainer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Parameters l, h and β of the hard-concrete distribution: a stretched sigmoid of logistic noise, clamped to
# [0, 1].
_LOW, _HIGH, _TEMPERATURE = -0.1, 1.1, 2 / 3


@dataclass(frozen=True, kw_only=True)
class RobustTicketConfig:
    """Settings of RobusT's search.

    Attributes:
        weight_ratio: Share of the weights to set to zero. Default: 0.3 (our choice).
        penalty: Weight of the expected share of open masks in the loss. Default: 0.1 (our choice).
        open_probability: α / (1 + α) of every mask at the start. Default: 0.9 (RobusT).
        learning_rate: Learning rate of the masks. Default: 0.05 (our choice).
        epochs: Number of epochs of the search. Default: 1 (our choice).
    """

    weight_ratio: float = 0.3
    penalty: float = 0.1
    open_probability: float = 0.9
    learning_rate: float = 0.05
    epochs: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.weight_ratio < 1:
            raise ConfigError(f"weight_ratio is {self.weight_ratio:g}, but must be at least 0 and below 1.")
        if not 0 < self.open_probability < 1:
            raise ConfigError(f"open_probability is {self.open_probability:g}, but must be between 0 and 1.")
        if not 0 <= self.penalty < math.inf:
            raise ConfigError(f"penalty is {self.penalty:g}, but cannot be negative: choose 0 or more.")
        for name in ("learning_rate", "epochs"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name):g}, but must be more than 0.")


class HardConcrete(nn.Module):
    """Random masks that multiply the entries of a matrix (Louizos et al., ICLR 2018).

    u ~ U(0, 1);  s = σ((log u − log(1 − u) + log α) / β);  m = min(1, max(0, s (h − l) + l)).

    In training mode the drawn masks stay in use until `forget` is called. In evaluation mode u is ½ and β is
    1.

    Args:
        shape: Shape of the matrix.
        open_probability: α / (1 + α) at the start.
    """

    def __init__(self, shape: torch.Size, open_probability: float = 0.5) -> None:
        super().__init__()
        self.log_alpha = nn.Parameter(torch.empty(shape))
        self.open(open_probability)

    def open(self, probability: float) -> None:
        """Reset all masks to an open probability, α / (1 + α)."""
        nn.init.constant_(self.log_alpha, math.log(probability / (1 - probability)))
        self._drawn: tuple[Tensor, Tensor] | None = None

    def forward(self, weight: Tensor) -> Tensor:
        """Return the masked matrix.

        Args:
            weight: The matrix, which is frozen.
        """
        if not self.training:
            gate = torch.sigmoid(self.log_alpha)
            return weight * (gate * (_HIGH - _LOW) + _LOW).clamp(0, 1).to(weight.dtype)
        if self._drawn is None:
            self._drawn = self._draw(weight)
        masked: Tensor = _Masked.apply(self.log_alpha, *self._drawn)  # type: ignore[no-untyped-call]
        return masked

    def forget(self) -> None:
        """Discard the drawn masks, so that the next forward pass draws new ones."""
        self._drawn = None

    def open_probabilities(self) -> Tensor:
        """Return P(m > 0) = σ(log α − β log(−l / h)) of each entry."""
        return torch.sigmoid(self.log_alpha - _TEMPERATURE * math.log(-_LOW / _HIGH))

    @torch.no_grad()
    def _draw(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the masked matrix, and its derivative with respect to log α.

        The operations work in place, because the masks hold a number for every weight.
        """
        noise = torch.rand_like(self.log_alpha).clamp_(1e-6, 1 - 1e-6)
        gate = noise.logit_().add_(self.log_alpha).div_(_TEMPERATURE).sigmoid_()
        mask = gate * (_HIGH - _LOW) + _LOW
        slope = (gate * (1 - gate)).mul_((_HIGH - _LOW) / _TEMPERATURE)
        slope.mul_((mask > 0) & (mask < 1))
        return weight * mask.clamp_(0, 1).to(weight.dtype), slope.mul_(weight)


class _Masked(torch.autograd.Function):
    """Returns a masked matrix that is already computed, and passes its gradient to log α."""

    @staticmethod
    def forward(ctx: Any, log_alpha: Tensor, masked: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope)
        return masked

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = ctx.saved_tensors
        return gradients[0] * slope, None, None


class _MaskTrainer(AdversarialTrainer):
    """Draws the masks once per training step, so that all passes of the adversary attack the same network."""

    masks: Iterable[HardConcrete] = ()

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        for mask in self.masks:
            mask.forget()
        return super().training_step(*args, **kwargs)


class RobustTicketSearch(Search[RobustTicketConfig, WeightTicket]):
    """Searches a ticket over the single weights of a fine-tuned classifier.

    The search trains masks over the weights, and does not change the weights. It sets the learning rate
    itself. For the arguments see `Search`.
    """

    name = "robust-ticket"
    starts_from = "finetuned"
    Config = RobustTicketConfig
    _trainer_kind = _MaskTrainer

    def _arguments(self, args: TrainingArguments, *, evaluates: bool) -> TrainingArguments:
        args = search_arguments(args, self.config.epochs, evaluates)
        args.learning_rate = self.config.learning_rate
        args.weight_decay = 0.0
        return args

    def _prepare(
        self,
        model: PreTrainedModel,
        args: TrainingArguments,
        on_miniepoch: Callable[[Miniepoch], None] | None,
    ) -> list[TrainerCallback]:
        self._matrices = matrices_of(model)
        self._masks = {name: HardConcrete(linear.weight.shape) for name, linear in self._matrices.items()}
        self._model_type = model.config.model_type
        return []

    @contextmanager
    def _attached(self, model: PreTrainedModel) -> Iterator[None]:
        """Freeze the weights and attach the masks to them while the context lasts."""
        cast("_MaskTrainer", self.trainer).masks = self._masks.values()
        if any(parametrize.is_parametrized(linear, "weight") for linear in self._matrices.values()):
            raise ModelError(
                "The model's weights have masks already: let the search that put them there end first, or "
                "load the model afresh."
            )
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        for weight in trained:
            weight.requires_grad_(False)
        for name, linear in self._matrices.items():
            mask = self._masks[name].to(model.device)
            mask.open(self.config.open_probability)
            parametrize.register_parametrization(linear, "weight", mask)
        try:
            yield
        finally:
            for linear in self._matrices.values():
                parametrize.remove_parametrizations(linear, "weight", leave_parametrized=False)
            for weight in trained:
                weight.requires_grad_(True)

    def _penalty(self) -> Tensor:
        opened = torch.stack([mask.open_probabilities().sum() for mask in self._masks.values()]).sum()
        return self.config.penalty * opened / sum(mask.log_alpha.numel() for mask in self._masks.values())

    def _draw(self, origin: dict[str, Any]) -> WeightTicket:
        masks = draw_weights(self._scores(), self.config.weight_ratio)
        return WeightTicket(model_type=self._model_type, masks=masks, origin=origin)

    def _scores(self) -> dict[str, Scores]:
        return {
            f"{name}.weight": mask.log_alpha.detach().float().cpu().numpy()
            for name, mask in self._masks.items()
        }
