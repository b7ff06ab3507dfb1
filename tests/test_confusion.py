"""Recall, precision and F1 of classes, against scikit-learn."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Outcome, call

from earlyrobust.reports.confusion import confusion_table
from earlyrobust.reports.runs import run_tables
from earlyrobust.results import Confusion, EvaluationReport, RunRecord

sklearn = pytest.importorskip("sklearn.metrics")


@pytest.mark.parametrize("seed", range(20))
def test_the_measures_are_those_of_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    classes = int(random.integers(2, 6))
    labels = random.integers(0, classes, 30)
    predicted = np.where(random.random(30) < 0.6, labels, random.integers(0, classes, 30))
    found = Confusion.of(labels.tolist(), predicted.tolist(), classes)
    numbers = list(range(classes))
    assert found.counts == sklearn.confusion_matrix(labels, predicted, labels=numbers).tolist()
    options: dict[str, Any] = {"labels": numbers, "average": None, "zero_division": np.nan}
    for ours, theirs in (
        (found.recall, sklearn.recall_score(labels, predicted, **options)),
        (found.precision, sklearn.precision_score(labels, predicted, **options)),
    ):
        assert [np.nan if value is None else value for value in ours] == pytest.approx(theirs, nan_ok=True)
    assert found.macro_f1 == pytest.approx(
        sklearn.f1_score(labels, predicted, average="macro", zero_division=0)
    )
    assert found.largest_class == np.bincount(labels).max() / 30


def test_classes_that_do_not_occur() -> None:
    found = Confusion.of([0, 0, 1], [0, 1, 1], 4)
    assert found.recall == [0.5, 1.0, None, None]
    assert found.precision == [1.0, 0.5, None, None]
    assert found.f1 == pytest.approx([2 / 3, 2 / 3, None, None])
    assert found.macro_f1 == pytest.approx(2 / 3)


def test_many_classes_are_shown_without_a_matrix() -> None:
    names = [f"class {number}" for number in range(11)]
    found = Confusion.of(range(11), range(11), 11)
    assert len(confusion_table("", found, names).columns) == 5
    few = Confusion.of(range(10), range(10), 10)
    assert confusion_table("", few, names[:10]).columns[5:] == [f"→ {name}" for name in names[:10]]


def test_a_run_and_an_evaluation_show_them(finished: tuple[Path, Outcome], tmp_path: Path) -> None:
    folder, outcome = finished
    record = RunRecord.load(folder)
    for model in (record.model, record.dense):
        assert model is not None
        assert model.confusion is not None
        counts = model.confusion.counts
        assert sum(counts[index][index] for index in range(2)) == model.test.correct
        assert sum(map(sum, counts)) == model.test.total
        assert record.data.largest_class == pytest.approx(model.confusion.largest_class)
    assert "Largest class %" in outcome.out
    assert "Macro-F1 %" in outcome.out
    titles = [table.title for table in run_tables(record)]
    assert "Answers by class: ticket" in titles
    assert "Answers by class" in (folder / "model" / "README.md").read_text(encoding="utf-8")
    done = call("evaluate", folder, "--output", tmp_path / "out")
    assert done.code == 0, done.err
    report = EvaluationReport.load(tmp_path / "out")
    assert report.confusion == record.model.confusion
    assert report.outputs == record.data.label_names
    assert f"Macro-F1: {100 * record.model.confusion.macro_f1:.1f} %." in done.out  # type: ignore[union-attr]


def test_records_of_earlier_versions_have_none(finished: tuple[Path, Outcome]) -> None:
    record = RunRecord.load(finished[0])
    older = dataclasses.replace(record, model=dataclasses.replace(record.model, confusion=None), dense=None)
    tables = run_tables(older)
    assert not [table for table in tables if table.title.startswith("Answers by class")]
    assert "Macro-F1 %" not in [row[0] for row in tables[0].rows]


@pytest.mark.parametrize("sizes", [(150, 150), (270, 30), (200, 80, 20)])
@pytest.mark.parametrize("named", ["evenly", "mostly the largest", "mostly the smallest"])
def test_answers_that_ignore_the_texts_rarely_seem_to_depend_on_classes(
    sizes: tuple[int, ...], named: str
) -> None:
    random = np.random.default_rng(5)
    classes = len(sizes)
    shares = np.full(classes, 1 / classes) if named == "evenly" else np.full(classes, 0.2 / (classes - 1))
    if named != "evenly":
        shares[0 if named == "mostly the largest" else -1] = 0.8
    labels = np.repeat(np.arange(classes), sizes)
    found = 0
    for _ in range(400):
        answers = random.choice(classes, len(labels), p=shares)
        found += Confusion.of(labels, answers, classes).depends_on_classes
    # One side of a 95 % interval: one guess in forty.
    assert found / 400 < 0.06


def test_answers_depend_on_classes_or_do_not() -> None:
    assert Confusion([[194, 54], [9, 43]]).depends_on_classes
    assert Confusion([[50, 0], [0, 50]]).depends_on_classes
    assert not Confusion([[248, 0], [52, 0]]).depends_on_classes
    assert not Confusion([[10, 0], [0, 0]]).depends_on_classes  # examples of one class alone
    assert not Confusion([[9, 54], [43, 5]]).depends_on_classes  # swapped classes
