"""The jobs, top to bottom: train the dense model, search a ticket, cut, fine-tune, evaluate, record."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from earlyrobust import processes
from earlyrobust.adversarial import WordSwap
from earlyrobust.attacks import WordSwapAttack
from earlyrobust.encoders import (
    Note,
    files_digest,
    has_bf16,
    load_classifier,
    load_dimensions,
    load_pretrained,
    load_untrained,
    save_tokenizer,
    silent,
)
from earlyrobust.errors import ConfigError
from earlyrobust.evaluation import accuracy_of, evaluate_clean, measure_speed, predict, sample_examples
from earlyrobust.families import family_of
from earlyrobust.pipeline.attacking import attack_model, build_attacks
from earlyrobust.pipeline.config import RunConfig
from earlyrobust.pipeline.environment import describe_environment, note_idle_devices
from earlyrobust.pipeline.folder import (
    DENSE,
    MODEL,
    SEARCHED,
    TICKET,
    AnyTicket,
    RunFolder,
    bytes_of_weights,
    close_again,
    find_ticket,
)
from earlyrobust.pipeline.observer import Observer
from earlyrobust.pipeline.own_data import digest_of_files
from earlyrobust.pipeline.preflight import try_out
from earlyrobust.pipeline.recipe import Recipe
from earlyrobust.pipeline.splits import Splits, load_splits
from earlyrobust.pipeline.tickets import check_ticket, random_ticket
from earlyrobust.pipeline.training import check_can_train, search_ticket, train_classifier
from earlyrobust.pruning import is_cut, prune, refill, zero
from earlyrobust.results import (
    ATTACKS_FOLDER,
    DataRecord,
    ModelRecord,
    RunRecord,
    SearchRecord,
    SpeedRecord,
    TicketRecord,
    WeightsRecord,
    find_faults,
    swapped_classes,
)
from earlyrobust.storage import write_folder
from earlyrobust.ticket import Ticket, entries_to_cut
from earlyrobust.weight_ticket import WeightTicket

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from earlyrobust.adversarial import Adversary

# Texts on which a searched model is seen to name more than one class.
_SAMPLE = 256


def run(config: RunConfig, observer: Observer | None = None) -> RunRecord:
    """Train a classifier by one of the methods, and a dense one by plain fine-tuning beside it.

    The folder of the run then holds `dense/`, `ticket/` if the method has one, `model/`, `config.yaml` and
    `result.json`. Called again with the same options it goes on where it was interrupted, or returns the
    record it has. Plain fine-tuning has nothing beside it, nor has a run without the option `dense`, unless
    its search starts from the dense model.

    Args:
        config: Resolved options.
        observer: Is told what happens.

    Returns:
        The record of the run.

    Raises:
        EarlyRobustError: If an option, the data, the model or the folder cannot be used.
    """
    observer = observer or Observer()
    recipe = Recipe.of(config)
    folder = RunFolder(config.output_folder, {"command": "run"}, config.to_dict())
    if folder.is_complete and not folder.has_moved:
        return _finished(folder, config, observer)
    check_can_train(config)
    _check_ratios(config)
    # What they lean on may be missing: better known before the training.
    attacks = build_attacks(config, observer.note)
    splits = load_splits(config, observer)
    _check_sample(config, splits)
    with _begun(config, recipe, splits, folder, observer) as job:
        if folder.is_complete:  # its data has moved, and is still the same
            return _finished(folder, config, observer)
        has_dense = recipe.starts_from_finetuned or (config.dense and not recipe.is_plain)
        dense = _dense_model(job) if has_dense else None
        ticket = _ticket(job) if recipe.has_ticket else None
        model = _model(job, ticket)
        return _record(job, config.method, attacks, ticket, model, dense if config.dense else None)


def search(config: RunConfig, observer: Observer | None = None) -> AnyTicket:
    """Only search a ticket, and save it as `ticket/` in the run's folder.

    Args:
        config: Resolved options.
        observer: Is told what happens.

    Returns:
        The ticket.

    Raises:
        EarlyRobustError: As for `run`.
    """
    observer = observer or Observer()
    recipe = Recipe.of(config)
    if not recipe.has_ticket:
        raise ConfigError(f"The method '{config.method}' has no ticket to search: choose another --method.")
    folder = RunFolder(config.output_folder, {"command": "search"}, config.to_dict())
    if folder.is_finished(TICKET) and not folder.has_moved:
        folder.check_data(digest_of_files(config))
        folder.check_model(files_digest(config.model))
        close_again(folder.path)
        observer.note(f"The search in {folder.path} is finished already; this is its ticket.")
    else:
        check_can_train(config)
        _check_ratios(config)
        splits = load_splits(config, observer)
        with _begun(config, recipe, splits, folder, observer) as job:
            if recipe.starts_from_finetuned:
                _dense_model(job)
            _ticket(job)
            folder.close()
    return find_ticket(folder.path / TICKET)


def finetune(config: RunConfig, ticket_folder: Path, observer: Observer | None = None) -> RunRecord:
    """Cut a pretrained encoder by a ticket that was searched before; fine-tune and evaluate what is left.

    Args:
        config: Resolved options; the task or the seed may differ from those of the search.
        ticket_folder: Folder of the ticket, or of a run or cut model that holds one.
        observer: Is told what happens.

    Returns:
        The record, without a dense model beside it.

    Raises:
        EarlyRobustError: As for `run`, and if there is no ticket or it does not fit the model.
    """
    observer = observer or Observer()
    ticket = find_ticket(ticket_folder)
    if isinstance(ticket, Ticket):
        config = config.model_copy(update={"heads": ticket.head_sparsity, "neurons": ticket.neuron_sparsity})
    if config.start == "searched":
        raise ConfigError(
            "A ticket comes without the weights that it was searched with: choose another --start, or "
            "`earlyrobust run --start searched`."
        )
    command = {"command": "finetune", "ticket": ticket.fingerprint}
    recipe = Recipe.of(config)
    folder = RunFolder(config.output_folder, command, config.to_dict())
    if folder.is_complete and not folder.has_moved:
        return _finished(folder, config, observer)
    check_can_train(config)
    check_ticket(ticket, config.model)
    attacks = build_attacks(config, observer.note)
    splits = load_splits(config, observer)
    _check_sample(config, splits)
    with _begun(config, recipe, splits, folder, observer) as job:
        if folder.is_complete:
            return _finished(folder, config, observer)
        return _record(job, "finetune-ticket", attacks, ticket, _model(job, ticket), None)


@dataclass(frozen=True)
class _Job:
    """What all stages of a job need."""

    config: RunConfig
    recipe: Recipe
    splits: Splits
    folder: RunFolder
    observer: Observer
    choices: list[str] = field(default_factory=list)

    def pretrained(self, note: Note = silent) -> PreTrainedModel:
        """The encoder with a fresh head, the same each time."""
        return load_pretrained(self.config.model, self.splits.data.label_names, self.config.seed, note)

    def train(
        self,
        model: PreTrainedModel,
        stage: str,
        adversary: Adversary | None,
        epochs: float,
        learning_rate: float,
    ) -> float:
        """Train a classifier, save it as a stage's, and return the seconds of the training."""
        seconds = train_classifier(
            model,
            self.splits,
            self.config,
            self.folder,
            stage,
            self.observer,
            adversary,
            epochs,
            learning_rate,
        )
        _save_model(model, self.splits, self.folder.path / stage)
        return seconds

    def once(self, stage: str, title: str, work: Callable[[], float]) -> None:
        """Do a stage unless it is finished; `work` returns the seconds that count."""
        if self.folder.is_finished(stage):
            self.observer.note(f"{title}: finished before, taken from {self.folder.path / stage}")
            return
        with self.observer.stage(title):
            seconds = work()
            processes.wait()  # until what the first has written is there for all
            self.folder.finish(stage, seconds)


