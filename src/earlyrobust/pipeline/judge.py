"""Judging a classifier that is there already, cut or not, clean and under attack."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from earlyrobust import processes
from earlyrobust.attacks import ATTACKS
from earlyrobust.data import TestRows, load_task_test, load_test_file, renumber, tokenize
from earlyrobust.data.digests import split_digest
from earlyrobust.data.matching import match_classes
from earlyrobust.encoders import check_length, load_classifier, load_tokenizer, output_names
from earlyrobust.errors import ConfigError, DataError, ModelError
from earlyrobust.evaluation import accuracy_of, predict, sample_examples
from earlyrobust.journal import read_journal
from earlyrobust.pipeline.attack_options import AttackConfig
from earlyrobust.pipeline.attacking import attack_model, build_attacks, check_attacks
from earlyrobust.pipeline.config import RunConfig
from earlyrobust.pipeline.environment import describe_environment
from earlyrobust.pipeline.folder import RunFolder
from earlyrobust.pipeline.observer import Observer
from earlyrobust.pipeline.splits import load_data
from earlyrobust.pipeline.testdata import TestData, model_in
from earlyrobust.results import (
    AttackRecord,
    AttackReport,
    EvaluationReport,
    TestDataRecord,
    fault_of_swapped,
    swapped_classes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_CHECK_LABELS = "Check them, and say by --labels which output of the model stands for which class."


@dataclass(frozen=True)
class Subject:
    """A classifier and what it is judged on."""

    data_name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    rows: Dataset
    max_length: int
    labels: dict[str, str]
    cut: int
    matched_by: str = "name"

    @property
    def outputs(self) -> list[str]:
        """Names of the classifier's outputs, in their order."""
        return [self.model.config.id2label[index] for index in range(self.model.config.num_labels)]

    @property
    def test_data(self) -> TestDataRecord:
        """The record of what the classifier is judged on."""
        return TestDataRecord(
            self.data_name,
            split_digest(self.rows),
            len(self.rows),
            self.labels,
            self.max_length,
            self.cut,
            self.matched_by,
        )

    def findings(self, labels: Sequence[int], answers: Sequence[int]) -> list[str]:
        """What looks wrong with the classifier's answers, a sentence each."""
        fault = fault_of_swapped(swapped_classes(labels, answers, self.outputs), "The model", _CHECK_LABELS)
        return [] if fault is None else [fault]


def evaluate(
    model_name: str, data: TestData, output: Path | None = None, observer: Observer | None = None
) -> EvaluationReport:
    """Clean accuracy of a classifier on a task's test split or the user's own file.

    Args:
        model_name: A folder of a model or a run, or a name on the Hugging Face hub.
        data: What it is judged on.
        output: Folder to write `evaluation.json` into; None for no file.
        observer: Is told what happens.

    Returns:
        The record, with the accuracy and its 95 % interval.

    Raises:
        EarlyRobustError: If the model or the data cannot be used, or do not belong together.
    """
    observer = observer or Observer()
    subject = load_subject(model_name, data, observer)
    with observer.stage("Evaluating"):
        examples = tokenize(subject.rows, subject.tokenizer, subject.max_length)
        answers = predict(subject.model, subject.tokenizer, examples).argmax(axis=1)
    report = EvaluationReport(
        model_name,
        subject.test_data,
        accuracy_of(answers, examples),
        describe_environment(),
        findings=subject.findings(subject.rows["label"][:], answers.tolist()),
    )
    if output is not None and processes.is_first():
        report.save(output)
    return report


