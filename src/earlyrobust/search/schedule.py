"""The length of a search: the steps of an epoch, and the training arguments that a search follows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from transformers import Trainer
from transformers.trainer_utils import has_length

from earlyrobust.errors import ConfigError, DataError
from earlyrobust.trainer.arguments import own_arguments

if TYPE_CHECKING:
    from transformers import TrainingArguments


def steps_of_epoch(dataset: Any, args: TrainingArguments) -> int:
    """Count the optimiser steps of an epoch.

    Args:
        dataset: Tokenised examples.
        args: Training arguments, with one device for each process.

    Raises:
        DataError: If the data set has no known length, or is smaller than a batch.
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


def check_steps(trainer: Trainer, steps: int) -> None:
    """Check that a data loader of the user's own gives as many batches as the data set has.

    Args:
        trainer: The trainer of the search.
        steps: Optimiser steps of an epoch, by the size of the data set.

    Raises:
        ConfigError: If it gives more or fewer, or their number is unknown.
    """
    if type(trainer).get_train_dataloader is Trainer.get_train_dataloader:
        return
    loader = trainer.get_train_dataloader()
    if not has_length(loader):
        raise ConfigError(
            "get_train_dataloader of the trainer class gives batches of unknown number, but a search counts "
            "steps: let the data loader have a length."
        )
    batches = len(loader)
    if math.ceil(batches / trainer.args.gradient_accumulation_steps) != steps:
        raise ConfigError(
            f"get_train_dataloader of the trainer class gives {batches} batches in an epoch, but a search "
            f"counts {steps} steps, by the size of train_dataset and the batch size of the training "
            "arguments: let them agree."
        )


def search_arguments(
    args: TrainingArguments, epochs: float, evaluates: bool = False, *, continued: bool = False
) -> TrainingArguments:
    """Return the training arguments of a search: a number of epochs at a constant learning rate.

    This deviates from the paper's release. There the rate rises over the first 10 % of an epoch and then
    falls to zero. The release trains this whole epoch, and looks for a settled mask afterwards. A search that
    stops live does not know its length in advance. And at a rate close to zero, any mask looks settled.

    A search switches off the options that it cannot follow. It does not return to the best model, whose masks
    are not the settled ones. It keeps the batch size, because the length of its miniepochs depends on it.

    Args:
        args: The user's training arguments, which do not change.
        epochs: Number of epochs of the search.
        evaluates: Whether there is a data set to evaluate on.
        continued: Whether the training of the ticket continues from the search. Then the user's epochs and
            learning rates are those of both together, and the search is their first part.
    """
    args = own_arguments(args)
    if not continued:
        args.num_train_epochs = epochs
        args.max_steps = -1
        args.lr_scheduler_type = "constant"
        args.lr_scheduler_kwargs = None
        args.warmup_steps = 0
    args.load_best_model_at_end = False
    args.push_to_hub = False  # a searched model is no result
    args.auto_find_batch_size = False
    if args.save_strategy == "best":
        args.save_strategy = "no"
    if not evaluates:
        args.eval_strategy = "no"
        args.eval_on_start = False
    return args


def check_rest(args: TrainingArguments, steps: int, steps_per_epoch: int) -> None:
    """Check that a search leaves some steps for the training that continues from it.

    Args:
        args: Training arguments of the search and this training together.
        steps: Largest number of optimiser steps of the search.
        steps_per_epoch: Optimiser steps of an epoch.

    Raises:
        ConfigError: If the search may take all steps.
    """
    total = args.max_steps if args.max_steps > 0 else args.num_train_epochs * steps_per_epoch
    if steps >= total:
        raise ConfigError(
            f"The search may take {steps} steps, but the search and the training that continues from it "
            f"have {total:g} together: train for more epochs, or let the search take fewer."
        )
