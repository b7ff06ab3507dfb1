"""Compares the original data and model of a run with the current ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from datasets import concatenate_datasets

from earlyrobust.data import count_overlap
from earlyrobust.encoders import files_digest
from earlyrobust.errors import DataError
from earlyrobust.options.run import RunConfig
from earlyrobust.pipeline.splits import load_data
from earlyrobust.workspace.finding import fingerprints_of
from earlyrobust.workspace.observer import Observer

if TYPE_CHECKING:
    from datasets import Dataset

    from earlyrobust.data import TextData

_WAY_OUT = "give --test-file or --task"


def load_own(run: Path, source: RunConfig) -> TextData:
    """Load the training, selection and test data of a run.

    Args:
        run: The run's folder.
        source: The run's options.

    Returns:
        The splits of the run.

    Raises:
        DataError: If the data cannot be read any more, or has changed. Changed data gives another test split,
            which may hold training texts of the run.
    """
    name = f"'{source.train_file or source.data_dir or source.task}', the data of the run in '{run}',"
    for file in (source.train_file, source.test_file):
        if file is not None and not file.exists():
            raise DataError(f"'{file}', which the run in '{run}' read, is not there: {_WAY_OUT}.")
    try:
        texts = load_data(source)
    except DataError as error:
        reason = str(error).rpartition(": ")[0] or str(error).rstrip(".")  # without its own advice
        raise DataError(f"{name} cannot be read any more ({reason}): {_WAY_OUT}.") from error
    if texts.fingerprint != fingerprints_of(run).get("data", texts.fingerprint):
        raise DataError(
            f"{name} has changed since, so its test split may hold training texts of the run: {_WAY_OUT}."
        )
    return texts


def digest_of_files(source: RunConfig) -> str | None:
    """Return the hash of the data in the user's own files now, to compare with the data of a finished run.

    Args:
        source: The run's options.

    Returns:
        The hash; None if the run reads a task, or a file is missing.

    Raises:
        DataError: If the files cannot be used any more.
    """
    files = [file for file in (source.train_file, source.test_file) if file is not None]
    if source.train_file is None or not all(file.exists() for file in files):
        return None
    return load_data(source).fingerprint


def count_known(run: Path, source: RunConfig, rows: Dataset, observer: Observer) -> int | None:
    """Count the examples whose text is in the training or selection data of a run.

    Args:
        run: The run's folder.
        source: The run's options.
        rows: Columns `text` and, for pairs, `pair`.
        observer: Receives a message if the examples cannot be counted.

    Returns:
        The number; None if the run's data is on a hub, is missing, or has changed.
    """
    if source.train_file is None and source.data_dir is None:
        return None  # The count is not worth a download.
    try:
        own = load_own(run, source)
    except DataError:
        observer.note(
            "It is unknown whether the model was trained on any of these texts: the data of the run in "
            f"'{run}' has changed, or is missing."
        )
        return None
    return count_overlap(rows, concatenate_datasets([own.train, own.selection]))


def has_other_model(run: Path, model: str) -> bool:
    """Return whether the files of an encoder have changed since the start of a run; False if this is unknown.

    Args:
        run: The run's folder.
        model: Name of the encoder.
    """
    now = files_digest(model)
    return now is not None and now != fingerprints_of(run).get("model", now)
