"""What all searches do alike."""

from __future__ import annotations

import copy
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

import torch
import transformers

from earlyrobust.adversarial import Adversary, FreeLB
from earlyrobust.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from transformers import TrainingArguments

    from earlyrobust.trainer import AdversarialTrainer

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


def search_arguments(args: TrainingArguments, epochs: float) -> TrainingArguments:
    """Training arguments for a search of so many epochs, at a constant learning rate.

    This deviates from the paper's release, where the rate rises over the first 10 % of an epoch and then
    falls to zero. The release trains that whole epoch and looks for a settled mask afterwards. A search that
    stops live does not know how long it will last, and where the rate is close to zero, any mask looks
    settled.
    """
    args = copy.copy(args)
    args.num_train_epochs = epochs
    args.max_steps = -1
    args.lr_scheduler_type = "constant"
    args.warmup_steps = 0
    return args


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
