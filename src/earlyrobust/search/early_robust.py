"""The robust early-bird search: the searching stage of the paper.

Weights θ and coefficients c are trained together on L_adv(θ, c) + λ_head‖c_head‖₁ + λ_neuron‖c_neuron‖₁ until
the masks that c ranks have settled, which takes a fraction of an epoch. Then the ticket is drawn.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from torch import nn
from transformers import TrainerCallback, TrainingArguments

from earlyrobust.adversarial import Adversary, FreeLB
from earlyrobust.errors import ConfigError
from earlyrobust.families import family_of
from earlyrobust.pruning import ImportanceCoefficients
from earlyrobust.pruning.gates import MODULE_NAME
from earlyrobust.search.convergence import ConvergenceCallback, MaskHistory, scores_of
from earlyrobust.ticket import Miniepoch, SearchTrace, Ticket, draw, entries_to_cut
from earlyrobust.trainer import AdversarialTrainer

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


PAPER_ADVERSARY = FreeLB()


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """Settings of the robust early-bird search.

    Attributes:
        head_ratio: Share of all heads to cut (1/6: the paper).
        neuron_ratio: Share of all FFN neurons to cut (0.3: the paper for SST-2, QNLI and QQP).
        head_penalty: λ_head, weight of the coefficients' L1 norm (1e-5: the paper's release for IMDB).
        neuron_penalty: λ_neuron (2e-4: the same).
        gamma: γ, mask distance below which masks count as settled (0.1: the paper).
        patience: Miniepochs in a row for which both masks must be settled (5: the paper).
        miniepoch: Length of a miniepoch in epochs (0.05: the paper).
        min_steps: Fewest optimiser steps of a miniepoch (ours). On small data 0.05 epoch is a handful of
            steps in which coefficients hardly move, so that masks look settled when nothing was learnt.
        max_epochs: Epochs after which the search stops anyway (1: ours).
    """

    head_ratio: float = 1 / 6
    neuron_ratio: float = 0.3
    head_penalty: float = 1e-5
    neuron_penalty: float = 2e-4
    gamma: float = 0.1
    patience: int = 5
    miniepoch: float = 0.05
    min_steps: int = 20
    max_epochs: float = 1.0

    def __post_init__(self) -> None:
        for name in ("head_penalty", "neuron_penalty", "gamma"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(
                    f"{name} is {getattr(self, name):g}, but cannot be negative: choose 0 or more."
                )
        for name in ("patience", "miniepoch", "min_steps", "max_epochs"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name):g}, but must be more than 0.")

    def steps_per_miniepoch(self, steps_per_epoch: int) -> int:
        """Optimiser steps of one miniepoch, given those of an epoch."""
        return max(self.min_steps, round(self.miniepoch * steps_per_epoch))


class EarlyRobustSearch:
    """Searches a ticket on a pretrained classifier.

    Args:
        model: A classifier of a supported family. The search trains its weights: load the pretrained model
            afresh to cut and fine-tune it.
        args: Training arguments. The search sets the number of epochs itself, and keeps the learning rate
            constant: one that decays to zero would make any mask settle.
        train_dataset: Tokenised examples with labels.
        config: The search's settings.
        adversary: Perturbs the embeddings; FreeLB with the paper's settings unless given, None for none.
        processing_class: The tokenizer, which pads batches.
        callbacks: More callbacks for the trainer.
        origin: Facts to keep with the ticket (task, model's name, ...), JSON types only.
        on_miniepoch: Called with every miniepoch as it ends.

    Raises:
        ModelError: If the model's architecture is not supported.
        ConfigError: If the ratios leave some layer without any head or neuron.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        args: TrainingArguments,
        train_dataset: Dataset,
        *,
        config: SearchConfig | None = None,
        adversary: Adversary | None = PAPER_ADVERSARY,
        processing_class: PreTrainedTokenizerBase | None = None,
        callbacks: list[TrainerCallback] | None = None,
        origin: dict[str, Any] | None = None,
        on_miniepoch: Callable[[Miniepoch], None] | None = None,
    ) -> None:
        self.config = config or SearchConfig()
        size = family_of(model.config).dimensions(model.config)
        entries_to_cut(self.config.head_ratio, size.layers, size.heads)
        entries_to_cut(self.config.neuron_ratio, size.layers, size.neurons)
        self._model_type = model.config.model_type
        self._origin = origin or {}
        args = copy.copy(args)
        args.num_train_epochs = self.config.max_epochs
        args.max_steps = -1
        args.lr_scheduler_type = "constant"
        args.warmup_steps = 0

        self._gates = ImportanceCoefficients.attach(model)
        whole = math.floor if args.dataloader_drop_last else math.ceil
        batches = whole(len(train_dataset) / (args.train_batch_size * args.world_size))
        self._steps_per_epoch = math.ceil(batches / args.gradient_accumulation_steps)
        self._steps_per_miniepoch = self.config.steps_per_miniepoch(self._steps_per_epoch)
        steps = math.ceil(self.config.max_epochs * self._steps_per_epoch)
        limit = steps // self._steps_per_miniepoch
        self._history = MaskHistory(limit, size.layers, size.heads, size.neurons).to(model.device)
        model.add_module(MaskHistory.NAME, self._history)
        self._watch = ConvergenceCallback(
            self._gates,
            self._history,
            head_ratio=self.config.head_ratio,
            neuron_ratio=self.config.neuron_ratio,
            gamma=self.config.gamma,
            patience=self.config.patience,
            steps_per_miniepoch=self._steps_per_miniepoch,
            report=on_miniepoch,
        )
        self.trainer = _SearchTrainer(
            model,
            args,
            train_dataset=train_dataset,
            processing_class=processing_class,
            callbacks=[self._watch, *(callbacks or [])],
            adversary=adversary,
            penalty=lambda: self._gates.penalty(self.config.head_penalty, self.config.neuron_penalty),
        )

    def run(self, resume_from_checkpoint: str | Path | None = None) -> Ticket:
        """Train until the masks have settled or the epochs are used up, and draw the ticket.

        Args:
            resume_from_checkpoint: A checkpoint folder that an interrupted search left behind.

        Returns:
            The ticket. However it ends, the coefficients are off the model again; its weights are trained.

        Raises:
            TicketError: If the coefficients rank nothing (too few steps) or diverged.
        """
        checkpoint = None if resume_from_checkpoint is None else str(resume_from_checkpoint)
        try:
            self.trainer.train(resume_from_checkpoint=checkpoint)
            return self._ticket()
        finally:
            self._gates.detach_from(self.trainer.model)
            delattr(self.trainer.model, MaskHistory.NAME)

    def _ticket(self) -> Ticket:
        heads, neurons = scores_of(self._gates)
        head_masks, neuron_masks = self._history.masks()
        return Ticket(
            model_type=self._model_type,
            heads=draw(heads, self.config.head_ratio),
            neurons=draw(neurons, self.config.neuron_ratio),
            head_scores=heads,
            neuron_scores=neurons,
            trace=SearchTrace(
                miniepochs=self._history.miniepochs(self.config.gamma),
                head_masks=head_masks,
                neuron_masks=neuron_masks,
                stop_reason="converged" if self._watch.converged else "limit",
                epochs=self.trainer.state.global_step / self._steps_per_epoch,
                steps_per_miniepoch=self._steps_per_miniepoch,
                steps_per_epoch=self._steps_per_epoch,
            ),
            origin={**self._facts(), **self._origin},
        )

    def _facts(self) -> dict[str, Any]:
        adversary = self.trainer.adversary
        return {
            "method": "earlyrobust",
            "search": asdict(self.config),
            "adversary": adversary
            and {"name": type(adversary).__name__.lower(), **adversary.config.to_dict()},
            "learning_rate": self.trainer.args.learning_rate,
            "batch_size": self.trainer.args.train_batch_size,
            "seed": self.trainer.args.seed,
            "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        }


class _SearchTrainer(AdversarialTrainer):
    """Keeps weight decay off the coefficients: it would pull them to zero whatever the data says."""

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        names: list[str] = super().get_decay_parameter_names(model)
        return [name for name in names if MODULE_NAME not in name.split(".")]
