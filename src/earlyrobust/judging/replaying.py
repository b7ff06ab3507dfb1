"""Tests a classifier on the texts that broke another one. This needs only classes, and no scores."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from earlyrobust import processes
from earlyrobust.data import renumber
from earlyrobust.data.matching import match_classes
from earlyrobust.encoders import fingerprint
from earlyrobust.errors import DataError, OutputError
from earlyrobust.evaluation import predict
from earlyrobust.journal import AttackedExample
from earlyrobust.judging.subject import load_named, subject_of
from earlyrobust.results import ATTACK_NAME, ATTACKS_FOLDER, EXPORT_NAME, RECORD_NAME, ReplayReport
from earlyrobust.statistics.measures import Accuracy
from earlyrobust.storage import locked
from earlyrobust.textattack import read_attacked
from earlyrobust.workspace.environment import describe_environment, note_idle_devices
from earlyrobust.workspace.finding import options_of, run_of
from earlyrobust.workspace.observer import Observer

# Maximum number of tokens of a text that are read if neither a run nor a journal gives a number.
_USUAL_LENGTH = 128


def replay(
    journal: Path,
    model_name: str,
    *,
    labels: str | None = None,
    max_length: int | None = None,
    output: Path | None = None,
    observer: Observer | None = None,
) -> ReplayReport:
    """Test a classifier on the texts that broke another one.

    Args:
        journal: The journal of an attack on the other classifier, or the CSV log of an attack by TextAttack.
        model_name: A folder of a model or a run, or a name on the Hugging Face hub.
        labels: The class of each output of the classifier, as for `match_classes`; None to match them by
            name.
        max_length: Maximum number of tokens of a text that the classifier reads. None for the number of the
            run that trained it, or else the number for the other classifier.
        output: Folder for `replay.json`; None for no file.
        observer: Receives progress and messages; None to discard them.

    Returns:
        The record. It counts the texts that the classifier classifies correctly before the attack and wrongly
        after it.

    Raises:
        EarlyRobustError: If the model or the journal cannot be used, they do not fit each other, or the
            folder holds anything else.
    """
    observer = observer or Observer()
    if output is not None:
        ReplayReport.check_folder(output)
    header, examples = read_attacked(journal, observer.note)
    broken = [example for example in examples if example.status == "succeeded"]
    if not broken:
        raise DataError(
            f"The journal '{journal}' holds no text that broke its model: there is none to replay."
        )
    note_idle_devices(observer)
    with observer.stage("Loading model and texts"):
        model, tokenizer, outputs, choices = load_named(model_name, labels, observer)
        rows, names = _rows(broken), _names_of(journal, broken)
        matching = match_classes(names, outputs, f"the journal '{journal}'", order=names, option=labels)
        observer.note(matching.describe(outputs))
        subject = subject_of(
            model,
            tokenizer,
            journal.name,
            renumber(rows, matching).rows,
            matching.named(outputs),
            max_length or _length_of(model_name, header),
            observer,
            insists=max_length is not None,
            changes_texts=False,
            matched_by=matching.by,
        )
    weights = fingerprint(model)
    with ExitStack() as stack:
        if output is not None:
            processes.by_first(lambda: stack.enter_context(locked(output, beside=True)))
            ReplayReport.check_folder(output, weights, header)
        with observer.stage("Replaying"):
            answers = predict(model, subject.tokenizer, subject.tokens).argmax(axis=1)
        right = answers == np.asarray(subject.rows["label"], np.int64)
        before, after = right[: len(broken)], right[len(broken) :]
        report = ReplayReport(
            model=model_name,
            fingerprint=weights,
            journal=str(journal),
            origin=header,
            labels=subject.labels,
            matched_by=matching.by,
            max_length=subject.max_length,
            texts=len(broken),
            clean=Accuracy.of(int(before.sum()), len(broken)),
            transferred=Accuracy.of(int((before & ~after).sum()), int(before.sum()))
            if before.any()
            else None,
            under_replay=Accuracy.of(int((before & after).sum()), len(broken)),
            environment=describe_environment(),
            choices=choices,
        )
        if output is not None and processes.is_first():
            report.save(output)
        return report


def _rows(examples: Sequence[AttackedExample]) -> Dataset:
    """Return all texts before the attack, then all texts after it, with the labels of the journal."""
    columns = ("text", "pair")[: len(examples[0].texts)]
    texts = [item.texts for item in examples] + [item.final for item in examples]
    rows: dict[str, list[Any]] = dict(zip(columns, map(list, zip(*texts, strict=True)), strict=True))
    return Dataset.from_dict({**rows, "label": [item.label for item in examples] * 2})


def _names_of(journal: Path, examples: Sequence[AttackedExample]) -> list[str]:
    """Return the class names of a journal from the record beside it, or numbers if there is no record."""
    folder = journal.absolute().parent
    beside = folder.parent if folder.name == ATTACKS_FOLDER else folder
    for place, path in (
        (folder / ATTACK_NAME, ("label_names",)),
        (beside / RECORD_NAME, ("data", "label_names")),
        (beside / EXPORT_NAME, ("labels",)),
    ):
        if not place.is_file():
            continue
        try:
            content = json.loads(place.read_text(encoding="utf-8"))
            for name in path:
                content = content[name]
            names = [str(name) for name in content]
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise OutputError(f"The record '{place}' is damaged and cannot be read.") from error
        if max(item.label for item in examples) < len(names):
            return names
    return [str(label) for label in range(max(item.label for item in examples) + 1)]


def _length_of(model_name: str, header: dict[str, Any]) -> int:
    """Return the maximum number of tokens of a text that a classifier reads if the user gives no number."""
    run = run_of(model_name)
    found = header.get("max_length") if run is None else options_of(run).max_length
    return found if isinstance(found, int) else _USUAL_LENGTH
