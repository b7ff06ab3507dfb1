"""The robust early-bird search: the searching stage of the paper.

Weights θ and coefficients c are trained together on L_adv(θ, c) + λ_head‖c_head‖₁ + λ_neuron‖c_neuron‖₁ until
the masks that c ranks have settled, which takes a fraction of an epoch. Then the ticket is drawn.
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
from earlyrobust.search.base import Search, check_rest, search_arguments
from earlyrobust.search.continuation import save_cut_checkpoint
from earlyrobust.search.convergence import ConvergenceCallback, MaskHistory, scores_of
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
        head_ratio: Share of all heads to cut (1/6: the paper).
        neuron_ratio: Share of all FFN neurons to cut (0.3: the paper for SST-2, QNLI and QQP).
        head_penalty: λ_head, weight of the coefficients' L1 norm (1e-5: the paper's release for IMDB).
        neuron_penalty: λ_neuron (2e-4: the same).
        gamma: γ, mask distance below which masks count as settled (0.1: the paper).
        patience: Miniepochs for which both masks must be settled (5: the paper).
        settling: The rule by which they are. By "streak" each mask is close to the one before, and the last
            mask is drawn (the paper's text); by "window" each is close to the first of them, and that first
            mask is drawn (the paper's release).
        miniepoch: Length of a miniepoch in epochs (0.05: the paper).
        min_steps: Fewest optimiser steps of a miniepoch (ours). On small data 0.05 epoch is a handful of
            steps in which coefficients hardly move, so that masks look settled when nothing was learnt.
        max_epochs: Epochs after which the search stops anyway (1: ours).
        head_scope: Rank the heads of all layers together ("global": the paper), or cut the same share of
            every layer ("layerwise").
        neuron_scope: The same for neurons ("global": the paper).
        neuron_multiple: Every layer keeps a multiple of so many neurons, see `draw_mask` (1: the paper). GPUs
            compute matrices fastest whose sides are multiples of 64.
        draw_after: Epochs after which the ticket is drawn, settled or not; None to draw it when the masks
            have settled (None: the paper).
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
        """Epochs after which the search ends at the latest."""
        return self.max_epochs if self.draw_after is None else self.draw_after

    @property
    def rule(self) -> SettlingRule:
        """When masks count as settled."""
        return SettlingRule(self.gamma, self.patience, self.settling)

    def draw(self, heads: Scores, neurons: Scores) -> tuple[Mask, Mask]:
        """Draw both masks.

        Args:
            heads: Coefficients, shape (layers, heads).
            neurons: Coefficients, shape (layers, neurons).

        Raises:
            TicketError: If they rank nothing.
        """
        return (
            draw_mask(heads, self.head_ratio, self.head_scope),
            draw_mask(neurons, self.neuron_ratio, self.neuron_scope, self.neuron_multiple),
        )

    def steps_per_miniepoch(self, steps_per_epoch: int) -> int:
        """Optimiser steps of one miniepoch, given those of an epoch."""
        return max(self.min_steps, round(self.miniepoch * steps_per_epoch))

    def epochs_to_settle(self, steps_per_epoch: int) -> float:
        """Epochs that masks need to settle: as many miniepochs as the patience, and two.

        The masks of the first have none to be compared with, and the search still begins to learn there.
        """
        return (self.patience + 2) * self.steps_per_miniepoch(steps_per_epoch) / steps_per_epoch

    def describe_haste(self, steps_per_epoch: int) -> str | None:
        """The beginning of a sentence on why masks cannot settle within the limit; None if they can.

        Args:
            steps_per_epoch: Optimiser steps of an epoch.
        """
        if self.draw_after is not None or self.max_epochs >= self.epochs_to_settle(steps_per_epoch):
            return None
        return (
            f"An epoch of these texts has {steps_per_epoch} steps and a miniepoch "
            f"{self.steps_per_miniepoch(steps_per_epoch)}, so masks need "
            f"{self.epochs_to_settle(steps_per_epoch):.2g} epochs to settle"
        )


class _SearchTrainer(AdversarialTrainer):
    """Keeps weight decay off the coefficients: it would pull them to zero whatever the data says."""

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        names: list[str] = super().get_decay_parameter_names(model)
        return [name for name in names if MODULE_NAME not in name.split(".")]


class EarlyRobustSearch(Search[SearchConfig, Ticket]):
    """Searches a ticket over heads and neurons on a pretrained classifier.

    The search trains the weights of the classifier, too. To cut and fine-tune the classifier, load the
    pretrained model afresh, or continue the training from `save_checkpoint`. A subclass gives the search
    another name and other defaults.

    Args:
        model: A classifier of a supported family that is not cut.
        args: Training arguments, see `Search`.
        train_dataset: Tokenised examples with labels.
        goes_on: Whether the training of the ticket goes on from the search, see `save_checkpoint`. Then the
            epochs and the learning rates of `args` are those of the search and this training together.
        **options: More arguments of `Search`.

    Raises:
        ModelError: If the model is cut already, or its architecture is not supported.
        ConfigError: If the ratios leave some layer without any head or neuron, the adversary replays
            batches, or training goes on from a search that takes all its epochs.
        DataError: If the length of the data set is unknown, or less than a batch.
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
        goes_on: bool = False,
        **options: Any,
    ) -> None:
        self._goes_on = goes_on
        super().__init__(model, args, train_dataset, **options)

    def _arguments(self, args: TrainingArguments, *, evaluates: bool) -> TrainingArguments:
        return search_arguments(args, self.config.epochs, evaluates, goes_on=self._goes_on)

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
        steps = math.ceil(self.config.epochs * self._steps_per_epoch)
        if self._goes_on:
            check_rest(args, steps, self._steps_per_epoch)
        stops = self.config.draw_after is None
        # A window's ticket is drawn from the coefficients of its start, those before all that followed it.
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
                "%s: the search stops after %g, settled or not; max_epochs allows for more, and min_steps "
                "for shorter miniepochs.",
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
        """Write a checkpoint of the cut model, from which its training goes on where the search ended.

        Train `prune(model, ticket)` with the `args` of this search, and resume from the checkpoint: the
        weights, the optimiser's moments, the learning rate, the order of the examples and the noise go on.

        Args:
            ticket: The ticket that `run` returned.
            folder: The folder for checkpoints of that training.

        Returns:
            The folder of the checkpoint, for `Trainer.train(resume_from_checkpoint=...)`.

        Raises:
            ConfigError: If the optimiser keeps something that cannot be cut, as Adafactor does.
        """
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
        if self.config.draw_after is not None:
            return "fixed"
        return "converged" if self._watch.converged else "limit"
