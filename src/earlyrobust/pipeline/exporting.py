"""Exporting a trained classifier, and measuring what that changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification

from earlyrobust import processes
from earlyrobust.attacks import WordSwapAttack
from earlyrobust.data import TASKS, load_task, tokenize
from earlyrobust.encoders import check_length, load_classifier, load_tokenizer, save_tokenizer
from earlyrobust.errors import ConfigError, ModelError, OutputError
from earlyrobust.evaluation import fingerprint, predict, sample_examples
from earlyrobust.export import check_remote_code, export_dense, export_onnx, export_remote_code
from earlyrobust.onnx_classifier import OnnxClassifier
from earlyrobust.pipeline.attacking import attack_model, build_attacks, check_attacks
from earlyrobust.pipeline.config import DEFAULT_TASK
from earlyrobust.pipeline.environment import describe_environment
from earlyrobust.pipeline.export_options import ExportConfig, export_folder
from earlyrobust.pipeline.folder import bytes_of_weights
from earlyrobust.pipeline.judge import Subject, load_subject
from earlyrobust.pipeline.observer import Observer
from earlyrobust.pipeline.testdata import TestData, model_in
from earlyrobust.results import ATTACKS_FOLDER, Accuracy, AttackRecord, CheckRecord, Compared, ExportRecord
from earlyrobust.storage import check_can_be_made, content_of, locked, remove_leftovers, write_folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Examples that the two are compared on, if there are so many.
_CHECKED = 1_000
# Of the built-in corpus: they only show that both compute the same.
_MADE_UP = 200


def export(
    model_name: str, data: TestData, config: ExportConfig, observer: Observer | None = None
) -> ExportRecord:
    """Write a trained classifier in a form that other software runs, and compare the two.

    They are compared on the test data, as far as anything says what that is, and else on sentences of the
    built-in corpus. What was interrupted goes on when it is called again.

    Args:
        model_name: A folder of a model or a run, or a name on the Hugging Face hub.
        data: What the two are compared on; without a task or a file what the run was tested on that trained
            the model.
        config: The form, the folder, and the attacks.
        observer: Is told what happens.

    Returns:
        The record, which is also written into the output folder as `export.json`.

    Raises:
        EarlyRobustError: If the model cannot be exported so, the data or a resource cannot be used, or the
            folder holds anything else.
    """
    processes.check_alone("An export")
    observer = observer or Observer()
    check_attacks(config)
    folder = config.output or export_folder(model_name, config.to)
    check_can_be_made(folder)
    job = _Job.begin(model_name, data, config, observer)
    attacks = build_attacks(config)
    with locked(folder, beside=True):
        return _export(job, folder, config, attacks)


def _export(job: _Job, folder: Path, config: ExportConfig, attacks: Sequence[WordSwapAttack]) -> ExportRecord:
    observer = job.observer
    record = job.begun(folder)
    if record.check is not None:
        observer.note(f"The export in {folder} is finished already; this is its record.")
        return record
    with observer.stage("Comparing the two"):
        made = _load(folder, config.to)
        check = _compare(job.subject, made, job.has_labels)
    found: list[dict[str, AttackRecord]] = []
    for title, model in (("model", job.subject.model), (config.to, made)) if attacks else ():
        found.append(
            attack_model(
                model,
                job.subject.tokenizer,
                job.subject.rows,
                attacks,
                config,
                seed=config.seed,
                max_length=job.subject.max_length,
                journals=folder / ATTACKS_FOLDER,
                observer=observer,
                title=title,
            )
        )
    if found:
        check = replace(check, attacks={name: (found[0][name], found[1][name]) for name in found[0]})
    record = replace(record, check=check)
    record.save(folder)
    return record


@dataclass(frozen=True)
class _Job:
    """What is exported, what it is compared on, and how it is to be recorded."""

    subject: Subject
    has_labels: bool
    record: ExportRecord
    observer: Observer

    @classmethod
    def begin(cls, model_name: str, data: TestData, config: ExportConfig, observer: Observer) -> _Job:
        has_labels = data.is_known(model_name)
        if config.attack and not has_labels:
            raise ConfigError(
                f"Nothing says what '{model_name}' is to be attacked on: give --task (see `earlyrobust list "
                "tasks`) or --test-file, or leave --attack out."
            )
        if data.labels is not None and not has_labels:
            raise ConfigError("--labels is for data with labels: give --task or --test-file too.")
        subject = (load_subject if has_labels else _on_made_up_sentences)(model_name, data, observer)
        if isinstance(subject.model, OnnxClassifier):
            raise ModelError(f"'{model_name}' is an export already: export the model that it was made of.")
        if config.attack:
            sample_examples(subject.rows, config.examples, config.seed, subject.model.config.num_labels)
        options = {**data.to_dict(), **config.to_dict(), "output": None}
        record = ExportRecord(
            model=model_name,
            fingerprint=fingerprint(subject.model),
            to=config.to,
            bytes=0,
            config=json.loads(json.dumps(options, default=str)),
            environment=describe_environment(),
        )
        return cls(subject, has_labels, record, observer)

    def begun(self, folder: Path) -> ExportRecord:
        """Write the export into its folder, unless it is there already, and return its record."""
        if not content_of(folder):
            with self.observer.stage(f"Exporting to {self.record.to}"):
                write_folder(folder, self._write)
            return ExportRecord.load(folder)
        found = ExportRecord.load(folder)
        if replace(found, bytes=0, check=None, environment=self.record.environment) != self.record:
            raise OutputError(f"'{folder}' holds another export: choose another --output, or delete it.")
        if self.record.to == "remote-code":
            check_remote_code(self.subject.model, folder)
        remove_leftovers(folder, within=True)
        return found

    def _write(self, folder: Path) -> None:
        model, tokenizer = self.subject.model.cpu(), self.subject.tokenizer
        match self.record.to:
            case "dense":
                export_dense(model, folder)
            case "remote-code":
                export_remote_code(model, folder)
            case form:
                export_onnx(model, tokenizer, folder, int8=form == "onnx-int8")
        save_tokenizer(tokenizer, folder)
        replace(self.record, bytes=bytes_of_weights(folder)).save(folder)


def _on_made_up_sentences(model_name: str, _: TestData, observer: Observer) -> Subject:
    """A classifier with sentences that it may never have been trained for."""
    place = model_in(model_name)
    with observer.stage("Loading model and data"):
        model, tokenizer = load_classifier(place), load_tokenizer(place)
        rows = load_task(TASKS[DEFAULT_TASK], data_dir=None).test.select(range(_MADE_UP))
    return Subject(DEFAULT_TASK, model, tokenizer, rows, check_length(tokenizer, 128), labels={}, cut=0)


def _load(folder: Path, to: str) -> PreTrainedModel:
    """Load an export, by its own code if it has any."""
    if to != "remote-code":
        return load_classifier(str(folder))
    load = AutoModelForSequenceClassification.from_pretrained
    return cast("PreTrainedModel", load(folder, trust_remote_code=True, dtype=torch.float32).eval())


def _compare(subject: Subject, made: PreTrainedModel, has_labels: bool) -> CheckRecord:
    rows = subject.rows
    if len(rows) > _CHECKED:
        rows = rows.select(sample_examples(rows, _CHECKED, 0, subject.model.config.num_labels))
    examples = tokenize(rows, subject.tokenizer, subject.max_length)
    logits = [predict(model, subject.tokenizer, examples) for model in (subject.model, made)]
    predictions = [values.argmax(axis=1) for values in logits]
    right = [int((values == np.asarray(rows["label"])).sum()) for values in predictions]
    return CheckRecord(
        data=subject.data_name,
        examples=len(rows),
        largest_difference=float(np.abs(logits[0] - logits[1]).max()),
        predictions_changed=int((predictions[0] != predictions[1]).sum()),
        accuracy=Compared(*(Accuracy.of(count, len(rows)) for count in right)) if has_labels else None,
        attacks={},
        test_data=subject.test_data,
    )
