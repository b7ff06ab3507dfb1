"""Measures the clean accuracy of a classifier."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from earlyrobust import processes
from earlyrobust.encoders import fingerprint
from earlyrobust.evaluation import accuracy_of, predict
from earlyrobust.judging.subject import load_subject
from earlyrobust.options.test_data import TestData
from earlyrobust.results import Confusion, EvaluationReport
from earlyrobust.storage import locked
from earlyrobust.workspace.environment import describe_environment, note_idle_devices
from earlyrobust.workspace.observer import Observer


def evaluate(
    model_name: str, data: TestData, output: Path | None = None, observer: Observer | None = None
) -> EvaluationReport:
    """Measure the clean accuracy of a classifier on a task's test split or the user's own file.

    Args:
        model_name: A folder of a model or a run, or a name on the Hugging Face hub.
        data: The test data.
        output: Folder for `evaluation.json`; None for no file. An existing file is only replaced for the same
            model on the same data.
        observer: Receives progress and messages; None to discard them.

    Returns:
        The record, with the accuracy and its 95 % interval.

    Raises:
        EarlyRobustError: If the model or the data cannot be used, the data does not fit the model, or the
            folder holds anything else.
    """
    observer = observer or Observer()
    if output is not None:
        EvaluationReport.check_folder(output)
    note_idle_devices(observer)
    subject = load_subject(model_name, data, observer)
    weights = None if output is None else fingerprint(subject.model)
    with ExitStack() as stack:
        if output is not None:
            processes.by_first(lambda: stack.enter_context(locked(output, beside=True)))
            EvaluationReport.check_folder(output, weights, subject.test_data)
        with observer.stage("Evaluating"):
            answers = predict(subject.model, subject.tokenizer, subject.tokens).argmax(axis=1)
        report = EvaluationReport(
            model_name,
            subject.test_data,
            accuracy_of(answers, subject.tokens),
            describe_environment(),
            weights,
            findings=subject.findings(subject.rows["label"][:], answers.tolist()),
            choices=[*subject.choices],
            outputs=subject.outputs,
            confusion=Confusion.of(subject.rows["label"][:], answers.tolist(), len(subject.outputs)),
        )
        if output is not None and processes.is_first():
            report.save(output)
        return report
