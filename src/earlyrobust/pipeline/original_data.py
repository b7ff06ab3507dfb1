"""Compares the original data, model and attacks of a run with the current ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import concatenate_datasets

from earlyrobust.data import count_overlap
from earlyrobust.encoders import files_digest
from earlyrobust.errors import DataError
from earlyrobust.evaluation import all_fingerprints
from earlyrobust.options.run import RunConfig
from earlyrobust.pipeline.splits import load_data
from earlyrobust.results import RunRecord, differing_settings
from earlyrobust.workspace.finding import fingerprints_of
from earlyrobust.workspace.observer import Observer

if TYPE_CHECKING:
    from datasets import Dataset

    from earlyrobust.attacks import WordSwapAttack
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


def with_other_model(runs: Mapping[Path, str]) -> set[Path]:
    """Return the runs whose encoder has other files now than at their start, as far as this is known.

    Args:
        runs: By the folder of each run, the name of its encoder.
    """
    now = {model: files_digest(model) for model in set(runs.values())}
    return {
        run
        for run, model in runs.items()
        if (digest := now[model]) is not None and digest != fingerprints_of(run).get("model", digest)
    }


def other_settings(
    run: Path, record: RunRecord, attacks: Sequence[WordSwapAttack], precision: str
) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Compare the settings and resources that a run was attacked with to those of attacks as they are now.

    Args:
        run: The run's folder.
        record: The run's record.
        attacks: The attacks as they are now.
        precision: The precision in which the attacks compute.

    Returns:
        By the name of each attack that differs: the settings that differ, with the value then and now.
    """
    found = {}
    for attack in attacks:
        if attack.name not in record.model.attacks:
            continue
        now = {**attack.describe(), **all_fingerprints(attack), "precision": precision}
        then = record.model.attacks[attack.name].settings_in(run)
        # A record holds JSON types, in which a tuple is a list.
        if differing := differing_settings(then, json.loads(json.dumps(now))):
            found[attack.name] = differing
    return found
