"""Holds some rows of a file, with the place of each row for messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earlyrobust.errors import DataError


@dataclass(frozen=True)
class Chunk:
    """Some columns and rows of one file, with the place of each row in the file.

    Attributes:
        path: The file.
        columns: Values by column name; all lists have one entry per row, None where a value is missing.
        unit: Unit in which messages count rows, "line" or "row".
        numbers: Number of the line or row of each row, counted from 1.
        class_names: For a column whose classes the file's metadata name, the names of the classes.
    """

    path: Path
    columns: dict[str, list[Any]]
    unit: str
    numbers: Sequence[int]
    class_names: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def place(self, row: int) -> str:
        """Return the place of a row for a message, such as `line 12 of reviews.csv`."""
        return f"{self.unit} {self.numbers[row]} of {self.path}"

    def texts(self, column: str, *, may_be_empty: bool = False) -> list[str]:
        """Return a column that must hold text in every row.

        CSV files cannot distinguish an empty text from a missing one, so both count as missing in every
        format.

        Args:
            column: Name of the column.
            may_be_empty: Whether an empty text is accepted.

        Raises:
            DataError: A value is missing, is not text, or holds half a surrogate pair.
        """
        for row, value in enumerate(self.columns[column]):
            if _is_missing(value) and not (may_be_empty and isinstance(value, str)):
                raise DataError(
                    f"The text in column {column!r} is missing in {self.place(row)}: "
                    "fill it in or drop the row."
                )
            if not isinstance(value, str):
                raise DataError(
                    f"Column {column!r} holds {type(value).__name__} instead of text in {self.place(row)}: "
                    "name the column that holds the text."
                )
            if not _is_unicode(value):
                raise DataError(
                    f"The text in column {column!r} holds half a surrogate pair in {self.place(row)}: "
                    "remove the escape that stands for no character."
                )
        return self.columns[column]

    def texts_or_none(self, column: str) -> list[str | None]:
        """Return a column of texts, with None for each missing text.

        Raises:
            DataError: A value is neither missing nor text.
        """
        values = self.columns[column]
        present = [row for row, value in enumerate(values) if not _is_missing(value)]
        kept = Chunk(
            self.path,
            {column: [values[row] for row in present]},
            self.unit,
            [self.numbers[row] for row in present],
        )
        texts: list[str | None] = [None] * len(values)
        for row, text in zip(present, kept.texts(column), strict=True):
            texts[row] = text
        return texts

    def labels(self, column: str) -> list[Any]:
        """Return a column that must have a value in every row.

        Raises:
            DataError: A value is missing, empty, or holds half a surrogate pair.
        """
        named = column in self.class_names
        for row, value in enumerate(self.columns[column]):
            # In a column whose classes have names, -1 marks a row without a label.
            if _is_missing(value) or (named and value == -1):
                raise DataError(
                    f"The label in column {column!r} is missing in {self.place(row)}: "
                    "fill it in or drop the row."
                )
            if isinstance(value, str) and not _is_unicode(value):
                raise DataError(
                    f"The label in column {column!r} holds half a surrogate pair in {self.place(row)}: "
                    "remove the escape that stands for no character."
                )
        return self.columns[column]


def _is_missing(value: Any) -> bool:
    """Return whether a value is None, NaN, or a text of blanks alone."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _is_unicode(text: str) -> bool:
    """Return whether a text can be stored as UTF-8; half a surrogate pair from a JSON escape cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
