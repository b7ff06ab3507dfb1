"""Exports a trained classifier, and compares the export with the original."""

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
from earlyrobust.analysis.doubts import doubts_of_each
from earlyrobust.attacks import WordSwapAttack
from earlyrobust.data import TASKS, load_task
from earlyrobust.encoders import (
    fastest_device,
    fingerprint,
    load_classifier,
    load_tokenizer,
    on_device,
    readable_tokens,
    save_tokenizer,
)
from earlyrobust.errors import ConfigError, ModelError, OutputError
from earlyrobust.evaluation import predict, sample_examples
from earlyrobust.export import (
    check_remote_code,
    complete_tokenizer,
    export_dense,
    export_onnx,
    export_remote_code,
)
from earlyrobust.judging.export_options import export_folder
from earlyrobust.judging.subject import Subject, load_subject, subject_of
from earlyrobust.judging.test_data import has_data
from earlyrobust.onnx_classifier import OnnxClassifier
from earlyrobust.options.export import ExportConfig
from earlyrobust.options.run import DEFAULT_TASK
from earlyrobust.options.test_data import TestData
from earlyrobust.pipeline.attacks import attack_model, build_attacks, check_attacks
from earlyrobust.results import ATTACKS_FOLDER, AttackRecord, CheckRecord, Compared, ExportRecord
from earlyrobust.statistics.measures import Accuracy
from earlyrobust.storage import check_can_be_made, content_of, locked, remove_leftovers, write_folder
from earlyrobust.workspace.environment import describe_environment
from earlyrobust.workspace.finding import bytes_of_weights, model_in
from earlyrobust.workspace.folder import what_matters
from earlyrobust.workspace.identity import differences, facts_of_test_data, told
from earlyrobust.workspace.observer import Observer

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# The largest number of examples on which the two are compared.
_CHECKED = 1_000
# Number of sentences of the built-in corpus, which only show that both compute the same, and the tokens that
# are read of each. The export itself reads longer texts.
_MADE_UP = 200
_TOKENS = 128


def export(
    model_name: str, data: TestData, config: ExportConfig, observer: Observer | None = None
) -> ExportRecord:
    """Write a trained classifier in a form for other software, and compare the export with the classifier.

    They are compared on the test data if it is known, and else on sentences of the built-in corpus. A second
    call continues an interrupted export.

    Args:
        model_name: A folder of a model or a run, or a name on the Hugging Face hub.
        data: The data to compare them on. Without a task or a file, it is the test data of the run that
            trained the model.
        config: The form, the folder, and the attacks.
        observer: Receives progress and messages; None to discard them.

    Returns:
        The record, which is also written into the output folder as `export.json`.

    Raises:
        EarlyRobustError: If the model cannot be exported in this form, the data or a resource cannot be used,
            or the folder holds anything else.
    """
    processes.check_alone("An export")
    observer = observer or Observer()
    check_attacks(config)
    folder = config.output or export_folder(model_name, config.to)
    check_can_be_made(folder)
    job = _Job.begin(model_name, data, config, observer)
    attacks = build_attacks(config, observer.note)
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
        # Devices round differently, and an ONNX graph runs on the CPU, so both run on the same device.
        subject = replace(job.subject, model=on_device(job.subject.model, made.device))
        check = _compare(subject, made, job.has_labels)
    found: list[dict[str, AttackRecord]] = []
    for title, model in (("model", subject.model), (config.to, made)) if attacks else ():
        found.append(
            attack_model(
                model,
                subject.tokenizer,
                subject.rows,
                attacks,
                config,
                seed=config.seed,
                max_length=subject.max_length,
                journals=folder / ATTACKS_FOLDER,
                observer=observer,
                title=title,
            )
        )
    if found:
        check = replace(
            check,
            attacks={name: (found[0][name], found[1][name]) for name in found[0]},
            findings=[*check.findings, *doubts_of_each(*found)],
        )
    record = replace(record, check=check)
    record.save(folder)
    return record


