"""Reads the rows of CSV and TSV files, and decides which of their quotes are text.

If a quote at the start of a field is text, the csv module takes it for an opening quote. It then reads up to
the next quote, lines later, and turns all rows between into one text. The result looks like any other row, so
this module searches for such swallowed rows.
"""

from __future__ import annotations

import csv
import re
import reprlib
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from earlyrobust.data.decoding import lines_of
from earlyrobust.data.textformat import TextFormat
from earlyrobust.errors import DataError

NumberedRow = tuple[int, list[str]]

# The delimiters to look for in a header that is one column.
_DELIMITERS = {"\t": "tabs", ";": "semicolons", "|": "bars", ",": "commas"}
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_LINE_END = re.compile(r"\r\n|\r|\n")
_NUMBER = re.compile(r"\d+")
# At most this many lines are searched for the quote that closes a text.
_MOST_LINES = 1_000
# At most this many different values of a column are kept to recognise swallowed rows. A column with more
# different values holds no labels.
_MOST_VALUES = 10_000
# A column of numbers holds numbers of rows, and no labels, if it has more different values.
_MOST_LABELS = 20


class _Lines(Iterator[str]):
    """An iterator over the lines of a file, which counts them and keeps the lines of the current row."""

    def __init__(self, path: Path, encoding: str | None) -> None:
        self._lines = lines_of(path, encoding)
        self.number = 0
        self.row: list[str] = []
        self._back: deque[str] = deque()

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else next(self._lines)
        self.number += 1
        self.row.append(line)
        return line

    def begin_row(self) -> int:
        """Forget the lines of the previous row, and return the number of the next line."""
        self.row = []
        return self.number + 1

    def put_back(self) -> None:
        """Put all lines of the current row but the first back, so that they are read again."""
        self._back.extendleft(reversed(self.row[1:]))
        self.number -= len(self.row) - 1
        del self.row[1:]


def separated_rows(
    path: Path, form: TextFormat, delimiter: str, keys: Sequence[str] = ()
) -> Iterator[NumberedRow]:
    """Yield the rows of a file that are not blank, header first, each with the number of its first line.

    Args:
        path: The file.
        form: The meaning of quotes, and the encoding.
        delimiter: Character between the fields.
        keys: Columns whose values distinguish a swallowed row from a line of a text.

    Raises:
        DataError: The quotes do not match, or have swallowed rows.
    """
    lines = _Lines(path, form.encoding)
    if form.quotes is False:
        yield from _plain_rows(lines, delimiter)
    elif form.quotes is None and delimiter == "\t":
        yield from _tab_rows(path, lines)
    else:
        rows = _quoted_rows(path, lines, delimiter)
        yield from rows if form.quotes else _checked(path, rows, lines, delimiter, keys)


def check_header(path: Path, header: Sequence[str], delimiter: str) -> None:
    """Refuse a header that another delimiter or another encoding would read correctly.

    Args:
        path: The file, for the message.
        header: The fields of the header.
        delimiter: Character between the fields.

    Raises:
        DataError: The header holds zero bytes or tells Excel the delimiter, or is one column that another
            delimiter splits.
    """
    if any("\0" in name for name in header):
        raise DataError(
            f"The header of {path} holds zero bytes, as UTF-16 does: give --encoding utf-16-le or utf-16-be."
        )
    if header[0].startswith("sep="):
        raise DataError(
            f"The first line of {path} tells Excel the delimiter and is no header: delete it, and give "
            "--delimiter."
        )
    if len(header) != 1:
        return
    for other, name in _DELIMITERS.items():
        if other != delimiter and other in header[0]:
            option = "tab" if other == "\t" else f"'{other}'"
            raise DataError(
                f"The header of {path} is one column, {reprlib.repr(header[0])}, and looks like several that "
                f"are separated by {name}: give --delimiter {option}."
            )


def _plain_rows(lines: _Lines, delimiter: str) -> Iterator[NumberedRow]:
    """Yield one row for each line; every quote is text."""
    for line in lines:
        if content := line.rstrip("\r\n"):
            yield lines.number, content.split(delimiter)
        lines.begin_row()


def _tab_rows(path: Path, lines: _Lines) -> Iterator[NumberedRow]:
    """Yield one row for each line, and unquote fields whose quotes close before the tab.

    A row with tabs or line ends within quotes may begin at a line that has another number of fields than the
    header, or whose last field opens a quote that the line does not close.
    """
    width = 0
    while True:
        number = lines.begin_row()
        line = next(lines, None)
        if line is None:
            return
        content = line.rstrip("\r\n")
        if not content:
            continue
        row = [_unquoted(field) for field in content.split("\t")]
        width = width or len(row)
        opens = row[-1].startswith('"') and row[-1] == content.rpartition("\t")[2]
        if opens or (len(row) != width and any(field.startswith('"') for field in row)):
            row = _row_over_lines(path, lines, line, number, width) or row
        yield number, row


