"""Runs the stages of a job, each once: train the dense model, search a ticket, train the model."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from earlyrobust import processes
from earlyrobust.attacks.resources.neighbours import load_neighbours
from earlyrobust.encoders import (
    Note,
    files_digest,
    load_classifier,
    load_given,
    load_pretrained,
    load_untrained,
    save_tokenizer,
    silent,
)
from earlyrobust.errors import ConfigError, OutputError
from earlyrobust.evaluation import predict
from earlyrobust.noise import Lexicon, TextNoise
from earlyrobust.options.run import RunConfig
from earlyrobust.pipeline.attacks import resources_of
from earlyrobust.pipeline.head_trial import check_order_of_classes
from earlyrobust.pipeline.noising import NoiseChoice, build_lexicon, build_noise
from earlyrobust.pipeline.precision import choose_bf16
from earlyrobust.pipeline.preflight import try_out
from earlyrobust.pipeline.recipe import Recipe
from earlyrobust.pipeline.searches import neuron_multiple
from earlyrobust.pipeline.splits import Splits
from earlyrobust.pipeline.tickets import random_ticket
from earlyrobust.pipeline.training import search_ticket, train_classifier
from earlyrobust.pruning import prune, reinitialize_pruned, zero_weights
from earlyrobust.storage import write_folder
from earlyrobust.tickets.weight_ticket import WeightTicket
from earlyrobust.workspace.environment import note_idle_devices
from earlyrobust.workspace.finding import find_ticket
from earlyrobust.workspace.folder import DENSE, MODEL, SEARCHED, TICKET, AnyTicket, RunFolder
from earlyrobust.workspace.interrupts import DelayedInterrupt
from earlyrobust.workspace.observer import Observer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from earlyrobust.adversarial import Adversary

# Number of texts on which a searched model is checked for collapse to one class.
_SAMPLE = 256
# From this cost on, relative to plain fine-tuning, a job tells its cost before it trains.
_MANY_PASSES = 1.5
# Number of layers of an encoder whose configuration does not tell it.
_LAYERS = 12


@dataclass(frozen=True)
class Job:
    """The options, data, folder and observer of a job, which all its stages use.

    During a stage, an interrupt waits for the next checkpoint or for the end of the stage.

    Attributes:
        config: The options.
        recipe: The search, the adversaries and the noise of the options.
        splits: The data.
        folder: The folder of the run.
        observer: Receives progress and messages.
        interrupt: Delays interrupts until a checkpoint.
        choices: Choices of the job for the record, one sentence each.
    """

    config: RunConfig
    recipe: Recipe
    splits: Splits
    folder: RunFolder
    observer: Observer
    interrupt: DelayedInterrupt
    choices: list[str] = field(default_factory=list)

    @property
    def keeps_head(self) -> bool:
        """Whether the model is a trained classifier from which the training starts."""
        return self.splits.head is not None and self.splits.head.is_kept

    def initial_model(self, note: Note = silent) -> PreTrainedModel:
        """Return the model that the training starts from.

        It is the given classifier, or the pretrained encoder with a new head. The weights of the new head
        depend only on the seed.

        Args:
            note: Receives a sentence on each choice between weights.
        """
        if self.keeps_head:
            return load_given(self.config.model, self.splits.data.label_names, note)
        return load_pretrained(self.config.model, self.splits.data.label_names, self.config.seed, note)

    def train(
        self,
        model: PreTrainedModel,
        stage: str,
        adversary: Adversary | None,
        noise: TextNoise | None = None,
    ) -> float:
        """Train a classifier, save it in the folder of a stage, and return the seconds of training."""
        seconds = train_classifier(
            model,
            self.splits,
            self.config,
            self.folder,
            stage,
            self.observer,
            self.interrupt,
            adversary,
            self.recipe.epochs,
            noise,
        )
        _save_model(model, self.splits, self.folder.path / stage)
        return seconds

    def noise(self, stage: str) -> TextNoise | None:
        """Return the noise of a stage's training texts; None without noise."""
        if self.recipe.noise is None:
            return None
        return build_noise(self.recipe.noise.settings, self.lexicon, self.splits, self.config.seed, stage)

    @cached_property
    def lexicon(self) -> Lexicon:
        """The words of the training texts that the noise exchanges."""
        choice = cast("NoiseChoice", self.recipe.noise)
        return build_lexicon(choice, self.config.neighbours, self.splits, self.observer)

    @property
    def word_sources(self) -> list[str]:
        """Names of the sources of neighbours with which the training replaces words."""
        sources = self.recipe.sources_of_words(self.config.neighbours)
        return [load_neighbours(source).name for source in sources]

    def once(self, stage: str, title: str, work: Callable[[], float]) -> None:
        """Run a stage unless it is finished.

        Args:
            stage: Name of the stage.
            title: Title of the stage.
            work: Runs the stage, and returns its seconds for the record.
        """
        if self.folder.is_finished(stage):
            self.observer.note(f"{title}: finished before, taken from {self.folder.path / stage}")
            return
        with self.observer.stage(title), self.interrupt:
            seconds = work()
            processes.wait()  # until the first process has written the files
            self.folder.finish(stage, seconds)