@contextmanager
def _begun(
    config: RunConfig, recipe: Recipe, splits: Splits, folder: RunFolder, observer: Observer
) -> Iterator[_Job]:
    """Gather what is left to gather, and claim the folder while the context lasts."""
    adversaries = (recipe.adversary, recipe.search_adversary)
    changes_texts = bool(config.attack) or any(isinstance(used, WordSwap) for used in adversaries)
    recipe = recipe.equipped(config.neighbours, splits.tokenizer, observer)
    recipe = recipe.given_time(math.ceil(len(splits.train) / config.batch_size), config, observer)
    note_idle_devices(observer)
    if config.bf16 and not has_bf16():
        observer.note("This processor does not know bfloat16: it trains many times slower with --bf16.")
    job = _Job(config, recipe, splits, folder, observer)
    # Whether it can be loaded is better known before the folder is taken.
    model = job.pretrained(observer.noting(job.choices))
    if config.gradient_checkpointing and not model.supports_gradient_checkpointing:
        raise ConfigError(
            f"transformers has no gradient checkpointing for '{config.model}': do without "
            "--gradient-checkpointing, or choose another --model."
        )
    rows = (splits.train, splits.selection, splits.test)
    try_out(model, splits.tokenizer, rows, observer, changes_texts=changes_texts)
    with folder.claimed(splits.data.fingerprint, files_digest(config.model) or model.config._commit_hash):
        yield job


