"""Turning the labels of user files, whatever they are written as, into class indices."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Sequence
from typing import Any

from earlyrobust.data.files import Table
from earlyrobust.errors import DataError

# Python reads no number of more digits.
_INTEGER = re.compile(r"[+-]?[0-9]{1,4300}")


def read_labels(table: Table, column: str) -> list[str]:
    """Return the class name of every row; integers, `1.0` included, become their decimal digits.

    Raises:
        DataError: A label is missing or is neither an integer nor a string.
    """
    return [_class_name(table, column, row, value) for row, value in enumerate(table.labels(column))]


def order_classes(names: Sequence[str]) -> tuple[str, ...]:
    """Return the distinct class names in the order of their indices.

    Integers are sorted as numbers, anything else as strings.
    """
    distinct = set(names)
    if all(_INTEGER.fullmatch(name) for name in distinct):
        return tuple(sorted(distinct, key=lambda name: (int(name), name)))
    return tuple(sorted(distinct))


def class_indices(names: Sequence[str], classes: Sequence[str], table: Table) -> list[int]:
    """Return the index of every row's class.

    Args:
        names: Class name of each row.
        classes: Class names in the order of their indices.
        table: Where the rows came from, for the message.

    Raises:
        DataError: A row has a class that is not among `classes`.
    """
    index = {name: number for number, name in enumerate(classes)}
    for row, name in enumerate(names):
        if name not in index:
            raise DataError(
                f"The label {reprlib.repr(name)} in {table.place(row)} does not occur in the training file "
                f"({name_some(classes)}): correct it, or add rows with it to the training file."
            )
    return [index[name] for name in names]


def match_classes(classes: Sequence[str], outputs: Sequence[str], where: str) -> list[int]:
    """Find the output of a classifier that stands for each class.

    By name, if need be whatever the case; where either the classifier only numbers its outputs ("LABEL_0") or
    the data only numbers its classes, by number.

    Args:
        classes: The classes of the data, in the order of their indices.
        outputs: What the classifier calls its outputs, in their order.
        where: Where the classes came from, for the message.

    Returns:
        The index of the output for each class.

    Raises:
        DataError: If the classes cannot be told from the outputs' names.
    """
    for same in (str, str.casefold):
        by_name = {same(name): index for index, name in enumerate(outputs)}
        if all(same(name) in by_name for name in classes):
            return [by_name[same(name)] for name in classes]
    numbered = all(_INTEGER.fullmatch(name) and 0 <= int(name) < len(outputs) for name in classes)
    if numbered and not any(map(_INTEGER.fullmatch, outputs)):
        return [int(name) for name in classes]
    # Fewer classes than outputs could be any of them.
    if len(classes) == len(outputs) and all(re.fullmatch("LABEL_[0-9]+", name) for name in outputs):
        return list(range(len(classes)))
    raise DataError(
        f"The classes of {where} ({name_some(classes)}) are not those of the model ({name_some(outputs)}): "
        "choose the data that the model was trained for."
    )


def name_some(classes: Sequence[str]) -> str:
    """List class names for a message, the first few where there are many."""
    shown = ", ".join(map(reprlib.repr, classes[:10]))
    return shown if len(classes) <= 10 else f"{shown} and {len(classes) - 10} more"


def _class_name(table: Table, column: str, row: int, value: Any) -> str:
    if isinstance(value, str | bool):
        return str(value)
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value) and value.is_integer()):
        return str(int(value))
    raise DataError(
        f"The label {reprlib.repr(value)} in column {column!r}, {table.place(row)}, is neither an integer "
        "nor a string: name the column that holds the class."
    )
