"""Refuses files that would test a classifier on its training texts."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from earlyrobust.data.rows import Rows
from earlyrobust.errors import DataError

# A test file is refused if more than this share of its rows have a text of the training file.
MOST_KNOWN = 0.5


def require_two_files(train_file: Path, test_file: Path | None) -> None:
    """Refuse to test a classifier on its training file.

    Args:
        train_file: The training file.
        test_file: The test file; None if the user gives none.

    Raises:
        DataError: Both paths name the same file.
    """
    try:
        same = test_file is not None and test_file.samefile(train_file)
    except OSError:  # The reader reports a missing file later.
        return
    if same:
        raise DataError(
            f"The --test-file is the training file itself, {train_file}: give a file of other texts, or "
            "leave it out: the command then holds back a part of the training file."
        )


def require_unseen(test: Rows, train: Rows, test_file: Path, train_file: Path) -> None:
    """Refuse a test file of which most texts are in the training file.

    Args:
        test: The rows of the test file.
        train: The rows of the training file.
        test_file: The test file, for the message.
        train_file: The training file, for the message.

    Raises:
        DataError: The training file has the texts of more than half of the test rows.
    """
    known = int(np.isin(test.keys, train.keys).sum())
    if known > MOST_KNOWN * len(test):
        raise DataError(
            f"{known:,} of the {len(test):,} rows of {test_file} have a text that {train_file} has too, so "
            "the model would be tested on its training texts: give a --test-file of other texts, or leave "
            "it out: the command then holds back a part of the training file."
        )


def require_texts(rows: Rows, classes: Sequence[str], where: str, parts: int) -> None:
    """Refuse rows in which a class has too few different texts to be split with equal texts kept together.

    Args:
        rows: The rows to split.
        classes: Names of the classes.
        where: Source of the rows, for the message.
        parts: Number of splits, each of which needs a text of every class.

    Raises:
        DataError: A class has fewer different texts than there are splits.
    """
    labels, keys = rows.labels, rows.keys
    for label in np.unique(labels):
        texts = len(np.unique(keys[labels == label]))
        if texts < parts:
            raise DataError(
                f"The label {reprlib.repr(classes[label])} has only {texts} different text(s) in {where}, "
                f"which is cut in {parts} with equal texts kept together: add texts with it, or drop it."
            )
