"""Runs and times the trainings of a run, which continue from their last checkpoint after an interruption."""

from __future__ import annotations

import shutil
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from transformers import PrinterCallback, TrainerCallback, TrainingArguments

from earlyrobust import processes
from earlyrobust.adversarial import Adversary
from earlyrobust.errors import ConfigError, DataError
from earlyrobust.evaluation import accuracy_of, predict
from earlyrobust.heap import freed_memory_kept
from earlyrobust.options.run import RunConfig
from earlyrobust.pipeline import checkpointing
from earlyrobust.pipeline.checkpointing import Checkpoints
from earlyrobust.pipeline.foreign import check_returned
from earlyrobust.pipeline.recipe import Recipe
from earlyrobust.pipeline.trackers import check_reporting, reporting
from earlyrobust.results import Confusion, TrainingLog
from earlyrobust.search import EarlyRobustSearch, Search
from earlyrobust.storage import flush_folder, write_json
from earlyrobust.tickets.ticket import Ticket
from earlyrobust.tickets.weight_ticket import WeightTicket
from earlyrobust.trainer import AdversarialTrainer
from earlyrobust.trainer.arguments import on_one_device
from earlyrobust.trainer.best import BestWeightsCallback
from earlyrobust.trainer.dropout import cheap_dropout
from earlyrobust.trainer.retreat import RetreatCallback
from earlyrobust.trainer.weighting import WeightedLoss, balanced_weights
from earlyrobust.workspace.folder import ELAPSED_NAME, RunFolder
from earlyrobust.workspace.interrupts import DelayedInterrupt
from earlyrobust.workspace.observer import Observer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from earlyrobust.noise import TextNoise
    from earlyrobust.pipeline.splits import Splits

# Share of the steps of a fine-tuning in which the learning rate rises (warm-up).
WARMUP = 0.1
# Number of texts of the selection split on which a training under noise is evaluated.
_JUDGED = 128


def train_classifier(
    model: PreTrainedModel,
    splits: Splits,
    config: RunConfig,
    folder: RunFolder,
    stage: str,
    observer: Observer,
    interrupt: DelayedInterrupt,
    adversary: Adversary | None,
    epochs: float,
    noise: TextNoise | None = None,
) -> float:
    """Fine-tune a classifier in place.

    Args:
        model: The classifier.
        splits: The data.
        config: The options of the run.
        folder: The folder of the run.
        stage: Name of the stage.
        observer: Receives progress and messages.
        interrupt: Delays interrupts until a checkpoint.
        adversary: The adversary; None for plain fine-tuning.
        epochs: Number of epochs.
        noise: Changes the training texts; None for no noise.

    Returns:
        Seconds of training, including the seconds before an interruption.
    """
    clock = Checkpoints(interrupt)
    guards: list[TrainerCallback] = [] if noise is None else [_retreat(splits, noise, observer)]
    if config.early_stopping is not None:
        guards.append(_best_weights(splits, config, config.early_stopping, observer))
        if adversary is not None and adversary.replays > 1:
            observer.note(_told_passes(adversary.replays, epochs))
    with reporting(config.report_to, folder.path, stage) as reports:
        trainer = AdversarialTrainer(
            model,
            _arguments(config, folder, stage, epochs, WARMUP),
            compute_loss_func=_loss(config, splits),
            adversary=adversary,
            noise=noise,
            train_dataset=splits.train if noise is None else splits.train_with_texts(),
            processing_class=splits.tokenizer,
            callbacks=[*guards, clock, *reports, *observer.callbacks()],
        )
        trainer.remove_callback(PrinterCallback)
        checkpoint = folder.last_checkpoint(stage)
        with cheap_dropout(), freed_memory_kept():
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    log = TrainingLog.of(trainer.state.log_history)
    if log.kept_epoch is not None:
        observer.note(f"The weights of epoch {log.kept_epoch:.2f} are kept.")
    folder.keep_log(stage, log)
    return clock.elapsed


