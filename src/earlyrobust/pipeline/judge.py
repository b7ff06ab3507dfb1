"""Judging a classifier that is there already, cut or not, clean and under attack."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from earlyrobust import processes
from earlyrobust.attacks import ATTACKS
from earlyrobust.data import load_task_test, load_test_file, tokenize
from earlyrobust.data.digests import split_digest
from earlyrobust.encoders import check_length, load_classifier, load_tokenizer
from earlyrobust.errors import ConfigError, DataError
from earlyrobust.evaluation import evaluate_clean, sample_examples
from earlyrobust.pipeline.attack_options import AttackConfig
from earlyrobust.pipeline.attacking import attack_model, build_attacks, check_attacks
from earlyrobust.pipeline.config import RunConfig
from earlyrobust.pipeline.environment import describe_environment
from earlyrobust.pipeline.folder import RunFolder
from earlyrobust.pipeline.observer import Observer
from earlyrobust.pipeline.splits import load_data
from earlyrobust.pipeline.testdata import TestData, model_in
from earlyrobust.results import AttackReport, EvaluationReport, TestDataRecord

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


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

    @property
    def test_data(self) -> TestDataRecord:
        """The record of what the classifier is judged on."""
        return TestDataRecord(
            self.data_name, split_digest(self.rows), len(self.rows), self.labels, self.max_length, self.cut
        )


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
        accuracy = evaluate_clean(subject.model, subject.tokenizer, examples)
    report = EvaluationReport(model_name, subject.test_data, accuracy, describe_environment())
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
    subject_of = {"command": "attack", "model": model_name, "data": json.dumps(asdict(data), default=str)}
    folder = RunFolder(path, subject_of, config.to_dict())
    subject = load_subject(model_name, data, observer)
    with observer.stage("Loading resources"):
        attacks = build_attacks(config, observer.note)
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
            label_names=[
                subject.model.config.id2label[index] for index in range(subject.model.config.num_labels)
            ],
            config=config.to_dict(),
            environment=describe_environment(),
            attacks=records,
            test_data=subject.test_data,
        )
        if processes.is_first():
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
        model, tokenizer = load_classifier(place, observer.note), load_tokenizer(place)
        outputs = [model.config.id2label[index] for index in range(model.config.num_labels)]
        rows = _rows(data, source, outputs)
        length = check_length(tokenizer, source.max_length or tokenizer.model_max_length)
    return Subject(
        data_name=source.task or Path(str(source.test_file or source.train_file)).name,
        model=model,
        tokenizer=tokenizer,
        rows=rows,
        max_length=length,
        labels=dict(zip(outputs, outputs, strict=True)),
        cut=0,
    )


def _rows(data: TestData, source: RunConfig, outputs: list[str]) -> Dataset:
    """The examples, their labels numbered as the classifier's outputs."""
    if data.test_file is not None:
        return load_test_file(
            data.test_file,
            text_column=data.text_column,
            pair_column=data.pair_column,
            label_column=data.label_column,
            outputs=outputs,
        )
    task = source.known_task()
    if task is not None and data.task is not None:
        return load_task_test(task, data_dir=source.data_dir, outputs=outputs)
    texts = load_data(source)  # the run's own, of which its options may draw a part
    if list(texts.label_names) != outputs:
        raise DataError(
            f"The labels of '{source.train_file or source.task}' are no longer those that the model was "
            "trained on: give --test-file."
        )
    return texts.test
