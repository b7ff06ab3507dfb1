"""The base class of all searches for tickets, and the training arguments and trainer that they share."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, fields
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar, cast, final

import torch
import transformers
from torch import Tensor
from transformers import EarlyStoppingCallback, Trainer

from earlyrobust.adversarial import Adversary, FreeLB
from earlyrobust.errors import ConfigError
from earlyrobust.search.schedule import check_steps, steps_of_epoch
from earlyrobust.trainer import AdversarialTrainer
from earlyrobust.trainer.guard import check_is_adversary

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, TrainerCallback, TrainingArguments

    from earlyrobust.tickets.ticket import Miniepoch

# The classifier on which a search starts: the pretrained one, or the fine-tuned one.
SearchedModel = Literal["pretrained", "finetuned"]
ConfigT = TypeVar("ConfigT", bound="DataclassInstance")
TicketT = TypeVar("TicketT")

PAPER_ADVERSARY = FreeLB()


class Default(Enum):
    """Marks an argument for which the search uses its own adversary."""

    ADVERSARY = "the adversary of the search"


class Search(ABC, Generic[ConfigT, TicketT]):
    """Finds a ticket: adds trainable importances to the parts of a classifier, trains, and ranks the parts.

    This class trains, and checks its arguments. A subclass defines the importances, the penalty on their
    size, and the way to draw the ticket: it implements `_arguments`, `_prepare`, `_attached`, `_penalty` and
    `_draw`.

    Args:
        model: A classifier of a supported family.
        args: Training arguments. The search sets the number of epochs itself, and keeps the learning rate
            constant, because any ranking would settle at a rate that decays to zero.
        train_dataset: Tokenised examples with labels.
        config: The settings of the search.
        adversary: Perturbs the embeddings; None for no adversary. The default is the adversary of the search.
        processing_class: The tokenizer, which pads batches.
        callbacks: More callbacks for the trainer.
        trainer_class: The class of the trainer. The user's own class may compute a loss of its own.
        origin: Facts to store in the ticket (task, name of the model, ...), JSON types only.
        on_miniepoch: Called at the end of each miniepoch, if the search has miniepochs.
        **options: More arguments of the trainer, such as `data_collator`, `compute_loss_func`, `eval_dataset`
            or `compute_metrics`.

    Raises:
        ModelError: If the architecture of the model is not supported.
        ConfigError: If the settings do not fit the model; the adversary replays batches; `trainer_class` is
            no trainer class, or does not take all options; or `optimizers` or `model_init` is given.
        DataError: If the data set has no known length, or is smaller than a batch.
    """

    name: ClassVar[str]
    starts_from: ClassVar[SearchedModel] = "pretrained"
    Config: ClassVar[type[Any]]
    default_adversary: ClassVar[Adversary | None] = PAPER_ADVERSARY
    _trainer_kind: ClassVar[type[AdversarialTrainer]] = AdversarialTrainer

    def __init__(
        self,
        model: PreTrainedModel,
        args: TrainingArguments,
        train_dataset: Dataset,
        *,
        config: ConfigT | None = None,
        adversary: Adversary | Default | None = Default.ADVERSARY,
        processing_class: PreTrainedTokenizerBase | None = None,
        callbacks: Sequence[TrainerCallback] = (),
        trainer_class: type[Trainer] = AdversarialTrainer,
        origin: dict[str, Any] | None = None,
        on_miniepoch: Callable[[Miniepoch], None] | None = None,
        **options: Any,
    ) -> None:
        self.config: ConfigT = self.Config() if config is None else config
        # Classes of settings may differ in their defaults alone.
        if not all(hasattr(self.config, setting.name) for setting in fields(self.Config)):
            raise ConfigError(f"{type(self).__name__} takes a {self.Config.__name__}, not {config!r}.")
        adversary = self.default_adversary if isinstance(adversary, Default) else adversary
        check_adversary(adversary)
        args = self._arguments(args, evaluates=options.get("eval_dataset") is not None)
        self._steps_per_epoch = steps_of_epoch(train_dataset, args)
        self._origin = origin or {}
        self.trainer = search_trainer(
            trainer_class,
            self._trainer_kind,
            model=model,
            args=args,
            train_dataset=train_dataset,
            processing_class=processing_class,
            callbacks=[*self._prepare(model, args, on_miniepoch), *(callbacks or ())],
            adversary=adversary,
            penalty=self._penalty,
            **options,
        )

    @final
    def run(self, resume_from_checkpoint: str | Path | bool | None = None) -> TicketT:
        """Train the importances, and draw the ticket from them.

        Args:
            resume_from_checkpoint: Folder of a checkpoint of an interrupted search; True for the last
                checkpoint in the output folder, as in `Trainer.train`.

        Returns:
            The ticket. The importances are always removed from the model, even if the search fails.

        Raises:
            TicketError: If the importances rank nothing (too few steps) or diverged.
            ModelError: If another search is running on the model.
        """
        checkpoint = resume_from_checkpoint
        if isinstance(checkpoint, Path):
            checkpoint = str(checkpoint)
        check_steps(self.trainer, self._steps_per_epoch)
        with self._attached(self.trainer.model):
            self.trainer.train(resume_from_checkpoint=checkpoint)
            return self._draw({**facts(self.name, self.config, self.trainer), **self._origin})

    @abstractmethod
    def _arguments(self, args: TrainingArguments, *, evaluates: bool) -> TrainingArguments:
        """Return the training arguments of the search, see `search_arguments`.

        Args:
            args: The user's training arguments, which do not change.
            evaluates: Whether the user gives a data set to evaluate on.
        """

    @abstractmethod
    def _prepare(
        self,
        model: PreTrainedModel,
        args: TrainingArguments,
        on_miniepoch: Callable[[Miniepoch], None] | None,
    ) -> list[TrainerCallback]:
        """Make the importances for a model, and return the callbacks that observe them.

        Args:
            model: The classifier.
            args: The training arguments of the search.
            on_miniepoch: Called at the end of each miniepoch.
        """

    @abstractmethod
    def _attached(self, model: PreTrainedModel) -> AbstractContextManager[None]:
        """Attach the importances to a model while the context lasts."""

    @abstractmethod
    def _penalty(self) -> Tensor:
        """Return the penalty on the size of the importances, which is added to the loss, shape ()."""

    @abstractmethod
    def _draw(self, origin: dict[str, Any]) -> TicketT:
        """Draw the ticket.

        Args:
            origin: Facts to store in the ticket.
        """


def check_adversary(adversary: Adversary | None) -> None:
    """Check that a search can use an adversary.

    Raises:
        ConfigError: If the adversary replays batches.
    """
    check_is_adversary(adversary)
    if adversary is not None and adversary.replays > 1:
        raise ConfigError(
            f"{type(adversary).__name__} trains on every batch {adversary.replays} times, which a search "
            "cannot do: choose another adversary for it."
        )


def search_trainer(
    kind: type[Trainer], own: type[AdversarialTrainer], *, callbacks: Sequence[Any], **options: Any
) -> AdversarialTrainer:
    """Make the trainer of a search, with a trainer class of the user.

    Args:
        kind: The user's trainer class, which may compute a loss of its own.
        own: The trainer class of the search, whose methods take precedence.
        callbacks: Callbacks of the trainer. Those that would stop the search early are left out, because the
            search stops by itself.
        **options: More arguments of `AdversarialTrainer`.

    Raises:
        ConfigError: If `kind` is no trainer class, or a search cannot use an option.
    """
    if not (inspect.isclass(kind) and issubclass(kind, Trainer)):
        raise ConfigError(
            f"trainer_class is {kind!r}, but must be transformers' Trainer or a class derived from it."
        )
    for name in ("optimizers", "model_init"):
        if options.get(name) not in (None, (None, None)):
            raise ConfigError(
                f"A search cannot be given {name}, since it trains coefficients that it adds to the model: "
                "choose the optimiser by TrainingArguments(optim=...) or optimizer_cls_and_kwargs, and hand "
                "over the model itself."
            )
    if kind is Trainer:
        kind = AdversarialTrainer
    _check_init(kind, [*options, "callbacks"])
    options["callbacks"] = [one for one in callbacks if not _stops_early(one)]
    bases = (own, kind) if issubclass(kind, AdversarialTrainer) else (own, kind, AdversarialTrainer)
    return cast("AdversarialTrainer", type(kind.__name__, bases, {})(**options))


def _check_init(kind: type[Trainer], options: Sequence[str]) -> None:
    """Refuse a trainer class whose own `__init__` does not accept all options."""
    own: Any = kind.__init__
    if own in (Trainer.__init__, AdversarialTrainer.__init__):
        return
    taken = inspect.signature(own).parameters
    missing = [name for name in options if name not in taken]
    if missing and not any(one.kind is one.VAR_KEYWORD for one in taken.values()):
        raise ConfigError(
            f"{kind.__name__}.__init__ does not take {', '.join(missing)}: write __init__(self, *args, "
            "**kwargs), and hand them on to super().__init__(*args, **kwargs)."
        )


def _stops_early(callback: Any) -> bool:
    return issubclass(callback if inspect.isclass(callback) else type(callback), EarlyStoppingCallback)


def facts(name: str, config: DataclassInstance, trainer: AdversarialTrainer) -> dict[str, Any]:
    """Return the facts about a search that its ticket stores, as JSON types."""
    adversary, noise = trainer.adversary, trainer.noise
    return {
        "method": name,
        "search": asdict(config),
        "adversary": adversary and {"name": type(adversary).__name__.lower(), **adversary.config.to_dict()},
        "noise": noise and asdict(noise.config),
        "learning_rate": trainer.args.learning_rate,
        "batch_size": trainer.examples_per_step,
        "seed": trainer.args.seed,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