def _retreat(splits: Splits, noise: TextNoise, observer: Observer) -> RetreatCallback:
    """Return the callback that guards a training under noise with texts of the selection split."""
    rows = splits.selection.select(range(min(len(splits.selection), _JUDGED)))
    chance = float(np.bincount(rows["labels"][:]).max() / len(rows))

    def judge(model: PreTrainedModel) -> bool | None:
        answers = predict(model, splits.tokenizer, rows).argmax(axis=1)
        accuracy = accuracy_of(answers, rows)
        right = np.asarray(rows["labels"][:])
        counts = Confusion.of(right, answers, int(max(right.max(), answers.max())) + 1)
        if counts.depends_on_classes or accuracy.beats(chance):
            return True
        return False if len(np.unique(answers)) == 1 or accuracy.value <= chance else None

    def report(step: int) -> None:
        observer.note(
            f"At step {step:,} the model is no better than naming the largest class: the training goes back "
            "to its last good state, with half of the noise and half of the learning rate."
        )

    return RetreatCallback(judge, noise, report)


def _loss(config: RunConfig, splits: Splits) -> WeightedLoss | None:
    """Return the loss of the options; None for the model's own."""
    if config.class_weights != "balanced":
        return None
    counts = np.bincount(splits.train["labels"][:], minlength=len(splits.data.label_names))
    if not counts.all():
        missing = splits.data.label_names[int(counts.argmin())]
        raise DataError(f"The class {missing!r} has no training text to be weighted: drop --class-weights.")
    return WeightedLoss(balanced_weights(counts.tolist()))


def _told_passes(replays: int, epochs: float) -> str:
    """Return a sentence on early stopping with an adversary that replays each batch."""
    told = (
        f"The adversary trains on each batch {replays} times in a row, so one pass over the texts counts as "
        f"{replays} epochs. The model is judged after each pass, and messages on the best epoch count passes."
    )
    if epochs > replays:
        return told
    return f"{told} With {epochs:g} epochs, there is only one pass, so --early-stopping changes nothing."


def _best_weights(
    splits: Splits, config: RunConfig, patience: int, observer: Observer
) -> BestWeightsCallback:
    """Return the callback that keeps the weights of the best epoch on the selection split."""
    by_f1 = config.class_weights == "balanced"

    def judge(model: PreTrainedModel) -> float:
        answers = predict(model, splits.tokenizer, splits.selection).argmax(axis=1)
        if not by_f1:
            return accuracy_of(answers, splits.selection).value
        classes = len(splits.data.label_names)
        return Confusion.of(splits.selection["labels"][:], answers.tolist(), classes).macro_f1

    def report(epoch: float, value: float) -> None:
        measure = "macro-F1" if by_f1 else "accuracy"
        observer.note(f"Epoch {epoch:.2f}: {measure} on the selection split {100 * value:.2f} %.")

    return BestWeightsCallback(judge, patience, report)


def search_ticket(
    model: PreTrainedModel,
    splits: Splits,
    config: RunConfig,
    folder: RunFolder,
    stage: str,
    observer: Observer,
    interrupt: DelayedInterrupt,
    recipe: Recipe,
    origin: dict[str, Any],
    noise: TextNoise | None = None,
    continued_in: str | None = None,
) -> tuple[Ticket | WeightTicket, float]:
    """Search a ticket, which also trains the weights of the model.

    Args:
        model: The classifier.
        splits: The data.
        config: The options of the run.
        folder: The folder of the run.
        stage: Name of the search's stage.
        observer: Receives progress and messages.
        interrupt: Delays interrupts until a checkpoint.
        recipe: The search, its settings and its adversary.
        origin: Facts to keep with the ticket.
        noise: Changes the training texts; None for no noise.
        continued_in: Name of the stage that continues the search, for which the search writes the first
            checkpoint; None if the fine-tuning is a new training.

    Returns:
        The ticket, and the seconds of training, including the seconds before an interruption.
    """
    clock = Checkpoints(interrupt)
    options: dict[str, Any] = {} if continued_in is None else {"continued": True}
    warmup = 0.0 if continued_in is None else WARMUP
    with reporting(config.report_to, folder.path, stage) as reports:
        search = cast("type[Search[Any, Any]]", recipe.search)(
            model,
            _arguments(config, folder, stage, recipe.epochs, warmup),
            splits.train if noise is None else splits.train_with_texts(),
            config=recipe.search_config,
            adversary=recipe.search_adversary,
            processing_class=splits.tokenizer,
            callbacks=[clock, *reports, *observer.callbacks()],
            origin=origin,
            on_miniepoch=observer.miniepoch,
            noise=noise,
            compute_loss_func=_loss(config, splits),
            **options,
        )
        search.trainer.remove_callback(PrinterCallback)
        with cheap_dropout(), freed_memory_kept():
            ticket = search.run(folder.last_checkpoint(stage))
        check_returned(search, "run", ticket, Ticket | WeightTicket, "a Ticket or a WeightTicket")
        if continued_in is not None:
            _hand_over(
                cast("EarlyRobustSearch", search), cast("Ticket", ticket), folder.checkpoints(continued_in)
            )
    folder.keep_log(stage, TrainingLog.of(search.trainer.state.log_history))
    return ticket, clock.elapsed


