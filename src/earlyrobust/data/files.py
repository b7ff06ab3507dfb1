"""Reads the user's own CSV, TSV, JSONL and Parquet files, chunk by chunk.

Every fault of such a file raises a `DataError` that names the file and the place.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from earlyrobust.data.chunks import Chunk
from earlyrobust.data.decoding import decoded
from earlyrobust.data.separated import NumberedRow, check_header, separated_rows
from earlyrobust.data.textformat import USUAL_FORMAT, TextFormat
from earlyrobust.errors import DataError

# Number of rows of a file that are in memory at a time.
CHUNK_ROWS = 10_000

T = TypeVar("T")


def read_chunks(
    path: Path,
    columns: Sequence[str],
    rows: int = CHUNK_ROWS,
    form: TextFormat = USUAL_FORMAT,
    *,
    keys: Sequence[str] | None = None,
) -> Iterator[Chunk]:
    """Read some columns of a CSV, TSV, JSONL or Parquet file, whose name ends with the format.

    Unless `form` says otherwise, text files are UTF-8, with or without a byte order mark. CSV and TSV files
    need a header line and may quote fields with double quotes. Blank lines are skipped.

    Args:
        path: The file.
        columns: The columns to read.
        rows: Largest number of rows in a chunk. The file is never in memory as a whole.
        form: The layout of a text file.
        keys: Columns whose values distinguish a row from a line of a text, such as that of the label. None
            for the last one of `columns`.

    Yields:
        The columns in the order of the file's rows, at least one row in all.

    Raises:
        DataError: The file cannot be read in the format of its name, or a column is missing.
    """
    reader = _reader_of(path)
    empty = True
    for table in reader(path, columns, rows, form, columns[-1:] if keys is None else keys):
        if table.numbers:
            empty = False
            yield table
    if empty:
        raise DataError(f"{path} holds no rows: give a file with at least one row of data.")


def _reader_of(path: Path) -> _Reader:
    """Return the reader of a file, which must exist and have a known ending."""
    if path.is_dir():
        raise DataError(f"{path} is a folder: name a file ({NAMES_OF_ENDINGS}).")
    if not path.exists():
        raise DataError(f"{path} does not exist: check the path.")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(
            f"The format of {path} cannot be told from its name: use a file ending in {NAMES_OF_ENDINGS}."
        )
    return reader


def column_names(path: Path, form: TextFormat = USUAL_FORMAT) -> tuple[str, ...]:
    """Return the names of all columns of a file, in their order.

    The columns of a JSONL file are those of all its lines.

    Args:
        path: A CSV, TSV, JSONL or Parquet file.
        form: The layout of a text file.

    Raises:
        DataError: The file cannot be read in the format of its name, or two columns have the same name.
    """
    _reader_of(path)  # an error if there is none
    kind = path.suffix.lower()
    if kind == ".jsonl":
        names: dict[str, None] = {}
        for number, line in enumerate(decoded(path, form.encoding), start=1):
            if line.strip():
                names.update(dict.fromkeys(_parse_record(path, number, line)))
        return tuple(names)
    if kind == ".parquet":
        try:
            found = pq.read_schema(path).names
        except (pa.ArrowException, OSError) as error:
            raise _not_parquet(path, error) from error
    else:
        separator = form.delimiter or _SEPARATORS[kind]
        found = _header(path, separated_rows(path, form, separator), separator)
    _require_columns(path, found, found)
    return tuple(found)


def _read_separated(
    path: Path, columns: Sequence[str], rows: int, form: TextFormat, keys: Sequence[str]
) -> Iterator[Chunk]:
    separator = form.delimiter or _SEPARATORS[path.suffix.lower()]
    found = (
        (number, row)
        for number, row in separated_rows(path, form, separator, keys)
        # A field of spaces alone is a blank line; an empty field was written as two quotes.
        if len(row) > 1 or row[0] == "" or row[0].strip()
    )
    header = _header(path, found, separator)
    _require_columns(path, header, columns)
    indices = {column: header.index(column) for column in columns}
    for part in batched(found, rows):
        for number, row in part:
            if len(row) != len(header):
                raise DataError(
                    f"Line {number} of {path} has {len(row)} field(s) where the header has {len(header)}: "
                    + _way_out_of_ragged(form, separator, is_short=len(row) < len(header))
                )
        by_column = {column: [row[index] for _, row in part] for column, index in indices.items()}
        yield Chunk(path, by_column, "line", [number for number, _ in part])


def _header(path: Path, rows: Iterator[NumberedRow], separator: str) -> list[str]:
    """Take the header from the rows of a file, check it, and return it."""
    first = next(rows, None)
    if first is None:
        raise DataError(f"{path} is empty: give a file with a header line and rows of data.")
    check_header(path, first[1], separator)
    return first[1]


def _way_out_of_ragged(form: TextFormat, separator: str, *, is_short: bool) -> str:
    name = _SEPARATOR_NAMES.get(separator, repr(separator))
    if is_short:
        return f"fill in what is missing, with {name} between fields, or delete the line."
    if form.quotes is False:
        return f"without quotes no field can contain {name}, so take it out, or leave out --no-quotes."
    return f"put double quotes around a field that contains {name}."


def _read_jsonl(
    path: Path, columns: Sequence[str], rows: int, form: TextFormat, keys: Sequence[str]
) -> Iterator[Chunk]:
    # Only line feeds end a line: inside a string, JSON allows characters such as U+2028, at which other
    # readers would end the line.
    numbered = enumerate(decoded(path, form.encoding), start=1)
    lines = ((number, line) for number, line in numbered if line.strip())
    for count, part in enumerate(batched(lines, rows)):
        records = [_parse_record(path, number, line) for number, line in part]
        # A name that some lines lack stands for missing values there. A name that no line has is an error.
        if not count and not all(any(name in record for record in records) for name in columns):
            _require_columns(path, column_names(path, form), columns)
        by_column = {column: [record.get(column) for record in records] for column in columns}
        yield Chunk(path, by_column, "line", [number for number, _ in part])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of some pairs of names and values; raise `ValueError` if a name occurs twice."""
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise ValueError(f"the name {twice!r} occurs twice")
    return record