@contextmanager
def begun(
    config: RunConfig, recipe: Recipe, splits: Splits, folder: RunFolder, observer: Observer
) -> Iterator[Job]:
    """Check that a job can train, and claim its folder while the context lasts.

    Args:
        config: The options of the run.
        recipe: The search, the adversaries and the noise of the options.
        splits: The data.
        folder: The folder of the run.
        observer: Receives progress and messages.

    Yields:
        The job.

    Raises:
        EarlyRobustError: If an option, a resource, the model, the data or the folder cannot be used.
    """
    changes_texts = bool(config.attack) or recipe.changes_words
    recipe = recipe.prepared(splits.tokenizer, resources_of(config, observer.note), observer)
    recipe = recipe.given_time(math.ceil(len(splits.train) / config.batch_size), config, observer)
    note_idle_devices(observer)
    choices: list[str] = []
    bf16, bf16_ratio = choose_bf16(config, folder, observer.noting(choices))
    config = config.model_copy(update={"bf16": bf16})
    job = Job(config, recipe, splits, folder, observer, DelayedInterrupt(observer.note), choices)
    if recipe.noise is not None:
        _ = job.lexicon  # An unusable source of neighbours is an error before the folder is claimed.
    # A model that cannot be loaded is an error before the folder is claimed, too.
    model = job.initial_model(observer.noting(job.choices))
    passes = recipe.most_passes(getattr(model.config, "num_hidden_layers", _LAYERS))
    if passes > _MANY_PASSES:
        what = "Search and training take up to" if recipe.search is not None else "The training takes"
        what = "The search takes up to" if recipe.is_search else what
        observer.note(f"{what} {passes:.1f} times the passes of plain fine-tuning of as many epochs.")
    if splits.head is not None:
        job.choices.append(splits.head.note)
    if config.gradient_checkpointing and not model.supports_gradient_checkpointing:
        raise ConfigError(
            f"transformers has no gradient checkpointing for '{config.model}': do without "
            "--gradient-checkpointing, or choose another --model."
        )
    rows = (splits.train, splits.selection, splits.test)
    try_out(model, splits.tokenizer, rows, observer, changes_texts=changes_texts)
    if job.keeps_head:
        check_order_of_classes(model, splits.tokenizer, splits.train, splits.data.label_names)
    with folder.claimed(splits.data.fingerprint, files_digest(config.model) or model.config._commit_hash):
        folder.keep_bf16(bf16, bf16_ratio)
        yield job


def _save_model(model: PreTrainedModel, splits: Splits, folder: Path) -> None:
    if not processes.is_first():
        return

    def write(place: Path) -> None:
        model.save_pretrained(place)
        save_tokenizer(splits.tokenizer, place)

    # A process that was killed before the end of the stage may have left this folder.
    shutil.rmtree(folder, ignore_errors=True)
    write_folder(folder, write)


