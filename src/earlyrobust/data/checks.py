"""Refusals of files that would test a classifier on texts that it is trained on."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from earlyrobust.data.rows import Rows
from earlyrobust.errors import DataError

# A test file is refused if the training file has the texts of more than this share of its rows.
MOST_KNOWN = 0.5


def require_two_files(train_file: Path, test_file: Path | None) -> None:
    """Refuse to test on the file that is trained on.

    Raises:
        DataError: They are one file, whatever it is called.
    """
    try:
        same = test_file is not None and test_file.samefile(train_file)
    except OSError:  # the one that is missing is named when it is read
        return
    if same:
        raise DataError(
            f"The --test-file is the training file itself, {train_file}: give a file of other texts, or "
            "leave it out, and a part of the training file is held back."
        )


def require_unseen(test: Rows, train: Rows, test_file: Path, train_file: Path) -> None:
    """Refuse a test file of which most is trained on.

    Raises:
        DataError: The training file has most of its texts.
    """
    known = int(np.isin(test.keys, train.keys).sum())
    if known > MOST_KNOWN * len(test):
        raise DataError(
            f"{known:,} of the {len(test):,} rows of {test_file} have a text that {train_file} has too, so "
            "the model would be tested on what it is trained on: give a --test-file of other texts, or leave "
            "it out, and a part of the training file is held back."
        )


def require_texts(rows: Rows, classes: Sequence[str], where: str, parts: int) -> None:
    """Refuse rows of which a class has too few texts for equal ones to stay on one side of each cut.

    Args:
        rows: The rows that are cut.
        classes: Names of the classes.
        where: Where the rows are from, for the message.
        parts: Number of parts that each class is to be in.

    Raises:
        DataError: A class has fewer different texts.
    """
    labels, keys = rows.labels, rows.keys
    for label in np.unique(labels):
        texts = len(np.unique(keys[labels == label]))
        if texts < parts:
            raise DataError(
                f"The label {reprlib.repr(classes[label])} has only {texts} different text(s) in {where}, "
                f"which is cut in {parts} with equal texts kept together: add texts with it, or drop it."
            )