def _parse_record(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        record = json.loads(line, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"Line {number} of {path} is not valid JSON ({one_line(error)}): write one object per line."
        ) from error
    if not isinstance(record, dict):
        raise DataError(
            f"Line {number} of {path} holds a JSON {_JSON_NAMES[type(record)]} instead of an object: "
            'write each row like {"text": "...", "label": "..."}.'
        )
    return record


def _read_parquet(
    path: Path, columns: Sequence[str], rows: int, form: TextFormat, keys: Sequence[str]
) -> Iterator[Chunk]:
    begin = 1
    try:
        with pq.ParquetFile(path) as file:
            _require_columns(path, file.schema_arrow.names, columns)
            names = _class_names(file.schema_arrow)
            for batch in file.iter_batches(rows, columns=list(columns)):
                by_column = {column: batch.column(column).to_pylist() for column in columns}
                yield Chunk(path, by_column, "row", range(begin, begin + batch.num_rows), names)
                begin += batch.num_rows
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _not_parquet(path, error) from error


def _not_parquet(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path} cannot be read as Parquet ({one_line(error)}): check that it is complete, or write it anew."
    )


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the class names that the datasets library has written into a file's metadata, by column."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: feature["names"]
            for column, feature in features.items()
            if isinstance(feature, dict)
            and feature.get("_type") == "ClassLabel"
            and isinstance(feature.get("names"), list)
            and all(isinstance(name, str) and name.strip() for name in feature["names"])
        }
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError):
        return {}  # The metadata is absent, or not in the format of datasets.


def _require_columns(path: Path, present: Sequence[str], wanted: Sequence[str]) -> None:
    for column in wanted:
        if present.count(column) > 1:
            raise DataError(
                f"{path} has more than one column {column!r}: give each column a name of its own."
            )
        if column not in present:
            near = difflib.get_close_matches(column, present, n=1)
            options = "name the right one by --text-column, --pair-column or --label-column."
            hint = f"did you mean {near[0]!r}?" if near else options
            listing = ", ".join(map(repr, present))
            raise DataError(f"{path} has no column {column!r}, its columns are {listing}: {hint}")


def batched(items: Iterator[T], size: int) -> Iterator[list[T]]:
    """Yield items in lists of a size; the last list may be shorter."""
    while part := list(islice(items, size)):
        yield part


def one_line(error: Exception) -> str:
    """Return an error's message without line breaks and full stops, for use inside a sentence."""
    return " ".join(str(error).split()).rstrip(".").replace(". ", "; ")


_Reader: TypeAlias = Callable[[Path, Sequence[str], int, TextFormat, Sequence[str]], Iterator[Chunk]]
_READERS: dict[str, _Reader] = {
    ".csv": _read_separated,
    ".tsv": _read_separated,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
ENDINGS = tuple(_READERS)
NAMES_OF_ENDINGS = f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
_SEPARATOR_NAMES = {",": "a comma", "\t": "a tab"}
_JSON_NAMES = {
    list: "array",
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
}
