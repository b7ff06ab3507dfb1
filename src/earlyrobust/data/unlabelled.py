"""Reads files of texts without labels: surveys the whole file, yields its texts, and writes rows."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from earlyrobust.data.chunks import Chunk
from earlyrobust.data.files import ENDINGS, NAMES_OF_ENDINGS, column_names, one_line, read_chunks
from earlyrobust.data.textformat import TextFormat
from earlyrobust.errors import DataError, OutputError

# Ends the rows of a `csv.writer`, see `_LineFeeds`.
_ENDS = "\r\n"

# The key under which the datasets library stores the kinds of columns in a Parquet file.
_FEATURES = b"huggingface"

_OTHER_FORMAT = "choose an --output in another format than Parquet."

# Writes some rows, given the values of each column.
Write = Callable[[Mapping[str, Sequence[Any]]], None]


@dataclass(frozen=True)
class Survey:
    """The columns and counts of a file of texts.

    Attributes:
        columns: Names of all columns, in their order.
        texts: Columns of the texts.
        keys: Columns whose values distinguish a row from a line of a text.
        rows: Number of rows.
        without_text: Number of rows in which a text is missing.
        schema: Types of the columns in Parquet; None if they were not requested.
    """

    columns: tuple[str, ...]
    texts: tuple[str, ...]
    keys: tuple[str, ...]
    rows: int
    without_text: int
    schema: pa.Schema | None


def survey(
    path: Path, texts: Sequence[str], label_column: str, form: TextFormat, *, typed: bool = False
) -> Survey:
    """Read a whole file once, so that its faults are known at the start.

    Args:
        path: A CSV, TSV, JSONL or Parquet file.
        texts: Columns of the texts.
        label_column: Column of the label, which the file may lack.
        form: The layout of a text file.
        typed: Whether to find the types of the columns.

    Raises:
        DataError: If the file cannot be read, a column is missing, a column of texts holds another value, or
            a column has values of different types.
    """
    columns = column_names(path, form)
    rows = missing = 0
    is_parquet = path.suffix.lower() == ".parquet"
    schema: pa.Schema | None = _own_schema(path) if typed and is_parquet else None
    others = tuple(name for name in columns if name not in texts)
    keys = (label_column,) if label_column in others else others
    for table in read_chunks(path, [*others, *texts], form=form, keys=keys):
        given = texts_of(table, texts)
        rows += len(given)
        missing += given.count(None)
        if typed and not is_parquet:
            schema = _unified(path, schema, table, columns)
    return Survey(columns, tuple(texts), keys, rows, missing, schema)


def _own_schema(path: Path) -> pa.Schema:
    """Return the types of a Parquet file, with the names of classes that the library datasets stores."""
    schema = pq.read_schema(path)
    kept = {key: value for key, value in (schema.metadata or {}).items() if key == _FEATURES}
    return schema.with_metadata(kept or None)


def texts_of(table: Chunk, columns: Sequence[str]) -> list[tuple[str, ...] | None]:
    """Return the text or the two texts of each row; None for a row in which a text is missing.

    Args:
        table: Rows of the file.
        columns: Columns of the texts.

    Raises:
        DataError: If a column of texts holds another value.
    """
    given = [table.texts_or_none(column) for column in columns]
    return [None if None in row else row for row in zip(*given, strict=True)]


@contextmanager
def writing(
    path: Path, columns: Sequence[str], schema: pa.Schema | None, delimiter: str | None
) -> Iterator[Write]:
    """Open a new CSV, TSV, JSONL or Parquet file, whose name ends with the format.

    Args:
        path: The file.
        columns: Names of the columns, in their order.
        schema: Types of the columns, which Parquet needs; None for other formats.
        delimiter: Character between the fields of CSV and TSV; None for a comma in CSV and a tab in TSV.

    Yields:
        A function that writes rows.

    Raises:
        DataError: If the values of a column cannot be written.
    """
    kind = path.suffix.lower()
    if kind == ".parquet":
        assert schema is not None  # survey has found the types
        with pq.ParquetWriter(path, schema) as file:

            def write(rows: Mapping[str, Sequence[Any]]) -> None:
                arrays = [_array(path, rows[field.name], field) for field in schema]
                file.write_table(pa.Table.from_arrays(arrays, schema=schema))

            yield write
        return
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as lines:
        if kind == ".jsonl":

            def write(rows: Mapping[str, Sequence[Any]]) -> None:
                for values in zip(*(rows[name] for name in columns), strict=True):
                    record = dict(zip(columns, map(_json_value, values), strict=True))
                    lines.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")

        else:
            usual = "\t" if kind == ".tsv" else ","
            table = csv.writer(_LineFeeds(lines), delimiter=delimiter or usual, lineterminator=_ENDS)
            table.writerow(columns)

            def write(rows: Mapping[str, Sequence[Any]]) -> None:
                for values in zip(*(rows[name] for name in columns), strict=True):
                    table.writerow([_cell(value) for value in values])

        yield write


def check_ending(path: Path) -> None:
    """Refuse an output file whose name does not end with a known format.

    Raises:
        OutputError: If the ending is not that of CSV, TSV, JSONL or Parquet.
    """
    if path.suffix.lower() not in ENDINGS:
        raise OutputError(
            f"The format of '{path}' cannot be told from its name: use a name that ends in "
            f"{NAMES_OF_ENDINGS}."
        )


class _LineFeeds:
    """Ends the rows of a `csv.writer` with a line feed alone.

    A writer quotes a field with a carriage return or a line feed only if both end its rows.

    Args:
        file: The file that receives the rows.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, row: str) -> int:
        return self._file.write(row.removesuffix(_ENDS) + "\n")


def _cell(value: Any) -> Any:
    """Return a value as CSV and TSV hold it: lists and objects as JSON, dates and decimals as text."""
    if isinstance(value, list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return value


def _json_value(value: Any) -> Any:
    """Return a value as JSON can hold it, which has no number for NaN and infinities."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _unified(path: Path, known: pa.Schema | None, table: Chunk, columns: Sequence[str]) -> pa.Schema:
    """Return column types that fit the known types and the values of some more rows."""
    try:
        found = pa.schema([(name, pa.array(table.columns[name]).type) for name in columns])
        schema = found if known is None else pa.unify_schemas([known, found], promote_options="permissive")
    except (pa.ArrowException, OverflowError) as error:
        raise DataError(
            f"A column of {path} holds values of different types, or too large numbers ({one_line(error)}): "
            f"{_OTHER_FORMAT}"
        ) from error
    for field in schema:
        if _has_empty_struct(field.type):
            raise DataError(
                f"Column {field.name!r} of {path} holds only empty objects, for which Parquet has no type: "
                f"{_OTHER_FORMAT}"
            )
    return schema


def _has_empty_struct(kind: pa.DataType) -> bool:
    inner = [kind.field(place).type for place in range(kind.num_fields)]
    return (pa.types.is_struct(kind) and not inner) or any(map(_has_empty_struct, inner))


def _array(path: Path, values: Sequence[Any], field: pa.Field) -> pa.Array:
    try:
        return pa.array(values, type=field.type)
    except (pa.ArrowException, OverflowError, ValueError, TypeError) as error:
        raise DataError(
            f"Column {field.name!r} cannot be written to {path} as {field.type} ({one_line(error)}): "
            f"{_OTHER_FORMAT}"
        ) from error