def _row_over_lines(path: Path, lines: _Lines, first: str, number: int, width: int) -> list[str] | None:
    """Return the row that begins with a line and has tabs and line ends within quotes; None without one."""
    try:
        with _unlimited_fields():
            row = next(csv.reader(chain((first,), islice(lines, _MOST_LINES)), delimiter="\t", strict=True))
    except csv.Error:
        row = []
    if len(row) != width:
        lines.put_back()
        return None
    # The last line may end a text in front of other fields, and then has their tabs. If the text is the last
    # field, each line after the first may be a row.
    is_last = row[-1].count("\n") == len(lines.row) - 1 > 0
    within = lines.row[1:] if is_last and width > 1 else lines.row[1:-1]
    if any(line.count("\t") == width - 1 for line in within):
        raise _swallowed(path, number, lines.number)
    return row


def _unquoted(field: str) -> str:
    return field[1:-1].replace('""', '"') if field[:1] == '"' and _QUOTED.fullmatch(field) else field


def _quoted_rows(path: Path, lines: _Lines, delimiter: str) -> Iterator[NumberedRow]:
    """Yield rows in which quoted fields may hold delimiters and line ends."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        number = lines.begin_row()
        try:
            with _unlimited_fields():
                row = next(reader, None)
        except csv.Error as error:
            if number == 1 and delimiter not in lines.row[0]:  # quoted names with another delimiter
                check_header(path, [lines.row[0].rstrip("\r\n")], delimiter)
            raise DataError(
                f"The quotes in the row that begins at line {number} of {path} do not match: "
                "close every quoted field and double each quote inside one, or give --no-quotes if all "
                "quotes are text."
            ) from error
        if row is None:
            return
        if row:
            yield number, row


@dataclass
class _Key:
    """A column whose values distinguish a swallowed row from a line of a text.

    Attributes:
        place: Index of the column.
        values: The values of the rows so far, up to a limit.
        is_number: Whether all values so far are numbers.
    """

    place: int
    values: set[str] = field(default_factory=set)
    is_number: bool = True

    def add(self, value: str) -> None:
        """Take note of the value of a row."""
        self.is_number = self.is_number and _NUMBER.fullmatch(value) is not None
        if len(self.values) < _MOST_VALUES:
            self.values.add(value)

    def fits(self, value: str) -> bool:
        """Return whether a field looks like a value of the column: a label, or a number of a row."""
        counts = self.is_number and len(self.values) > _MOST_LABELS
        return value in self.values or (counts and _NUMBER.fullmatch(value) is not None)


def _checked(
    path: Path, rows: Iterator[NumberedRow], lines: _Lines, delimiter: str, columns: Sequence[str]
) -> Iterator[NumberedRow]:
    """Yield the same rows, and raise an error after the last row if quotes have swallowed some.

    A row of several lines has swallowed rows if one of its lines has as many fields as the header and values
    of the key columns, as a row has. The line with the row's own values does not count. The lines of a review
    seldom look like that.
    """
    header: list[str] | None = None
    keys: list[_Key] = []
    suspects: list[tuple[int, int, set[tuple[str, ...]]]] = []
    for number, row in rows:
        if header is None:
            header = row
            keys = [_Key(header.index(name)) for name in columns if name in header]
        elif 1 < len(header) == len(row) and keys:  # each line of a text looks like a row of one column
            if len(lines.row) > 1 and (found := _values_within(row, lines.row, delimiter, keys)):
                suspects.append((number, lines.number, found))
            for key in keys:
                key.add(row[key.place])
        yield number, row
    for first, last, found in suspects:
        if any(all(map(_Key.fits, keys, values)) for values in found):
            raise _swallowed(path, first, last)


def _values_within(
    row: Sequence[str], lines: Sequence[str], delimiter: str, keys: Sequence[_Key]
) -> set[tuple[str, ...]]:
    """Return the values of the key columns that the lines of a row have if they are rows.

    The line is left out that holds all of the row's own values.
    """
    own = {sum(len(_LINE_END.findall(field)) for field in row[: key.place]) for key in keys}
    found = set()
    for number, line in enumerate(lines):
        content = line.rstrip("\r\n")
        fields = content.split(delimiter)
        if len(fields) != len(row):
            fields = next(csv.reader([content], delimiter=delimiter), [])
        if own != {number} and len(fields) == len(row):
            found.add(tuple(fields[key.place] for key in keys))
    return found


def _swallowed(path: Path, first: int, last: int) -> DataError:
    return DataError(
        f"The quote that opens in line {first} of {path} closes in line {last}, and the lines between look "
        "like rows of their own: give --no-quotes if all quotes are text, close or double that quote, or "
        "give --quotes if this is one text."
    )


@contextmanager
def _unlimited_fields() -> Iterator[None]:
    """Lift the csv module's limit of 128 KiB for a field, which is a setting of the whole process."""
    limit = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(limit)