def _finished(folder: RunFolder, config: RunConfig, observer: Observer) -> RunRecord:
    record = RunRecord.load(folder.path)
    folder.check_data(digest_of_files(config))
    folder.check_model(files_digest(record.config["model"]))
    close_again(folder.path)
    observer.note(f"The run in {folder.path} is finished already; this is its record.")
    return record


def _save_model(model: PreTrainedModel, splits: Splits, folder: Path) -> None:
    if not processes.is_first():
        return

    def write(place: Path) -> None:
        model.save_pretrained(place)
        save_tokenizer(splits.tokenizer, place)

    shutil.rmtree(folder, ignore_errors=True)  # of a process that was killed before it noted the stage
    write_folder(folder, write)


def _dense_model(job: _Job) -> PreTrainedModel:
    def train() -> float:
        return job.train(job.pretrained(), DENSE, None, job.recipe.epochs, job.config.learning_rate)

    job.once(DENSE, "Fine-tuning the dense model", train)
    return load_classifier(str(job.folder.path / DENSE))


def _ticket(job: _Job) -> AnyTicket:
    place = job.folder.path / TICKET
    origin = {
        "model": job.config.model,
        "task": job.splits.data.name,
        "data_fingerprint": job.splits.data.fingerprint,
    }

    def save(ticket: AnyTicket) -> None:
        if processes.is_first():
            ticket.save(place)

    def find() -> float:
        if job.recipe.is_random:
            save(random_ticket(job.config, origin))
            return 0.0
        finetuned = job.recipe.starts_from_finetuned
        model = load_classifier(str(job.folder.path / DENSE)) if finetuned else job.pretrained()
        ticket, seconds = search_ticket(
            model, job.splits, job.config, job.folder, TICKET, job.observer, job.recipe, origin
        )
        if job.recipe.start == "searched":
            _save_model(model, job.splits, job.folder.path / SEARCHED)
        save(replace(ticket, origin={**ticket.origin, "classes_named": _classes_named(model, job.splits)}))
        return seconds

    job.once(TICKET, "Searching a ticket", find)
    return find_ticket(place)


def _classes_named(model: PreTrainedModel, splits: Splits) -> int:
    """How many classes a model names that a ticket was searched on; one, if the search has collapsed."""
    rows = splits.selection.select(range(min(len(splits.selection), _SAMPLE)))
    return len(np.unique(predict(model, splits.tokenizer, rows).argmax(axis=1)))


def _model(job: _Job, ticket: AnyTicket | None) -> PreTrainedModel:
    # The ticket is cut out of the pretrained weights: those of the search have done their work.
    def train() -> float:
        recipe = job.recipe
        epochs = recipe.finetuning_epochs(math.ceil(len(job.splits.train) / job.config.batch_size))
        return job.train(_start(job, ticket), MODEL, recipe.adversary, epochs, recipe.learning_rate)

    title = f"Training by {job.config.method}" if ticket is None else "Fine-tuning the ticket"
    job.once(MODEL, title, train)
    return load_classifier(str(job.folder.path / MODEL))


def _start(job: _Job, ticket: AnyTicket | None) -> PreTrainedModel:
    """The classifier before its fine-tuning."""
    if ticket is None:
        return job.pretrained()
    if isinstance(ticket, WeightTicket):
        return zero(job.pretrained(), ticket)
    if job.recipe.start == "pretrained":
        return prune(job.pretrained(), ticket)
    if job.recipe.start == "searched":
        return prune(load_classifier(str(job.folder.path / SEARCHED)), ticket)
    untrained = load_untrained(job.config.model, job.splits.data.label_names, job.config.seed)
    if job.recipe.start == "random":
        return prune(untrained, ticket)
    return refill(job.pretrained(), ticket, untrained)


