"""What all searches do alike."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal, cast

import torch
import transformers
from transformers import EarlyStoppingCallback, Trainer

from earlyrobust.adversarial import Adversary, FreeLB
from earlyrobust.errors import ConfigError, DataError
from earlyrobust.trainer import AdversarialTrainer
from earlyrobust.trainer.arguments import own_arguments

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from transformers import TrainingArguments

# What the weights of a searched model were before: those of the pretraining, or of an ordinary fine-tuning.
Start = Literal["pretrained", "finetuned"]

PAPER_ADVERSARY = FreeLB()


def check_adversary(adversary: Adversary | None) -> None:
    """Check that an adversary can perturb a search.

    Raises:
        ConfigError: If it replays batches.
    """
    if adversary is not None and adversary.replays > 1:
        raise ConfigError(
            f"{type(adversary).__name__} trains on every batch {adversary.replays} times, which a search "
            "cannot do: choose another adversary for it."
        )


def steps_of_epoch(dataset: Any, args: TrainingArguments) -> int:
    """Count the optimiser steps of an epoch.

    Args:
        dataset: Tokenised examples.
        args: Training arguments, of one device for each process.

    Raises:
        DataError: If they cannot be counted, or there are none.
    """
    if not hasattr(dataset, "__len__"):
        raise DataError("A search needs a train_dataset of known length: give it one, and not a stream.")
    whole = math.floor if args.dataloader_drop_last else math.ceil
    batches = whole(len(dataset) / (args.train_batch_size * args.world_size))
    if not batches:
        raise DataError(
            f"The train_dataset has {len(dataset)} examples, fewer than a batch: give the search more, or a "
            "smaller batch size."
        )
    steps: int = math.ceil(batches / args.gradient_accumulation_steps)
    return steps


def search_arguments(
    args: TrainingArguments, epochs: float, evaluates: bool = False, *, goes_on: bool = False
) -> TrainingArguments:
    """Training arguments for a search of so many epochs, at a constant learning rate.

    This deviates from the paper's release, where the rate rises over the first 10 % of an epoch and then
    falls to zero. The release trains that whole epoch and looks for a settled mask afterwards. A search that
    stops live does not know how long it will last, and where the rate is close to zero, any mask looks
    settled.

    A search switches off the options that it cannot follow: it does not go back to the best model, whose
    masks are not the settled ones, and it keeps the batch size, in which its miniepochs are counted.

    Args:
        args: The user's, which stay as they are.
        epochs: Of the search.
        evaluates: Whether there is something to evaluate on.
        goes_on: Whether the training of the ticket goes on from the search. Then the user's epochs and
            learning rates are those of both, and the search is their first part.
    """
    args = own_arguments(args)
    if not goes_on:
        args.num_train_epochs = epochs
        args.max_steps = -1
        args.lr_scheduler_type = "constant"
        args.lr_scheduler_kwargs = None
        args.warmup_steps = 0
    args.load_best_model_at_end = False
    args.auto_find_batch_size = False
    if args.save_strategy == "best":
        args.save_strategy = "no"
    if not evaluates:
        args.eval_strategy = "no"
        args.eval_on_start = False
    return args


def check_rest(args: TrainingArguments, steps: int, steps_per_epoch: int) -> None:
    """Check that a search leaves something of a training that goes on from it.

    Args:
        args: Training arguments of the search and this training together.
        steps: Optimiser steps that the search takes at most.
        steps_per_epoch: Optimiser steps of an epoch.

    Raises:
        ConfigError: If the search may take all steps.
    """
    total = args.max_steps if args.max_steps > 0 else args.num_train_epochs * steps_per_epoch
    if steps >= total:
        raise ConfigError(
            f"The search may take {steps} steps, but it and the training that goes on from it have "
            f"{total:g} together: train for more epochs, or let the search take fewer."
        )


def search_trainer(
    kind: type[Trainer], own: type[AdversarialTrainer], *, callbacks: Sequence[Any], **options: Any
) -> AdversarialTrainer:
    """Make the trainer of a search from a trainer class of the user's.

    Args:
        kind: The user's, which may compute a loss of its own.
        own: What the search overrides.
        callbacks: Those that would stop the search early are left out: it stops by itself.
        **options: As for `AdversarialTrainer`.

    Raises:
        ConfigError: If it is no trainer class, or an option is not for searches.
    """
    if not (inspect.isclass(kind) and issubclass(kind, Trainer)):
        raise ConfigError(
            f"trainer_class is {kind!r}, but must be AdversarialTrainer or a class derived from it."
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
    """Refuse a class of trainer whose own `__init__` does not hand on what it does not know."""
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
    """Facts about a search that travel with its ticket, as JSON types."""
    adversary = trainer.adversary
    return {
        "method": name,
        "search": asdict(config),
        "adversary": adversary and {"name": type(adversary).__name__.lower(), **adversary.config.to_dict()},
        "learning_rate": trainer.args.learning_rate,
        "batch_size": trainer.examples_per_step,
        "seed": trainer.args.seed,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }
