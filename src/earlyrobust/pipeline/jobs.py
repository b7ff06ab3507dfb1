"""Runs the jobs: train the dense model, search a ticket, cut, fine-tune, evaluate, record."""

from __future__ import annotations

from pathlib import Path

from earlyrobust.encoders import (
    files_digest,
    load_dimensions,
)
from earlyrobust.errors import ConfigError
from earlyrobust.evaluation import sample_examples
from earlyrobust.options.run import RunConfig
from earlyrobust.pipeline.attacks import build_attacks
from earlyrobust.pipeline.foreign import blaming
from earlyrobust.pipeline.original_data import digest_of_files
from earlyrobust.pipeline.recipe import Recipe
from earlyrobust.pipeline.recording import make_record
from earlyrobust.pipeline.splits import Splits, load_splits
from earlyrobust.pipeline.stages import begun, find_or_search, make_dense, train_model
from earlyrobust.pipeline.tickets import check_ticket, options_for_ticket
from earlyrobust.pipeline.training import check_can_train
from earlyrobust.results import RunRecord
from earlyrobust.tickets.drawing import entries_to_cut
from earlyrobust.workspace.finding import check_model_place, find_ticket
from earlyrobust.workspace.folder import (
    CONFIG_NAME,
    DENSE,
    PROGRESS_NAME,
    TICKET,
    AnyTicket,
    RunFolder,
    close_again,
)
from earlyrobust.workspace.observer import Observer


def run(config: RunConfig, observer: Observer | None = None) -> RunRecord:
    """Train a classifier with one of the methods, and a dense model with plain fine-tuning to compare.

    The folder of the run then holds `dense/`, `ticket/` if the method has one, `model/`, `config.yaml` and
    `result.json`. A second call with the same options continues an interrupted run, or returns the record of
    a finished run. Plain fine-tuning of an encoder has no dense model to compare. A run without the option
    `dense` has none either, unless its search starts from the dense model. If the model in the options is a
    trained classifier for the classes of the data, the training starts from it, and `dense/` is an unchanged
    copy of this classifier.

    Args:
        config: Resolved options.
        observer: Receives progress and messages; None to discard them.

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
    _check_model(config)
    _check_ratios(config)
    # Missing resources of the attacks are an error before the training, not after it.
    attacks = build_attacks(config, observer.note)
    splits = load_splits(config, observer)
    _check_sample(config, splits)
    with blaming(*recipe.classes), begun(config, recipe, splits, folder, observer) as job:
        if folder.is_complete:  # The files have moved, but their content is the same.
            return _finished(folder, config, observer)
        has_rival = job.keeps_head or not recipe.is_plain
        has_dense = recipe.starts_from_finetuned or (config.dense and has_rival)
        dense = make_dense(job) if has_dense else None
        ticket = find_or_search(job) if recipe.has_ticket else None
        model = train_model(job, ticket)
        return make_record(job, config.method, attacks, ticket, model, dense if config.dense else None)


def search(config: RunConfig, observer: Observer | None = None) -> AnyTicket:
    """Search a ticket, and save it as `ticket/` in the folder of the run, without the later stages of a run.

    Args:
        config: Resolved options.
        observer: Receives progress and messages; None to discard them.

    Returns:
        The ticket.

    Raises:
        EarlyRobustError: If the method has no ticket, or an option, the data, the model or the folder cannot
            be used.
    """
    observer = observer or Observer()
    recipe = Recipe.for_search(config)
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
        _check_model(config)
        _check_ratios(config)
        splits = load_splits(config, observer)
        with blaming(*recipe.classes), begun(config, recipe, splits, folder, observer) as job:
            if recipe.starts_from_finetuned:
                make_dense(job)
            find_or_search(job)
            folder.close()
    return find_ticket(folder.path / TICKET)


def finetune(config: RunConfig, ticket_folder: Path, observer: Observer | None = None) -> RunRecord:
    """Cut a pretrained encoder by a ticket of an earlier search, then fine-tune and evaluate the cut model.

    The fine-tuning has neither noise nor an adversary unless the options name them. They do not come from the
    method of the options.

    Args:
        config: Resolved options; the task or the seed may differ from those of the search.
        ticket_folder: Folder of the ticket, or of a run or cut model with a ticket.
        observer: Receives progress and messages; None to discard them.

    Returns:
        The record, without a dense model.

    Raises:
        EarlyRobustError: If an option, the data, the model or the folder cannot be used, the folder has no
            ticket, or the ticket does not fit the model.
    """
    observer = observer or Observer()
    ticket = find_ticket(ticket_folder)
    if config.start in ("searched", "continued"):
        raise ConfigError(
            "A ticket comes without the weights that it was searched with: choose another --start, or "
            f"`earlyrobust run --start {config.start}`."
        )
    config = options_for_ticket(config, ticket, observer)
    command = {"command": "finetune", "ticket": ticket.fingerprint}
    recipe = Recipe.for_ticket(config)
    folder = RunFolder(config.output_folder, command, config.to_dict())
    if folder.is_complete and not folder.has_moved:
        return _finished(folder, config, observer)
    check_can_train(config)
    _check_model(config)
    check_ticket(ticket, config.model)
    attacks = build_attacks(config, observer.note)
    splits = load_splits(config, observer)
    _check_sample(config, splits)
    with blaming(*recipe.classes), begun(config, recipe, splits, folder, observer) as job:
        if folder.is_complete:
            return _finished(folder, config, observer)
        return make_record(job, "finetune-ticket", attacks, ticket, train_model(job, ticket), None)


def _finished(folder: RunFolder, config: RunConfig, observer: Observer) -> RunRecord:
    record = RunRecord.load(folder.path)
    folder.check_data(digest_of_files(config))
    folder.check_model(files_digest(record.config["model"]))
    close_again(folder.path)
    observer.note(f"The run in {folder.path} is finished already; this is its record.")
    return record


def _check_model(config: RunConfig) -> None:
    """Refuse the folder of a run as the model, because it holds more than one model, and a missing folder."""
    folder = Path(config.model)
    if config.model.startswith((".", "/", "~")):  # no name on the hub
        check_model_place(config.model)
    if (folder / CONFIG_NAME).is_file() and (folder / PROGRESS_NAME).is_file():
        raise ConfigError(
            f"'{folder}' is the folder of a run: choose a whole model for --model, such as "
            f"'{folder / DENSE}'."
        )


def _check_ratios(config: RunConfig) -> None:
    """Refuse ratios for which no ticket can be drawn, before the training."""
    _, size = load_dimensions(config.model)
    entries_to_cut(config.heads or 0, size.layers, size.heads)
    entries_to_cut(config.neurons or 0, size.layers, size.neurons)


def _check_sample(config: RunConfig, splits: Splits) -> None:
    """Refuse a sample for the attacks that cannot be drawn, before the training."""
    if config.attack:
        rows = getattr(splits.data, config.attack_split)
        sample_examples(rows, config.examples, config.seed, len(splits.data.label_names))