def make_dense(job: Job) -> PreTrainedModel:
    """Return the dense model, and fine-tune it first unless this stage is finished.

    If the training starts from a given classifier, the dense model is an unchanged copy of this classifier.
    """

    def train() -> float:
        return job.train(job.initial_model(), DENSE, None)

    def keep() -> float:
        _save_model(job.initial_model(), job.splits, job.folder.path / DENSE)
        return 0.0

    if job.keeps_head:
        job.once(DENSE, "Copying the classifier as it came", keep)
    else:
        job.once(DENSE, "Fine-tuning the dense model", train)
    return load_classifier(str(job.folder.path / DENSE))


def find_or_search(job: Job) -> AnyTicket:
    """Return the ticket of a job, and search or draw it first unless this stage is finished."""
    place = job.folder.path / TICKET
    origin = {
        "model": job.config.model,
        "task": job.splits.data.name,
        "data_fingerprint": job.splits.data.fingerprint,
    }
    # A search of the user's choice names the ticket; otherwise the method does.
    method = {} if job.config.search else {"method": job.config.method}

    def save(ticket: AnyTicket) -> None:
        if processes.is_first():
            ticket.save_pretrained(place)

    def find() -> float:
        if job.recipe.is_random:
            save(random_ticket(job.config, neuron_multiple(job.config), origin))
            return 0.0
        finetuned = job.recipe.starts_from_finetuned
        continued = job.recipe.continued
        model = load_classifier(str(job.folder.path / DENSE)) if finetuned else job.initial_model()
        ticket, seconds = search_ticket(
            model,
            job.splits,
            job.config,
            job.folder,
            TICKET,
            job.observer,
            job.interrupt,
            job.recipe,
            {**method, **origin},
            job.noise(MODEL if continued else TICKET),
            MODEL if continued else None,
        )
        if job.recipe.start == "searched":
            _save_model(model, job.splits, job.folder.path / SEARCHED)
        save(replace(ticket, origin={**ticket.origin, "classes_named": _classes_named(model, job.splits)}))
        return seconds

    job.once(TICKET, "Searching a ticket", find)
    return find_ticket(place)


def _classes_named(model: PreTrainedModel, splits: Splits) -> int:
    """Return the number of classes that a model predicts after the search; 1 if the search has collapsed."""
    rows = splits.selection.select(range(min(len(splits.selection), _SAMPLE)))
    return len(np.unique(predict(model, splits.tokenizer, rows).argmax(axis=1)))


def train_model(job: Job, ticket: AnyTicket | None) -> PreTrainedModel:
    """Return the classifier of a job's method, and train it first unless this stage is finished.

    Args:
        job: The job.
        ticket: The ticket by which the classifier is cut; None to train the whole encoder.

    Raises:
        OutputError: If the training continues the search, and the checkpoint of the search is missing.
    """

    # The paper cuts the ticket out of the pretrained weights, not out of the weights after the search.
    def train() -> float:
        recipe = job.recipe
        if recipe.continued and job.folder.last_checkpoint(MODEL) is None:
            raise OutputError(
                f"'{job.folder.checkpoints(MODEL)}' no longer holds the checkpoint of the ticket's training: "
                "begin again in another --output."
            )
        return job.train(_start(job, ticket), MODEL, recipe.adversary, job.noise(MODEL))

    title = f"Training by {job.config.method}" if ticket is None else "Fine-tuning the ticket"
    job.once(MODEL, title, train)
    return load_classifier(str(job.folder.path / MODEL))


def _start(job: Job, ticket: AnyTicket | None) -> PreTrainedModel:
    """Return the classifier from which the fine-tuning starts."""
    if ticket is None:
        return job.initial_model()
    if isinstance(ticket, WeightTicket):
        return zero_weights(job.initial_model(), ticket)
    # With "continued", the training replaces these weights with those of its checkpoint.
    if job.recipe.start in ("pretrained", "given", "continued"):
        return prune(job.initial_model(), ticket)
    if job.recipe.start == "searched":
        return prune(load_classifier(str(job.folder.path / SEARCHED)), ticket)
    untrained = load_untrained(job.config.model, job.splits.data.label_names, job.config.seed)
    if job.recipe.start == "random":
        return prune(untrained, ticket)
    return reinitialize_pruned(job.initial_model(), ticket, untrained)