def attack(
    model_name: str, data: TestData, config: AttackConfig, observer: Observer | None = None
) -> AttackReport:
    """Accuracy of a classifier under attacks. An interrupted one goes on when it is called again.

    Args:
        model_name: A folder of a model or a run, or a name on the Hugging Face hub.
        data: What it is judged on.
        config: How it is attacked.
        observer: Is told what happens.

    Returns:
        The record, which is also written into the output folder as `attack.json`, beside a journal for each
        attack.

    Raises:
        EarlyRobustError: If the model, the data or a resource cannot be used, they do not belong together, or
            the folder holds another attack.
    """
    observer = observer or Observer()
    if not config.attack:
        raise ConfigError(f"Name an attack: --attack {','.join(ATTACKS)}, or some of them.")
    check_attacks(config)
    path = config.output or data.source(model_name, "-attack").output_folder
    subject_of = {"command": "attack", "model": model_name, "data": json.dumps(data.to_dict(), default=str)}
    folder = RunFolder(path, subject_of, config.to_dict())
    subject = load_subject(model_name, data, observer)
    with observer.stage("Loading resources"):
        attacks = build_attacks(config)
    sample_examples(subject.rows, config.examples, config.seed, subject.model.config.num_labels)
    fingerprint = split_digest(subject.rows)
    with folder.claimed(fingerprint):
        records = attack_model(
            subject.model,
            subject.tokenizer,
            subject.rows,
            attacks,
            config,
            seed=config.seed,
            max_length=subject.max_length,
            journals=folder.path,
            observer=observer,
        )
        report = AttackReport(
            model=model_name,
            data=subject.data_name,
            data_fingerprint=fingerprint,
            label_names=subject.outputs,
            config=config.to_dict(),
            environment=describe_environment(),
            attacks=records,
            test_data=subject.test_data,
        )
        if processes.is_first():
            answers = _clean_answers(records.values(), folder.path)
            report = replace(report, findings=subject.findings(*answers))
            report.save(folder.path)
        return report


def load_subject(model_name: str, data: TestData, observer: Observer) -> Subject:
    """Load a classifier, its tokenizer, and what it is judged on.

    Raises:
        EarlyRobustError: If the model or the data cannot be used, or do not belong together.
    """
    source = data.source(model_name)
    place = model_in(model_name)
    with observer.stage("Loading model and data"):
        names = _given_names(place, data)
        model, tokenizer = load_classifier(place), load_tokenizer(place)
        outputs = _name_outputs(model, place, names, data)
        judged = _rows(data, source, outputs)
        length = check_length(tokenizer, source.max_length or tokenizer.model_max_length)
    for note in (*judged.notes, judged.matching.describe(outputs)):
        observer.note(note)
    return Subject(
        data_name=source.task or Path(str(source.test_file or source.train_file)).name,
        model=model,
        tokenizer=tokenizer,
        rows=judged.rows,
        max_length=length,
        labels=judged.matching.named(outputs),
        cut=0,
        matched_by=judged.matching.by,
    )


def _given_names(place: str, data: TestData) -> list[str] | None:
    """What the configuration of a classifier calls its outputs; None if it does not, or is not asked."""
    try:
        return output_names(place)
    except ModelError:
        if data.labels is None:
            raise
        return None  # the user says what they stand for


def _name_outputs(model: PreTrainedModel, place: str, names: list[str] | None, data: TestData) -> list[str]:
    """Give a classifier's outputs their names, and return these in the order of the outputs."""
    count = model.config.num_labels
    if count < 2:
        raise ModelError(f"'{place}' has one output, and classes need at least two: choose a classifier.")
    if names is not None and len(names) != count:
        if data.labels is None:
            raise ModelError(
                f"The configuration of '{place}' names {len(names)} outputs, and the model has {count}: "
                "correct its config.json, or give --labels with the class of each output, in their order."
            )
        names = None
    names = names or [f"LABEL_{index}" for index in range(count)]
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: index for index, name in enumerate(names)}
    return names


def _clean_answers(records: Iterable[AttackRecord], folder: Path) -> tuple[list[int], list[int]]:
    """The right class of each attacked example, and the class that it was given before the attack."""
    record = next(iter(records))  # all attacks begin with the same examples
    _, examples = read_journal(folder / str(record.journal))
    answers = [item.predicted if item.status == "skipped" else item.label for item in examples]
    return [item.label for item in examples], answers


def _rows(data: TestData, source: RunConfig, outputs: list[str]) -> TestRows:
    """The examples, their labels numbered as the classifier's outputs."""
    if data.test_file is not None:
        return load_test_file(
            data.test_file,
            text_column=data.text_column,
            pair_column=data.pair_column,
            label_column=data.label_column,
            outputs=outputs,
            labels=data.labels,
        )
    task = source.known_task()
    if task is not None and data.task is not None:
        return load_task_test(task, data_dir=source.data_dir, outputs=outputs, labels=data.labels)
    texts = load_data(source)  # the run's own, of which its options may draw a part
    names = texts.label_names
    changed = DataError(
        f"The labels of '{source.train_file or source.task}' are no longer those that the model was "
        "trained on: give --test-file."
    )
    if len(names) != len(outputs):
        raise changed
    try:
        matching = match_classes(names, outputs, "the run's data", order=names, option=data.labels)
    except DataError as error:
        raise changed from error
    return renumber(texts.test, matching)
