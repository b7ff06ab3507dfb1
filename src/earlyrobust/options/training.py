"""Defines the options of the trainings of a run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from earlyrobust.options.base import (
    PAPER,
    AtLeastOne,
    Epochs,
    Options,
    Parts,
    Positive,
    Seed,
    option,
)
from earlyrobust.options.methods import Start
from earlyrobust.options.places import PathOrName, noise_at_home
from earlyrobust.options.specs import parse_spec

Spec = Annotated[str, AfterValidator(lambda spec: parse_spec(spec) and spec)]


class TrainingOptions(Options):
    """Options of the trained model, its initial weights and its training."""

    method: str = option(
        "earlyrobust",
        "Training method: see `earlyrobust list methods`.",
        "Training",
        arm=True,
    )
    model: PathOrName = option(
        "minilm",
        "Encoder, or trained classifier: 'minilm' (embedded), a folder, or a name on the Hugging Face hub.",
        "Training",
        arm=True,
    )
    labels: str | None = option(
        None,
        "If --model is a trained classifier, the class that each of its outputs stands for: in the order of "
        "the outputs, such as 'negative,positive', or in pairs, such as 'NEG=negative,POS=positive'.",
        "Training",
        shown="found by their names",
    )
    start: Start | None = option(
        None,
        "Initial weights of the fine-tuning. pretrained: the encoder's, with a new head. given: those of a "
        "trained classifier, with its head. searched: those of the search. continued: those of the search, "
        "with its optimiser's state and one learning-rate schedule. For ablations: random (new "
        "weights in the structure of the ticket) and refilled (full size, with new weights in the cut "
        "places).",
        "Training",
        shown="by method; given, if --model is a classifier for these classes",
        source=PAPER,
        arm=True,
    )
    batch_size: Parts = option(16, "Number of examples in an optimiser step.", "Training", arm=True)
    learning_rate: Positive = option(
        5e-5,
        "Peak learning rate. A search keeps it constant. The fine-tuning warms up to it over the first 10 % "
        "of its steps, then decays linearly. A continued training has one such schedule.",
        "Training",
        shown="5e-5",
        arm=True,
    )
    bf16: bool | None = option(
        None, "Compute in bfloat16 where that is safe.", "Training", shown="if a measurement finds it faster"
    )
    gradient_accumulation: Parts | None = option(
        None,
        "Number of parts of a batch that pass through the model one after the other, to save memory.",
        "Training",
        shown="1",
    )
    gradient_checkpointing: bool | None = option(
        None, "Compute activations twice instead of keeping them, to save memory.", "Training", shown="no"
    )
    class_weights: Literal["balanced", "none"] | None = option(
        None,
        "'balanced' weights the loss of each example by the rarity of its class, in all trainings of the "
        "run.",
        "Training",
        shown="none",
    )
    report_to: Literal["tensorboard", "wandb", "mlflow", "none"] | None = option(
        None,
        "Service that also receives loss and learning rate: tensorboard, wandb or mlflow.",
        "Training",
        shown="none",
    )
    seed: Seed = option(
        0,
        "Seed of the splits, the samples, the order of the data, the head, dropout, perturbations, noise, "
        "random tickets and attacks.",
        "Training",
    )
    noise: Annotated[Spec, AfterValidator(noise_at_home)] | None = option(
        None,
        "Noise in the training texts, which replaces and misspells words: 'random', 'learned' or "
        "'gradient', with settings such as 'learned,rate=0.5,neighbours=wordnet+my.csv', or 'none'.",
        "Training",
        shown="by method",
        arm=True,
    )

    epochs: Epochs | None = option(
        None,
        "Epochs of the fine-tuning; of search and fine-tuning together if the fine-tuning continues the "
        "search.",
        "Fine-tuning",
        shown="by task",
        source=PAPER,
        arm=True,
    )
    early_stopping: AtLeastOne | None = option(
        None,
        "Number of epochs without a better model on the selection split after which the fine-tuning stops; "
        "it keeps the weights of the best epoch, by accuracy or, with --class-weights balanced, by macro-F1.",
        "Fine-tuning",
        shown="never; the last weights are kept",
    )
    adversary: Spec | None = option(
        None,
        "Adversary of the fine-tuning, such as 'freelb,steps=2', a class such as 'module:Class', or 'none'.",
        "Fine-tuning",
        shown="by method",
        arm=True,
    )
    dense: bool = option(True, "Train, evaluate and attack a dense model, to compare.", "Fine-tuning")
