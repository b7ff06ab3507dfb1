"""Evaluates and attacks the trained models of a job, and writes the record of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from earlyrobust import processes
from earlyrobust.analysis.findings import find_faults, swapped_classes
from earlyrobust.attacks import WordSwapAttack
from earlyrobust.evaluation import accuracy_of, calibration_error, evaluate_clean, measure_speed, predict
from earlyrobust.families import family_of
from earlyrobust.pipeline.attacks import attack_model
from earlyrobust.pipeline.splits import Splits
from earlyrobust.pipeline.stages import Job
from earlyrobust.pruning import is_cut
from earlyrobust.results import (
    ATTACKS_FOLDER,
    Confusion,
    DataRecord,
    ModelRecord,
    RunRecord,
    SearchRecord,
    SpeedRecord,
    TicketRecord,
    WeightsRecord,
)
from earlyrobust.tickets.ticket import Ticket
from earlyrobust.tickets.weight_ticket import WeightTicket
from earlyrobust.workspace.environment import describe_environment
from earlyrobust.workspace.finding import bytes_of_weights
from earlyrobust.workspace.folder import DENSE, MODEL, TICKET, AnyTicket

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def make_record(
    job: Job,
    method: str,
    attacks: Sequence[WordSwapAttack],
    ticket: AnyTicket | None,
    model: PreTrainedModel,
    dense: PreTrainedModel | None,
) -> RunRecord:
    """Evaluate and attack the trained models, and write the record of the run.

    The models are evaluated on the test split, and attacked on the split of the options.

    Args:
        job: The job.
        method: Name of the method, for the record.
        attacks: The attacks.
        ticket: The ticket; None without one.
        model: The model of the method.
        dense: The dense model; None without one.
    """
    config, splits, folder = job.config, job.splits, job.folder
    with job.observer.stage("Evaluating"):
        record_of_model = _evaluate(model, splits, folder.path / MODEL)
        record_of_dense, speed = None, None
        if dense is not None:
            record_of_dense = _evaluate(dense, splits, folder.path / DENSE)
        if is_cut(model) and isinstance(ticket, Ticket):
            # The time of a forward pass does not depend on the values of the weights.
            whole = job.initial_model() if dense is None else dense
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
            reads_more=splits.reads_more,
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
        given=job.keeps_head,
        word_sources=job.word_sources,
    )
    record = replace(record, findings=find_faults(record))
    if processes.is_first():
        record.save(folder.path)
    folder.close()
    return record


def _speed(dense: PreTrainedModel, small: PreTrainedModel, ticket: Ticket, splits: Splits) -> SpeedRecord:
    """Measure the speed of the cut model in the first process, while the others wait."""
    return SpeedRecord(
        **processes.by_first(
            lambda: asdict(measure_speed(dense, small, ticket, splits.tokenizer, splits.test))
        )
    )


def _evaluate(model: PreTrainedModel, splits: Splits, folder: Path) -> ModelRecord:
    layers = family_of(model.config).layers(model)
    logits = predict(model, splits.tokenizer, splits.test)
    predicted = logits.argmax(axis=1)
    return ModelRecord(
        test=accuracy_of(predicted, splits.test),
        selection=evaluate_clean(model, splits.tokenizer, splits.selection),
        parameters=sum(weight.numel() for weight in model.parameters()),
        encoder_parameters=sum(weight.numel() for layer in layers for weight in layer.parameters()),
        bytes=bytes_of_weights(folder),
        classes_named=len(np.unique(predicted)),
        swapped=swapped_classes(splits.test["labels"][:], predicted.tolist(), splits.data.label_names),
        confusion=Confusion.of(splits.test["labels"][:], predicted.tolist(), len(splits.data.label_names)),
        calibration_error=calibration_error(logits, np.array(splits.test["labels"][:])),
    )
