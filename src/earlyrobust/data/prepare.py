"""Makes the splits for training, selection and test from a named task or the user's own files."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa

from earlyrobust.data import corpus
from earlyrobust.data.checks import require_texts, require_two_files, require_unseen
from earlyrobust.data.chunks import Chunk
from earlyrobust.data.digests import combined_digest, split_digest
from earlyrobust.data.duplicates import KeyArray, count_repeats
from earlyrobust.data.files import read_chunks
from earlyrobust.data.labelled import read_labelled, renumbered, text_columns_of, to_rows
from earlyrobust.data.labels import LabelReader
from earlyrobust.data.matching import likest, match_rows
from earlyrobust.data.rows import Rows, gather, make_rows
from earlyrobust.data.sources import read_hub, read_local
from earlyrobust.data.splitting import grouped_draw, stratified_draw
from earlyrobust.data.tasks import Task
from earlyrobust.data.textformat import USUAL_FORMAT, TextFormat
from earlyrobust.errors import DataError

HELD_OUT_SHARE = 0.1
HELD_OUT_MOST = 2_000

_SPLITS = ("train", "selection", "test")


@dataclass(frozen=True)
class TextData:
    """A data set, ready to be tokenised.

    Every split has the columns `text` (str), `pair` (str, only for sentence pairs) and `label` (int).

    Attributes:
        name: Name of the task, or of the training file without its ending.
        train: Rows to train on, in random order.
        selection: Rows to choose epochs and settings on, held out from the training data.
        test: Rows to report on, used once, at the end.
        label_names: Name of each class, in the order of the label indices.
        fingerprint: sha256 of all texts, pairs, labels and label names, in their order.
        duplicates: Numbers of rows with repeated texts, see `count_repeats`.
        merged_labels: Spellings that differ from the name of their class: spelling → class.
        label_notes: Remarks about the labels, one sentence each.
    """

    name: str
    train: datasets.Dataset
    selection: datasets.Dataset
    test: datasets.Dataset
    label_names: tuple[str, ...]
    fingerprint: str
    duplicates: dict[str, int] = field(default_factory=dict)
    merged_labels: dict[str, str] = field(default_factory=dict)
    label_notes: tuple[str, ...] = ()

    def with_classes(self, numbers: Sequence[int], names: Sequence[str]) -> TextData:
        """Return the data with new numbers and names of the classes; the fingerprint stays the same.

        Args:
            numbers: The new number of each class, in the order of the old numbers.
            names: The new name of each class, in the order of the new numbers.
        """
        tables = {split: getattr(self, split).with_format("arrow")[:] for split in _SPLITS}
        changed = {split: datasets.Dataset(renumbered(table, numbers)) for split, table in tables.items()}
        return replace(self, label_names=tuple(names), **changed)

    @property
    def is_pair(self) -> bool:
        """Whether each input is a pair of texts."""
        return "pair" in self.train.column_names

    @property
    def largest_class(self) -> float:
        """Share of the largest class in the test split, which is the accuracy of always predicting it."""
        return float(np.bincount(self.test["label"]).max() / len(self.test))

    @property
    def sizes(self) -> dict[str, int]:
        """Number of rows of each split."""
        return {name: len(getattr(self, name)) for name in _SPLITS}

    @property
    def classes(self) -> dict[str, dict[str, int]]:
        """Number of rows of each class, by split."""
        counts = {
            name: np.bincount(getattr(self, name)["label"], minlength=len(self.label_names)).tolist()
            for name in _SPLITS
        }
        return {name: dict(zip(self.label_names, counted, strict=True)) for name, counted in counts.items()}


def load_task(
    task: Task,
    *,
    data_dir: Path | None = None,
    train_samples: int | None = None,
    test_samples: int | None = None,
    seed: int = 0,
) -> TextData:
    """Load the three splits of a named task.

    A label-stratified selection split, 10 % and at most 2,000 rows, is held out from the training split. The
    test split of the GLUE tasks is the public validation split, so it must not influence any choice. A few
    texts of these tasks are repeated and may be in two splits: `duplicates` holds their numbers. The builtin
    corpus has its own three splits, the same for every seed. If `train_samples` is given, the selection split
    has at most as many rows.

    Args:
        task: The task, from `TASKS`.
        data_dir: Local folder to read from instead of the Hugging Face hub.
        train_samples: Number of training rows to draw after the selection split is held out; None for all.
        test_samples: Number of test rows to draw; None for all.
        seed: Seed of the splits, the samples and the order of the training rows.

    Returns:
        The three splits.

    Raises:
        DataError: The data cannot be loaded or used, or it has fewer rows than the samples need.
    """
    rng = np.random.default_rng(seed)
    if task.hub is None or task.local is None:
        splits = corpus.generate(seed=0)
        train, selection, test = (
            Rows.of(make_rows(splits[name][0], None, splits[name][1])) for name in _SPLITS
        )
    else:
        tables = read_hub(task, task.hub) if data_dir is None else read_local(task, task.local, data_dir)
        train, test = map(Rows.of, tables)
        _require_splittable(train, task.label_names, f"the training split of {task.name!r}", parts=2)
        # Rows are held out without keys, so that the splits stay those of earlier records.
        selection, train = _hold_out(train, rng)
    train = _sample(train, train_samples, rng, "training")
    test = _sample(test, test_samples, rng, "test")
    selection = _no_more_than(train_samples, selection, rng)
    return _assemble(task.name, train, selection, test, task.label_names)


def load_files(
    train_file: Path,
    test_file: Path | None,
    *,
    text_column: str,
    pair_column: str | None,
    label_column: str,
    train_samples: int | None = None,
    test_samples: int | None = None,
    seed: int = 0,
    form: TextFormat = USUAL_FORMAT,
) -> TextData:
    """Load the user's own CSV, TSV, JSONL or Parquet files.

    Labels may be integers or strings. The classes are those of the training file: integers in numerical
    order, strings in alphabetical order, or all in the order of a Parquet file's metadata. Labels that are
    equal without the blanks at their ends and in Unicode's composed form are one class. The selection split
    is held out from the training file, and so is the test split if there is no test file. Both are
    label-stratified, with 10 % and at most 2,000 rows each. Equal texts stay in the same split, so the sizes
    may differ a little from these. If `train_samples` is given, the selection split has at most as many rows.

    Args:
        train_file: File to train on.
        test_file: File to report on; None to hold out the test split from the training file.
        text_column: Column of the text, or of the first text of a pair.
        pair_column: Column of the second text, None for single texts.
        label_column: Column of the label.
        train_samples: Number of training rows to draw after the other splits are held out; None for all.
        test_samples: Number of test rows to draw; None for all.
        seed: Seed of the splits, the samples and the order of the training rows.
        form: The layout of text files.

    Returns:
        The three splits.

    Raises:
        DataError: A file cannot be used, there are fewer rows than the samples need, or most of the test file
            is in the training file.
    """
    form.check_used(train_file, test_file)
    require_two_files(train_file, test_file)
    rng = np.random.default_rng(seed)
    text_columns = text_columns_of(text_column, pair_column, label_column)
    labels = LabelReader(label_column)
    table, classes = read_labelled(train_file, text_columns, labels, form)
    merged, notes = labels.merged, list(labels.notes(f"'{train_file}'"))
    train = Rows.of(table)
    parts = 3 if test_file is None else 2
    _require_splittable(train, classes, str(train_file), parts)
    require_texts(train, classes, str(train_file), parts)
    if test_file is None:
        test, train = _hold_out(train, rng, train.keys, leave=2)
    else:

        def rows(table: Chunk) -> pa.Table:
            return to_rows(table, text_columns, match_rows(tested.read(table), classes, table))

        tested = LabelReader(label_column)

        chunks = read_chunks(test_file, [*text_columns, label_column], form=form)
        test = Rows.of(gather(map(rows, chunks)))
        merged = {**merged, **tested.merged, **_others(tested, classes)}
        notes += tested.notes(f"'{test_file}'")
        notes += (
            f"The label {reprlib.repr(spelling)} of '{test_file}' counts as {reprlib.repr(name)}."
            for spelling, name in _others(tested, classes).items()
        )
        require_unseen(test, train, test_file, train_file)
    selection, train = _hold_out(train, rng, train.keys)
    train = _sample(train, train_samples, rng, "training")
    test = _sample(test, test_samples, rng, "test")
    selection = _no_more_than(train_samples, selection, rng)
    return replace(
        _assemble(train_file.stem, train, selection, test, classes),
        merged_labels=merged,
        label_notes=tuple(notes),
    )


def _others(labels: LabelReader, classes: Sequence[str]) -> dict[str, str]:
    """Return the labels of a test file whose spelling differs from the name of their class."""
    return {
        name: classes[index]
        for name, index in likest(labels.spellings, classes).items()
        if name != classes[index]
    }


def _require_splittable(rows: Rows, classes: Sequence[str], where: str, parts: int) -> None:
    labels, counts = np.unique(rows.labels, return_counts=True)
    if len(labels) < 2:
        raise DataError(
            f"All rows of {where} have the label {reprlib.repr(classes[labels[0]])}: "
            "give rows of at least two classes."
        )
    rarest = np.argmin(counts)
    label, count = labels[rarest], counts[rarest]
    if count < parts:
        raise DataError(
            f"The label {reprlib.repr(classes[label])} has only {count} row(s) in {where}, "
            f"which is cut in {parts}: add rows with it, or drop it."
        )


def _hold_out(
    rows: Rows, rng: np.random.Generator, keys: KeyArray | None = None, leave: int = 1
) -> tuple[Rows, Rows]:
    """Hold out a stratified part of the rows, and return this part and the rest.

    Args:
        rows: The rows, at least two of each class.
        rng: Source of randomness.
        keys: Equal numbers for rows with equal texts, which then stay together; None to split by rows.
        leave: Fewest texts of each class that stay in the rest, if there are keys.
    """
    labels = rows.labels
    size = min(HELD_OUT_MOST, round(HELD_OUT_SHARE * len(labels)))
    size = max(size, len(np.unique(labels)))
    if keys is None:
        held_out, rest = stratified_draw(labels, size, rng)
    else:
        held_out, rest = grouped_draw(labels, keys, size, rng, leave)
    return rows.take(held_out), rows.take(rest)


def _sample(rows: Rows, size: int | None, rng: np.random.Generator, name: str) -> Rows:
    if size is None:
        return rows
    labels = rows.labels
    classes = len(np.unique(labels))
    if not classes <= size <= len(labels):
        raise DataError(
            f"{size} {name} samples cannot be drawn from {len(labels)} rows of {classes} classes: ask for at "
            f"least {classes} and at most {len(labels)}."
        )
    drawn, _ = stratified_draw(labels, size, rng)
    return rows.take(drawn)


def _no_more_than(size: int | None, selection: Rows, rng: np.random.Generator) -> Rows:
    """Return the selection split, or a sample of it that is as large as the sample of training rows.

    Every model is evaluated on this split, even a model that is trained on few rows.
    """
    if size is None or len(selection) <= size:
        return selection
    return _sample(selection, size, rng, "selection")


def _assemble(name: str, train: Rows, selection: Rows, test: Rows, label_names: tuple[str, ...]) -> TextData:
    parts = dict(zip(_SPLITS, (train, selection, test), strict=True))
    splits = {name: rows.to_dataset() for name, rows in parts.items()}
    fingerprint = combined_digest([*label_names, *map(split_digest, splits.values())])
    duplicates = count_repeats(
        {name: rows.keys for name, rows in parts.items()}, {name: rows.labels for name, rows in parts.items()}
    )
    return TextData(name, **splits, label_names=label_names, fingerprint=fingerprint, duplicates=duplicates)