@dataclass(frozen=True)
class _Job:
    """An export in progress: the classifier with the data to compare on, and the record so far."""

    subject: Subject
    has_labels: bool
    record: ExportRecord
    observer: Observer

    @classmethod
    def begin(cls, model_name: str, data: TestData, config: ExportConfig, observer: Observer) -> _Job:
        has_labels = has_data(model_name, data)
        if config.attack and not has_labels:
            raise ConfigError(
                f"No test data is known for attacks on '{model_name}': give --task (see `earlyrobust list "
                "tasks`) or --test-file, or leave --attack out."
            )
        if data.labels is not None and not has_labels:
            raise ConfigError("--labels is for data with labels: give --task or --test-file too.")
        if has_labels:
            subject = load_subject(model_name, data, observer, changes_texts=bool(config.attack))
        else:
            subject = _on_made_up_sentences(model_name, data, observer)
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
            labels=subject.outputs,
            max_length=_length(subject, data, has_labels),
        )
        return cls(subject, has_labels, record, observer)

    def begun(self, folder: Path) -> ExportRecord:
        """Write the export into its folder, unless the folder holds it already, and return its record."""
        if not content_of(folder):
            with self.observer.stage(f"Exporting to {self.record.to}"):
                write_folder(folder, self._write)
            return ExportRecord.load(folder)
        found = ExportRecord.load(folder)
        self._check_same(found, folder)
        if not bytes_of_weights(folder):
            raise OutputError(
                f"The export in '{folder}' has its record, but its weights are gone: restore them, or delete "
                "the folder to export again."
            )
        if self.record.to == "remote-code":
            check_remote_code(self.subject.model, folder)
        remove_leftovers(folder, within=True)
        return found

    def _check_same(self, found: ExportRecord, folder: Path) -> None:
        """Refuse a folder with an export of another model, in another form, or checked on other data."""
        then, now = (
            {**facts_of_test_data(what_matters(record.config)), "model": record.model, "to": record.to}
            for record in (found, self.record)
        )
        differing = told(other for other in differences(then, now) if not other.may_have_moved)
        if not differing and found.fingerprint != self.record.fingerprint:
            differing = f"the weights of '{found.model}' have changed"
        tested = None if found.check is None else found.check.test_data
        if tested is not None and tested.fingerprint != self.subject.test_data.fingerprint:
            differing = differing or f"the rows of '{tested.name}' have changed"
        if differing:
            raise OutputError(
                f"'{folder}' holds another export ({differing}): choose another --output, or delete it."
            )

    def _write(self, folder: Path) -> None:
        model, tokenizer = self.subject.model, self.subject.tokenizer
        inputs: list[str] = []
        match self.record.to:
            case "dense":
                export_dense(model, folder)
            case "remote-code":
                export_remote_code(model, folder)
            case form:
                inputs = export_onnx(model, tokenizer, folder, int8=form == "onnx-int8")
        save_tokenizer(tokenizer, folder)
        if inputs:
            complete_tokenizer(folder, tokenizer, self.record.max_length)
        made = replace(self.record, bytes=bytes_of_weights(folder), inputs=inputs)
        made.save(folder)


def _length(subject: Subject, data: TestData, has_labels: bool) -> int | None:
    """Return the maximum number of tokens of a text that an export reads; None for no limit.

    The made-up sentences set no limit: without data, the export reads as much as the model.
    """
    if has_labels or data.max_length is not None:
        return subject.max_length
    return readable_tokens(subject.model, subject.tokenizer)


def _on_made_up_sentences(model_name: str, data: TestData, observer: Observer) -> Subject:
    """Load a classifier with sentences of the built-in corpus, for which it may not be trained."""
    data.check()
    if data.data_dir is not None:
        raise ConfigError("--data-dir is for a task: give --task too.")
    place = model_in(model_name)
    with observer.stage("Loading model and data"):
        model, tokenizer = load_classifier(place, observer.note), load_tokenizer(place)
        rows = load_task(TASKS[DEFAULT_TASK], data_dir=None).test.select(range(_MADE_UP))
        return subject_of(
            model,
            tokenizer,
            DEFAULT_TASK,
            rows,
            {},
            data.max_length or _TOKENS,
            observer,
            insists=data.max_length is not None,
            changes_texts=False,
        )


def _load(folder: Path, to: str) -> PreTrainedModel:
    """Load an export, with its own code if it has any."""
    if to != "remote-code":
        return load_classifier(str(folder))
    load = AutoModelForSequenceClassification.from_pretrained
    model = load(folder, trust_remote_code=True, dtype=torch.float32).eval()
    return cast("PreTrainedModel", model.to(fastest_device()))


def _compare(subject: Subject, made: PreTrainedModel, has_labels: bool) -> CheckRecord:
    rows, examples = subject.rows, subject.tokens
    if len(rows) > _CHECKED:
        chosen = sample_examples(rows, _CHECKED, 0, subject.model.config.num_labels)
        rows, examples = rows.select(chosen), examples.select(chosen)
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
        findings=subject.findings(rows["label"][:], predictions[0].tolist()) if has_labels else [],
    )
