"""Readers for files of neighbour lists: Parquet, CSV, TSV, JSON and JSONL."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from earlyrobust.errors import ResourceError

# A word and its neighbours. In Parquet files neighbours may be missing (None).
Entry = tuple[str, Iterable[str | None] | None]
SUFFIXES = (".parquet", ".csv", ".tsv", ".json", ".jsonl")
# The first field of a header line.
_HEADERS = {"word", "words"}
_WORD, _NEIGHBOURS = "word", "neighbors"


def read_entries(path: Path) -> list[Entry]:
    """Read words and their neighbours, nearest first, from a file.

    The suffix of the file determines the layout:

    * Parquet: columns `word` (text) and `neighbors` (lists of text).
    * CSV and TSV: a word, then its neighbours in the next fields. A field may hold several neighbours,
      separated by ";" or "|". A first line whose first field is "word" or "words" is a header.
    * JSON: an object that maps words to lists, or a list of objects with `word` and `neighbors`.
    * JSONL: an object with `word` and `neighbors` in each line.

    Raises:
        ResourceError: If the file cannot be read, has another layout, or is empty.
    """
    try:
        match path.suffix.lower():
            case ".parquet":
                entries = _of_parquet(path)
            case ".csv" | ".tsv":
                entries = _of_table(path)
            case _:
                entries = _of_json(path)
    except OSError as error:
        raise ResourceError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ResourceError(f"{path} is not text in UTF-8: save it as UTF-8.") from error
    if not entries:
        raise ResourceError(f"{path} is empty: it should hold words with their neighbours.")
    return entries


def _of_parquet(path: Path) -> list[Entry]:
    wanted = pa.schema([(_WORD, pa.string()), (_NEIGHBOURS, pa.list_(pa.string()))])
    try:
        columns = pq.read_table(path, columns=wanted.names).cast(wanted).to_pydict()
    except (pa.ArrowException, ValueError) as error:
        raise ResourceError(
            f"{path} is not a Parquet file of the columns 'word' (text) and 'neighbors' (lists of text)."
        ) from error
    pairs = zip(columns[_WORD], columns[_NEIGHBOURS], strict=True)
    return [(word or "", others) for word, others in pairs]


def _of_table(path: Path) -> list[Entry]:
    tabs = path.suffix.lower() == ".tsv"
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter="\t" if tabs else ",", strict=True)
        try:
            rows = [row for row in reader if any(map(str.strip, row))]
        except csv.Error as error:
            raise ResourceError(f"Line {reader.line_num} of {path} cannot be read: {error}.") from error
    if rows and rows[0][0].strip().lower() in _HEADERS:
        del rows[0]
    if rows and all(len(row) == 1 for row in rows):
        raise ResourceError(
            f"{path} has one column: separate each word and its neighbours by {'tabs' if tabs else 'commas'}."
        )
    return [(word, [part for field in fields for part in re.split("[;|]", field)]) for word, *fields in rows]


def _of_json(path: Path) -> list[Entry]:
    content = path.read_text(encoding="utf-8-sig")
    try:
        if path.suffix.lower() == ".jsonl":
            return [_of_object(path, json.loads(line)) for line in content.splitlines() if line.strip()]
        found = json.loads(content) if content.strip() else {}
    except (ValueError, RecursionError) as error:
        raise ResourceError(f"{path} is not JSON: {error}.") from error
    if isinstance(found, dict):
        return [_of_object(path, {_WORD: word, _NEIGHBOURS: others}) for word, others in found.items()]
    if isinstance(found, list):
        return [_of_object(path, item) for item in found]
    raise _other_layout(path)


def _of_object(path: Path, item: Any) -> Entry:
    if not isinstance(item, dict):
        raise _other_layout(path)
    word, others = item.get(_WORD), item.get(_NEIGHBOURS)
    others = [others] if isinstance(others, str) else others
    if not isinstance(word, str) or not isinstance(others, list) or not all(map(_is_text, others)):
        raise _other_layout(path)
    return word, others


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _other_layout(path: Path) -> ResourceError:
    return ResourceError(
        f"{path} has another layout: it should hold an object of lists by word, as "
        '{"good": ["fine", "nice"]}, or objects of "word" and "neighbors".'
    )
