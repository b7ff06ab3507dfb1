"""The robust early-bird search, the first stage of the paper's method.

Weights θ and coefficients c are trained together on L_adv(θ, c) + λ_head‖c_head‖₁ + λ_neuron‖c_neuron‖₁ until
the masks drawn from c have settled. This takes a fraction of an epoch. Then the ticket is drawn.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from torch import Tensor, nn
from transformers import TrainerCallback, TrainingArguments

from earlyrobust.errors import ConfigError
from earlyrobust.families import family_of
from earlyrobust.pruning import ImportanceCoefficients
from earlyrobust.pruning.coefficients import MODULE_NAME
from earlyrobust.search.base import Search
from earlyrobust.search.continuation import save_cut_checkpoint
from earlyrobust.search.convergence import ConvergenceCallback, MaskHistory, scores_of
from earlyrobust.search.schedule import check_rest, search_arguments
from earlyrobust.settling import Settling, SettlingRule
from earlyrobust.tickets.drawing import Mask, Scores, draw_mask, entries_to_cut
from earlyrobust.tickets.scopes import Scope
from earlyrobust.tickets.ticket import Miniepoch, SearchTrace, StopReason, Ticket
from earlyrobust.trainer import AdversarialTrainer

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """Settings of the robust early-bird search.

    Attributes:
        head_ratio: Share of all heads to cut. Default: 1/6 (the paper).
        neuron_ratio: Share of all FFN neurons to cut. Default: 0.3 (the paper for SST-2, QNLI and QQP).
        head_penalty: λ_head, the weight of the L1 norm of the heads' coefficients. Default: 1e-5 (the paper's
            release for IMDB).
        neuron_penalty: λ_neuron, the weight of the L1 norm of the neurons' coefficients. Default: 2e-4 (the
            paper's release for IMDB).
        gamma: γ, the mask distance below which two masks are close. Default: 0.1 (the paper).
        patience: Number of miniepochs during which both masks must stay settled. Default: 5 (the paper).
        settling: The rule that decides when masks have settled. By "streak" each mask is close to the one
            before, and the ticket is the last mask (the paper's text). By "window" each mask is close to the
            first of them, and the ticket is this first mask (the paper's release). Default: "streak".
        miniepoch: Length of a miniepoch in epochs. Default: 0.05 (the paper).
        min_steps: Smallest number of optimiser steps of a miniepoch. Default: 20 (our choice). On small data
            0.05 epoch is a handful of steps. Coefficients hardly move in them, so masks look settled although
            nothing was learnt.
        max_epochs: Epochs after which the search stops in any case. Default: 1 (our choice).
        head_scope: "global" to rank the heads of all layers together, "layerwise" to cut the same share of
            every layer. Default: "global" (the paper).
        neuron_scope: "global" to rank the neurons of all layers together, "layerwise" to cut the same share
            of every layer. Default: "global" (the paper).
        neuron_multiple: Every layer keeps a multiple of this number of neurons, see `draw_mask`. 64 suits the
            matrix units of GPUs. Default: 1 (the paper).
        draw_after: Epochs after which the ticket is drawn, settled or not. None to draw it when the masks
            have settled. Default: None (the paper).
    """

    head_ratio: float = 1 / 6
    neuron_ratio: float = 0.3
    head_penalty: float = 1e-5
    neuron_penalty: float = 2e-4
    gamma: float = 0.1
    patience: int = 5
    settling: Settling = "streak"
    miniepoch: float = 0.05
    min_steps: int = 20
    max_epochs: float = 1.0
    head_scope: Scope = "global"
    neuron_scope: Scope = "global"
    neuron_multiple: int = 1
    draw_after: float | None = None

    def __post_init__(self) -> None:
        for name in ("head_penalty", "neuron_penalty", "gamma"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(
                    f"{name} is {getattr(self, name):g}, but cannot be negative: choose 0 or more."
                )
        for name in ("patience", "min_steps", "neuron_multiple"):
            if type(getattr(self, name)) is not int:
                raise ConfigError(f"{name} is {getattr(self, name)!r}, but must be a whole number.")
        for name in ("patience", "miniepoch", "min_steps", "max_epochs", "neuron_multiple"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name):g}, but must be more than 0.")
        if self.draw_after is not None and not 0 < self.draw_after < math.inf:
            raise ConfigError(f"draw_after is {self.draw_after:g}, but must be more than 0.")
        for name, choices in (("head_scope", Scope), ("neuron_scope", Scope), ("settling", Settling)):
            if getattr(self, name) not in get_args(choices):
                raise ConfigError(
                    f"{name} is '{getattr(self, name)}', but must be one of {', '.join(get_args(choices))}."
                )

    @property
    def epochs(self) -> float:
        """Return the number of epochs after which the search ends at the latest."""
        return self.max_epochs if self.draw_after is None else self.draw_after

    @property
    def rule(self) -> SettlingRule:
        """Return the rule that decides when masks have settled."""
        return SettlingRule(self.gamma, self.patience, self.settling)

    def draw(self, heads: Scores, neurons: Scores) -> tuple[Mask, Mask]:
        """Draw both masks.

        Args:
            heads: Coefficients, shape (layers, heads).
            neurons: Coefficients, shape (layers, neurons).

        Returns:
            The head mask and the neuron mask, of the same shapes.

        Raises:
            TicketError: If the coefficients rank nothing.
        """
        return (
            draw_mask(heads, self.head_ratio, self.head_scope),
            draw_mask(neurons, self.neuron_ratio, self.neuron_scope, self.neuron_multiple),
        )

    def steps_per_miniepoch(self, steps_per_epoch: int) -> int:
        """Return the optimiser steps of one miniepoch, given those of an epoch."""
        return max(self.min_steps, round(self.miniepoch * steps_per_epoch))

    def epochs_to_settle(self, steps_per_epoch: int) -> float:
        """Return the epochs that masks need to settle: the patience in miniepochs, and two miniepochs more.

        The masks of the first miniepoch have no earlier masks to be compared with, and the search has hardly
        learned there.

        Args:
            steps_per_epoch: Optimiser steps of an epoch.
        """
        return (self.patience + 2) * self.steps_per_miniepoch(steps_per_epoch) / steps_per_epoch

    def describe_haste(self, steps_per_epoch: int) -> str | None:
        """Return the first half of a warning that the search is too short; None if it is long enough.

        Args:
            steps_per_epoch: Optimiser steps of an epoch.
        """
        if self.draw_after is not None or self.max_epochs >= self.epochs_to_settle(steps_per_epoch):
            return None
        return (
            f"An epoch of these texts has {steps_per_epoch} steps and a miniepoch "
            f"{self.steps_per_miniepoch(steps_per_epoch)}, so masks need at least "
            f"{math.ceil(10 * self.epochs_to_settle(steps_per_epoch)) / 10:g} epochs to settle"
        )


class _SearchTrainer(AdversarialTrainer):
    """Excludes the coefficients from weight decay, which would pull them to zero whatever the data are."""

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        names: list[str] = super().get_decay_parameter_names(model)
        return [name for name in names if MODULE_NAME not in name.split(".")]


class EarlyRobustSearch(Search[SearchConfig, Ticket]):
    """Searches a ticket over heads and neurons on a pretrained classifier.

    The search also trains the weights of the classifier. To cut and fine-tune the classifier, load the
    pretrained model afresh, or continue the training from `save_checkpoint`. A subclass can change the name
    of the search and its defaults.

    Args:
        model: A classifier of a supported family that is not cut.
        args: Training arguments, see `Search`.
        train_dataset: Tokenised examples with labels.
        continued: Whether the training of the ticket continues from the search, see `save_checkpoint`. Then
            the epochs and the learning rates of `args` are those of the search and this training together.
        **options: More arguments of `Search`.

    Raises:
        ModelError: If the model is already cut, or its architecture is not supported.
        ConfigError: If the ratios leave some layer without any head or neuron, the adversary replays batches,
            the search takes all epochs of a training that continues from it, or such a training would lack
            weights that the adversary trains beside the model's.
        DataError: If the data set has no known length, or is smaller than a batch.
    """

    name = "earlyrobust"
    Config = SearchConfig
    _trainer_kind = _SearchTrainer

    def __init__(
        self,
        model: PreTrainedModel,
        args: TrainingArguments,
        train_dataset: Dataset,
        *,
        continued: bool = False,
        **options: Any,
    ) -> None:
        self._goes_on = continued
        super().__init__(model, args, train_dataset, **options)
        parts = self.trainer.parts
        if continued and parts is not None and any(True for _ in parts.parameters()):
            raise ConfigError(
                f"{type(self.trainer.adversary).__name__} trains weights beside the model's, with which no "
                "training continues after the cut: choose another adversary, or leave out continued=True."
            )

    def _arguments(self, args: TrainingArguments, *, evaluates: bool) -> TrainingArguments:
        return search_arguments(args, self.config.epochs, evaluates, continued=self._goes_on)

    def _prepare(
        self,
        model: PreTrainedModel,
        args: TrainingArguments,
        on_miniepoch: Callable[[Miniepoch], None] | None,
    ) -> list[TrainerCallback]:
        size = family_of(model.config).dimensions(model.config)
        entries_to_cut(self.config.head_ratio, size.layers, size.heads)
        entries_to_cut(self.config.neuron_ratio, size.layers, size.neurons)
        self._model_type = model.config.model_type
        self._coefficients = ImportanceCoefficients.of(model)
        self._steps_per_miniepoch = self.config.steps_per_miniepoch(self._steps_per_epoch)
        steps = self._limit = math.ceil(self.config.epochs * self._steps_per_epoch)
        if self._goes_on:
            check_rest(args, steps, self._steps_per_epoch)
        stops = self.config.draw_after is None
        # The ticket of a window is drawn from the coefficients of its first miniepoch, so those are stored.
        kept_scores = self.config.patience + 1 if stops and self.config.settling == "window" else 0
        self._history = MaskHistory(
            steps // self._steps_per_miniepoch, size.layers, size.heads, size.neurons, kept_scores
        )
        self._watch = ConvergenceCallback(
            self._coefficients,
            self._history,
            draw=self.config.draw,
            rule=self.config.rule,
            stops=stops,
            steps_per_miniepoch=self._steps_per_miniepoch,
            limit=steps,
            report=on_miniepoch,
        )
        return [self._watch]

    @contextmanager
    def _attached(self, model: PreTrainedModel) -> Iterator[None]:
        if (why := self.config.describe_haste(self._steps_per_epoch)) is not None:
            _LOG.warning(
                "%s, but the search stops after %g, even if they have not settled: give more max_epochs, or "
                "lower min_steps.",
                *(why, self.config.max_epochs),
            )
        self._coefficients.attach_to(model)
        self._history.clear()
        model.add_module(MaskHistory.NAME, self._history.to(model.device))
        try:
            yield
        finally:
            self._coefficients.detach_from(model)
            delattr(model, MaskHistory.NAME)

    def _penalty(self) -> Tensor:
        return self._coefficients.penalty(self.config.head_penalty, self.config.neuron_penalty)

    def save_checkpoint(self, ticket: Ticket, folder: str | Path) -> Path:
        """Write a checkpoint of the cut model, from which its training continues where the search ended.

        Train `prune(model, ticket)` with the `args` of this search, and resume from the checkpoint. The
        training then continues with the weights, the optimiser's moments, the learning rate, the order of the
        examples and the noise of the search.

        Args:
            ticket: The ticket that `run` returned.
            folder: The folder for the checkpoints of this training.

        Returns:
            The folder of the checkpoint, for `Trainer.train(resume_from_checkpoint=...)`.

        Raises:
            ConfigError: If the search is not `continued`, has not run, or its optimiser keeps a state that
                cannot be cut, as Adafactor does.
        """
        if not self._goes_on or self.trainer.optimizer is None:
            raise ConfigError(
                "save_checkpoint needs the state of a search that has run: make it with "
                "EarlyRobustSearch(..., continued=True), and call run() first."
            )
        return save_cut_checkpoint(self.trainer, self._coefficients, ticket, Path(folder))

    def _draw(self, origin: dict[str, Any]) -> Ticket:
        miniepochs = self._history.miniepochs(self.config.rule)
        span = self.config.rule.span([miniepoch.streak for miniepoch in miniepochs])
        scores = scores_of(self._coefficients)
        if span is not None and self._watch.converged and self.config.settling == "window":
            scores = self._history.scores(span[0])
        heads, neurons = self.config.draw(*scores)
        head_masks, neuron_masks = self._history.masks()
        return Ticket(
            model_type=self._model_type,
            heads=heads,
            neurons=neurons,
            head_scores=scores[0],
            neuron_scores=scores[1],
            trace=SearchTrace(
                miniepochs=miniepochs,
                head_masks=head_masks,
                neuron_masks=neuron_masks,
                stop_reason=self._stop_reason,
                epochs=self.trainer.state.global_step / self._steps_per_epoch,
                steps_per_miniepoch=self._steps_per_miniepoch,
                steps_per_epoch=self._steps_per_epoch,
                settled_since=None if span is None else miniepochs[span[0]].step / self._steps_per_epoch,
            ),
            origin=origin,
        )

    @property
    def _stop_reason(self) -> StopReason:
        if self.trainer.state.global_step < self._limit and not self._watch.converged:
            return "callback"
        if self.config.draw_after is not None:
            return "fixed"
        return "converged" if self._watch.converged else "limit"