def _record(
    job: _Job,
    method: str,
    attacks: Sequence[WordSwapAttack],
    ticket: AnyTicket | None,
    model: PreTrainedModel,
    dense: PreTrainedModel | None,
) -> RunRecord:
    """Evaluate and attack what was trained, on the test split for the only time, and write the record."""
    config, splits, folder = job.config, job.splits, job.folder
    with job.observer.stage("Evaluating"):
        record_of_model = _evaluate(model, splits, folder.path / MODEL)
        record_of_dense, speed = None, None
        if dense is not None:
            record_of_dense = _evaluate(dense, splits, folder.path / DENSE)
        if is_cut(model) and isinstance(ticket, Ticket):
            # What a forward pass takes does not depend on what the weights were trained for.
            whole = job.pretrained() if dense is None else dense
            speed = _speed(whole.to(model.device), model, ticket, splits)

    def under_attack(record: ModelRecord, model: PreTrainedModel, title: str) -> ModelRecord:
        records = attack_model(
            model,
            splits.tokenizer,
            getattr(splits.data, config.attack_split),
            attacks,
            config,
            seed=config.seed,
            max_length=splits.max_length,
            journals=folder.path / ATTACKS_FOLDER,
            observer=job.observer,
            title=title,
        )
        return replace(record, attacks=records)

    if dense is not None and record_of_dense is not None:
        record_of_dense = under_attack(record_of_dense, dense, DENSE)
    record_of_model = under_attack(record_of_model, model, MODEL if ticket is None else TICKET)
    cut = ticket if isinstance(ticket, Ticket) else None
    record = RunRecord(
        method=method,
        config=config.to_dict(),
        data=DataRecord(
            name=splits.data.name,
            fingerprint=splits.data.fingerprint,
            sizes=splits.data.sizes,
            label_names=list(splits.data.label_names),
            largest_class=splits.data.largest_class,
            classes=splits.data.classes,
            duplicates=splits.data.duplicates,
            max_length=splits.max_length,
            cut=splits.cut,
            merged_labels=splits.data.merged_labels,
        ),
        environment=describe_environment(),
        seconds={"data": splits.seconds, **folder.seconds},
        ticket=None if cut is None else TicketRecord.of(cut),
        search=None if cut is None else SearchRecord.of(cut),
        weights=WeightsRecord(ticket.kept, ticket.weights) if isinstance(ticket, WeightTicket) else None,
        ticket_origin={} if ticket is None else ticket.origin,
        model=record_of_model,
        dense=record_of_dense,
        speed=speed,
        needs_dense=job.recipe.starts_from_finetuned,
        training=folder.training,
        choices=job.choices,
    )
    record = replace(record, findings=find_faults(record))
    if processes.is_first():
        record.save(folder.path)
    folder.close()
    return record


def _speed(dense: PreTrainedModel, small: PreTrainedModel, ticket: Ticket, splits: Splits) -> SpeedRecord:
    """What the first process measures while the others wait."""
    return SpeedRecord(
        **processes.by_first(
            lambda: asdict(measure_speed(dense, small, ticket, splits.tokenizer, splits.test))
        )
    )


def _evaluate(model: PreTrainedModel, splits: Splits, folder: Path) -> ModelRecord:
    layers = family_of(model.config).layers(model)
    predicted = predict(model, splits.tokenizer, splits.test).argmax(axis=1)
    return ModelRecord(
        test=accuracy_of(predicted, splits.test),
        selection=evaluate_clean(model, splits.tokenizer, splits.selection),
        parameters=sum(weight.numel() for weight in model.parameters()),
        encoder_parameters=sum(weight.numel() for layer in layers for weight in layer.parameters()),
        bytes=bytes_of_weights(folder),
        classes_named=len(np.unique(predicted)),
        swapped=swapped_classes(splits.test["labels"][:], predicted.tolist(), splits.data.label_names),
    )


def _check_ratios(config: RunConfig) -> None:
    """Refuse ratios that cannot be drawn before anything is trained."""
    _, size = load_dimensions(config.model)
    entries_to_cut(config.heads or 0, size.layers, size.heads)
    entries_to_cut(config.neurons or 0, size.layers, size.neurons)


def _check_sample(config: RunConfig, splits: Splits) -> None:
    """Refuse a sample that cannot be drawn before anything is trained."""
    if config.attack:
        rows = getattr(splits.data, config.attack_split)
        sample_examples(rows, config.examples, config.seed, len(splits.data.label_names))
