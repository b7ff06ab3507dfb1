"""Loads rows to evaluate a trained classifier on, with labels numbered as the classifier's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import datasets

from earlyrobust.data.labelled import read_labelled, renumbered, text_columns_of
from earlyrobust.data.labels import LabelReader
from earlyrobust.data.matching import Matching, match_classes
from earlyrobust.data.prepare import load_task
from earlyrobust.data.tasks import Task
from earlyrobust.data.textformat import USUAL_FORMAT, TextFormat


@dataclass(frozen=True)
class TestRows:
    """Rows to evaluate a trained classifier on.

    Attributes:
        rows: Columns `text`, `pair` (only for sentence pairs) and `label`, the index of the model's output.
        matching: The output that stands for each class of the data.
        notes: Remarks about the labels, one sentence each.
    """

    rows: datasets.Dataset
    matching: Matching
    notes: tuple[str, ...] = ()


def load_test_file(
    path: Path,
    *,
    text_column: str,
    pair_column: str | None,
    label_column: str,
    outputs: Sequence[str],
    form: TextFormat = USUAL_FORMAT,
    labels: str | None = None,
) -> TestRows:
    """Load the user's own file to evaluate a classifier on.

    Args:
        path: CSV, TSV, JSONL or Parquet file.
        text_column: Column of the text, or of the first text of a pair.
        pair_column: Column of the second text, None for single texts.
        label_column: Column of the label.
        outputs: Names of the classifier's outputs, in their order.
        form: The layout of a text file.
        labels: The value of `--labels`, which matches outputs to classes, see `match_classes`; None if it is
            not given.

    Returns:
        The rows, with their labels numbered as the classifier's outputs.

    Raises:
        DataError: The file cannot be used, or its labels do not match the classifier's outputs.
        ConfigError: `labels` cannot be used.
    """
    form.check_used(path)
    text_columns = text_columns_of(text_column, pair_column, label_column)
    reader = LabelReader(label_column)
    rows, classes = read_labelled(path, text_columns, reader, form)
    matching = match_classes(classes, outputs, f"'{path}'", order=reader.defined, option=labels)
    notes = tuple(reader.notes(f"'{path}'"))
    return TestRows(datasets.Dataset(renumbered(rows, matching.outputs)), matching, notes)


def load_task_test(
    task: Task, *, data_dir: Path | None, outputs: Sequence[str], labels: str | None = None
) -> TestRows:
    """Load the test split of a named task to evaluate a classifier on.

    Args:
        task: The task, from `TASKS`.
        data_dir: Local folder to read from instead of the Hugging Face hub.
        outputs: Names of the classifier's outputs, in their order.
        labels: The value of `--labels`, which matches outputs to classes, see `match_classes`; None if it is
            not given.

    Returns:
        The rows, with their labels numbered as the classifier's outputs.

    Raises:
        DataError: The data cannot be loaded, or its classes do not match the classifier's outputs.
        ConfigError: `labels` cannot be used.
    """
    names = task.label_names
    matching = match_classes(names, outputs, f"task '{task.name}'", order=names, option=labels)
    return renumber(load_task(task, data_dir=data_dir).test, matching)


def renumber(rows: datasets.Dataset, matching: Matching) -> TestRows:
    """Return rows with their labels numbered as a classifier's outputs.

    Args:
        rows: Rows whose labels are indices into the classes of `matching`.
        matching: The output that stands for each class.
    """
    table = rows.with_format("arrow")[:]
    return TestRows(datasets.Dataset(renumbered(table, matching.outputs)), matching)