def _hand_over(search: EarlyRobustSearch, ticket: Ticket, place: Path) -> None:
    """Write the checkpoint from which the fine-tuning of a ticket continues, and remove other checkpoints."""
    if processes.is_first():
        shutil.rmtree(place, ignore_errors=True)  # left by a search that was killed right afterwards
    processes.wait()
    checkpoint = search.save_checkpoint(ticket, place)
    if processes.is_first():
        flush_folder(checkpoint)
        write_json(checkpoint / ELAPSED_NAME, {"seconds": 0.0})
    processes.wait()


def check_can_train(config: RunConfig) -> None:
    """Refuse a training that the processes cannot share, or that cannot report, before any data is read.

    Args:
        config: The options of the run.

    Raises:
        ConfigError: If the processes were started for another kind of training, the machine has fewer devices
            than processes, a batch cannot be divided, or the package for reports is not installed.
    """
    check_reporting(config.report_to)
    processes.check_launch()
    processes.check_devices()
    _share_of_batch(config)


def _share_of_batch(config: RunConfig) -> int:
    """Return the number of examples that a process passes through the model at once."""
    steps = config.gradient_accumulation or 1
    parts = processes.count() * steps
    share, left = divmod(config.batch_size, parts)
    if left:
        raise ConfigError(
            f"A --batch-size of {config.batch_size} cannot be divided into {parts} equal parts (processes: "
            f"{processes.count()}, --gradient-accumulation: {steps}): choose a multiple of {parts}."
        )
    return share


def _arguments(
    config: RunConfig,
    folder: RunFolder,
    stage: str,
    epochs: float,
    warmup: float,
) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=str(folder.checkpoints(stage)),
        run_name=f"{folder.path.name}-{stage}",
        num_train_epochs=epochs,
        per_device_train_batch_size=_share_of_batch(config),
        gradient_accumulation_steps=config.gradient_accumulation or 1,
        learning_rate=config.learning_rate,
        warmup_steps=warmup,  # A value below 1 is a share of all steps.
        seed=config.seed,
        bf16=bool(config.bf16),
        use_cpu=not torch.accelerator.is_available(),  # Otherwise `bf16` needs an accelerator.
        train_sampling_strategy="group_by_length",
        dataloader_pin_memory=torch.cuda.is_available(),
        logging_strategy="steps",
        logging_steps=checkpointing.STEPS_BETWEEN_LOGS,
        logging_first_step=True,
        save_strategy="no",  # The callback `Checkpoints` requests checkpoints.
        report_to="none",  # The callbacks of `reporting` report.
        disable_tqdm=True,
        **_checkpointing(config),
    )
    return on_one_device(arguments)  # `note_idle_devices` has told the user.


def _checkpointing(config: RunConfig) -> dict[str, Any]:
    """Return the arguments of gradient checkpointing, which newer versions of transformers rename."""
    if not config.gradient_checkpointing:
        return {}
    known = {field.name for field in fields(TrainingArguments)}
    name = "activation_checkpointing" if "activation_checkpointing" in known else "gradient_checkpointing"
    return {name: True, f"{name}_kwargs": {"use_reentrant": False}}
