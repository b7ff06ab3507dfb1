"""The jobs, top to bottom: train the dense model, search a ticket, cut, fine-tune, evaluate, record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from earlyrobust.attacks import WordSwapAttack
from earlyrobust.encoders import load_classifier, load_dimensions, load_pretrained
from earlyrobust.evaluation import evaluate_clean, measure_speed, sample_examples
from earlyrobust.families import family_of
from earlyrobust.pipeline.attacking import attack_model, build_attacks
from earlyrobust.pipeline.config import RunConfig
from earlyrobust.pipeline.environment import describe_environment
from earlyrobust.pipeline.folder import DENSE, MODEL, TICKET, RunFolder
from earlyrobust.pipeline.methods import METHODS
from earlyrobust.pipeline.observer import Observer
from earlyrobust.pipeline.splits import Splits, load_splits
from earlyrobust.pipeline.training import search_ticket, train_classifier
from earlyrobust.pruning import prune
from earlyrobust.pruning.gates import check_fits
from earlyrobust.results import (
    ATTACKS_FOLDER,
    DataRecord,
    ModelRecord,
    RunRecord,
    SearchRecord,
    TicketRecord,
)
from earlyrobust.ticket import Ticket, entries_to_cut

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def run(config: RunConfig, observer: Observer | None = None) -> RunRecord:
    """Do the main job: a dense model by plain fine-tuning, a ticket, and the classifier made of it.

    The folder of the run then holds `dense/`, `ticket/`, `model/`, `config.yaml` and `result.json`. Called
    again with the same options it goes on where it was interrupted, or returns the record it has.

    Args:
        config: Resolved options.
        observer: Is told what happens.

    Returns:
        The record of the run.

    Raises:
        EarlyRobustError: If an option, the data, the model or the folder cannot be used.
    """
    observer = observer or Observer()
    folder = RunFolder(config.output_folder, {"command": "run"}, config.to_dict())
    if folder.is_complete:
        return _finished(folder, observer)
    _check_ratios(config)
    attacks = build_attacks(config)  # what they lean on may be missing: better known before the training
    splits = load_splits(config, observer)
    _check_sample(config, splits)
    folder.claim(splits.data.fingerprint)
    dense = _dense_model(config, splits, folder, observer)
    ticket = _ticket(config, splits, folder, observer)
    small = _cut_model(config, splits, folder, observer, ticket)
    return _record("earlyrobust", config, splits, folder, observer, attacks, ticket, small, dense)


def search(config: RunConfig, observer: Observer | None = None) -> Ticket:
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
    folder = RunFolder(config.output_folder, {"command": "search"}, config.to_dict())
    if folder.is_finished(TICKET):
        observer.note(f"The search in {folder.path} is finished already; this is its ticket.")
    else:
        _check_ratios(config)
        splits = load_splits(config, observer)
        folder.claim(splits.data.fingerprint)
        _ticket(config, splits, folder, observer)
        folder.close()
    return Ticket.load(folder.path / TICKET)


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
    held = ticket_folder / TICKET
    ticket = Ticket.load(held if held.is_dir() else ticket_folder)
    config = config.model_copy(update={"heads": ticket.head_sparsity, "neurons": ticket.neuron_sparsity})
    command = {"command": "finetune", "ticket": ticket.fingerprint}
    folder = RunFolder(config.output_folder, command, config.to_dict())
    if folder.is_complete:
        return _finished(folder, observer)
    check_fits(*load_dimensions(config.model), ticket)
    attacks = build_attacks(config)
    splits = load_splits(config, observer)
    _check_sample(config, splits)
    folder.claim(splits.data.fingerprint)
    small = _cut_model(config, splits, folder, observer, ticket)
    return _record("finetune-ticket", config, splits, folder, observer, attacks, ticket, small, None)


def _finished(folder: RunFolder, observer: Observer) -> RunRecord:
    observer.note(f"The run in {folder.path} is finished already; this is its record.")
    return RunRecord.load(folder.path)


def _dense_model(config: RunConfig, splits: Splits, folder: RunFolder, observer: Observer) -> PreTrainedModel:
    def train() -> float:
        model = load_pretrained(config.model, splits.data.label_names, config.seed)
        seconds = train_classifier(model, splits, config, folder, DENSE, observer, METHODS["finetune"])
        _save_model(model, splits, folder.path / DENSE)
        return seconds

    _once(folder, DENSE, "Fine-tuning the dense model", observer, train)
    return load_classifier(str(folder.path / DENSE))


def _ticket(config: RunConfig, splits: Splits, folder: RunFolder, observer: Observer) -> Ticket:
    def find() -> float:
        model = load_pretrained(config.model, splits.data.label_names, config.seed)
        origin = {
            "model": config.model,
            "task": splits.data.name,
            "data_fingerprint": splits.data.fingerprint,
        }
        ticket, seconds = search_ticket(
            model, splits, config, folder, TICKET, observer, METHODS["earlyrobust"], origin
        )
        ticket.save(folder.path / TICKET)
        return seconds

    _once(folder, TICKET, "Searching a ticket", observer, find)
    return Ticket.load(folder.path / TICKET)


def _cut_model(
    config: RunConfig, splits: Splits, folder: RunFolder, observer: Observer, ticket: Ticket
) -> PreTrainedModel:
    def train() -> float:
        # The ticket is cut out of the pretrained weights: those of the search have done their work.
        model = prune(load_pretrained(config.model, splits.data.label_names, config.seed), ticket)
        seconds = train_classifier(model, splits, config, folder, MODEL, observer, METHODS["earlyrobust"])
        _save_model(model, splits, folder.path / MODEL)
        return seconds

    _once(folder, MODEL, "Fine-tuning the ticket", observer, train)
    return load_classifier(str(folder.path / MODEL))


def _once(folder: RunFolder, stage: str, title: str, observer: Observer, work: Callable[[], float]) -> None:
    """Do a stage unless it is finished; `work` returns the seconds that count."""
    if folder.is_finished(stage):
        observer.note(f"{title}: finished before, taken from {folder.path / stage}")
        return
    with observer.stage(title):
        folder.finish(stage, work())


def _record(
    method: str,
    config: RunConfig,
    splits: Splits,
    folder: RunFolder,
    observer: Observer,
    attacks: Sequence[WordSwapAttack],
    ticket: Ticket,
    small: PreTrainedModel,
    dense: PreTrainedModel | None,
) -> RunRecord:
    """Evaluate and attack what was trained, on the test split for the only time, and write the record."""
    with observer.stage("Evaluating"):
        small_record = _evaluate(small, splits, folder.path / MODEL)
        dense_record, speed = None, None
        if dense is not None:
            dense_record = _evaluate(dense, splits, folder.path / DENSE)
            speed = measure_speed(dense, small, ticket, splits.tokenizer, splits.test)

    def under_attack(record: ModelRecord, model: PreTrainedModel, title: str) -> ModelRecord:
        records = attack_model(
            model,
            splits.tokenizer,
            splits.data.test,
            attacks,
            config,
            seed=config.seed,
            max_length=config.max_length,
            journals=folder.path / ATTACKS_FOLDER,
            observer=observer,
            title=title,
        )
        return replace(record, attacks=records)

    if dense is not None and dense_record is not None:
        dense_record = under_attack(dense_record, dense, DENSE)
    small_record = under_attack(small_record, small, TICKET)
    record = RunRecord(
        method=method,
        config=config.to_dict(),
        data=DataRecord(
            name=splits.data.name,
            fingerprint=splits.data.fingerprint,
            sizes=splits.data.sizes,
            label_names=list(splits.data.label_names),
        ),
        environment=describe_environment(),
        seconds={"data": splits.seconds, **folder.seconds},
        ticket=TicketRecord.of(ticket),
        search=SearchRecord.of(ticket),
        ticket_origin=ticket.origin,
        model=small_record,
        dense=dense_record,
        speed=speed,
    )
    record.save(folder.path)
    folder.close()
    return record


def _evaluate(model: PreTrainedModel, splits: Splits, folder: Path) -> ModelRecord:
    layers = family_of(model.config).layers(model)
    return ModelRecord(
        test=evaluate_clean(model, splits.tokenizer, splits.test),
        selection=evaluate_clean(model, splits.tokenizer, splits.selection),
        parameters=sum(weight.numel() for weight in model.parameters()),
        encoder_parameters=sum(weight.numel() for layer in layers for weight in layer.parameters()),
        bytes=sum(
            file.stat().st_size for file in folder.glob("*.safetensors") if file.name != "ticket.safetensors"
        ),
    )


def _save_model(model: PreTrainedModel, splits: Splits, folder: Path) -> None:
    model.save_pretrained(folder)
    splits.tokenizer.save_pretrained(folder)


def _check_ratios(config: RunConfig) -> None:
    """Refuse ratios that cannot be drawn before anything is trained."""
    _, size = load_dimensions(config.model)
    entries_to_cut(config.heads or 0, size.layers, size.heads)
    entries_to_cut(config.neurons or 0, size.layers, size.neurons)


def _check_sample(config: RunConfig, splits: Splits) -> None:
    """Refuse a sample that cannot be drawn before anything is trained."""
    if config.attack:
        sample_examples(splits.data.test, config.examples, config.seed, len(splits.data.label_names))
