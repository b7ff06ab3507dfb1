"""Reads the rows of a named task from a local folder of Parquet files or from the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import datasets
import pyarrow as pa

from earlyrobust.data.chunks import Chunk
from earlyrobust.data.files import one_line, read_chunks
from earlyrobust.data.rows import gather, make_rows
from earlyrobust.data.tasks import HubSource, LocalFiles, Task
from earlyrobust.errors import DataError


def read_local(task: Task, files: LocalFiles, data_dir: Path) -> tuple[pa.Table, pa.Table]:
    """Read a task's training and test rows from a local folder.

    Args:
        task: The task.
        files: The paths of the task's files in the folder.
        data_dir: The folder.

    Returns:
        The training rows and the test rows.

    Raises:
        DataError: The folder or one of the files is missing or cannot be used.
    """
    if not data_dir.is_dir():
        raise DataError(f"The data folder {data_dir} is not there or is not a folder: check the path.")
    paths = _find(task, data_dir, files.train), _find(task, data_dir, files.test)
    train, test = (_read_split(task, path, files.csv_quoted) for path in paths)
    return train, test


def read_hub(task: Task, hub: HubSource) -> tuple[pa.Table, pa.Table]:
    """Fetch a task's training and test rows from the Hugging Face hub, or from its local cache.

    Args:
        task: The task.
        hub: The task's data set on the hub.

    Returns:
        The training rows and the test rows.

    Raises:
        DataError: The hub cannot be reached and the cache does not have the data set.
    """
    try:
        train, test = datasets.load_dataset(hub.repo, hub.config, split=[hub.train, hub.test])
    # The hub's client and its HTTP library raise many kinds of errors. All mean that the data is missing.
    except Exception as error:
        raise DataError(
            f"The data set {hub.repo} could not be fetched from the Hugging Face hub ({one_line(error)}): "
            "check the network, or pass --data-dir or --train-file to read local files."
        ) from error
    return _from_hub(task, train), _from_hub(task, test)


def _from_hub(task: Task, split: datasets.Dataset) -> pa.Table:
    table = split.with_format("arrow")[:]  # mapped from the hub's cache
    names = {"text": task.text_column, "pair": task.pair_column, "label": "label"}
    kinds = {"text": pa.string(), "pair": pa.string(), "label": pa.int64()}
    return pa.table(
        {name: table[column].cast(kinds[name]) for name, column in names.items() if column is not None}
    )


def _find(task: Task, data_dir: Path, candidates: Sequence[str]) -> Path:
    for candidate in candidates:
        if (data_dir / candidate).is_file():
            return data_dir / candidate
    raise DataError(
        f"The data folder {data_dir} has no {' or '.join(candidates)}, which task {task.name!r} reads: "
        "put the file there or name another folder."
    )


def _read_split(task: Task, path: Path, csv_quoted: bool) -> pa.Table:
    columns = [task.text_column] + ([] if task.pair_column is None else [task.pair_column])

    def rows(table: Chunk) -> pa.Table:
        texts = [table.texts(column, may_be_empty=True) for column in columns]
        if csv_quoted:
            texts = [[_unquote(text) for text in column] for column in texts]
        return make_rows(texts[0], texts[1] if len(texts) == 2 else None, _checked_labels(task, table))

    return gather(map(rows, read_chunks(path, [*columns, "label"])))


def _checked_labels(task: Task, table: Chunk) -> list[int]:
    labels = table.labels("label")
    known = range(len(task.label_names))
    for row, label in enumerate(labels):
        if label not in known:
            raise DataError(
                f"The label {label!r} in {table.place(row)} is not a class of task {task.name!r}: "
                f"it must be a whole number from 0 to {known[-1]}."
            )
    return [int(label) for label in labels]


def _unquote(text: str) -> str:
    """Undo CSV quoting: remove the outer quotes, and make doubled quotes inside single."""
    if len(text) >= 2 and text.startswith('"') and text.endswith('"'):
        return text[1:-1].replace('""', '"')
    return text
