"""Runs a comparison: reuses finished cells, runs the other cells, and records failures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from earlyrobust import processes
from earlyrobust.analysis.comparison import Comparison
from earlyrobust.errors import ConfigError, EarlyRobustError, OutputError
from earlyrobust.experiments.cells import Cell, plan_cells
from earlyrobust.experiments.launchers import LAUNCHERS, Failure, check_ray
from earlyrobust.options.comparison import CompareConfig
from earlyrobust.options.run import RunConfig
from earlyrobust.pipeline.attacks import build_attacks
from earlyrobust.pipeline.original_data import digest_of_files, other_settings, with_other_model
from earlyrobust.pipeline.splits import load_data
from earlyrobust.results import (
    COMPARISON_NAME,
    CellRecord,
    ComparisonRecord,
    RunRecord,
    differing_settings,
    setting_in_words,
)
from earlyrobust.storage import check_can_be_made, content_of, locked, remove_leftovers
from earlyrobust.workspace.finding import edited_since, fingerprints_of
from earlyrobust.workspace.folder import close_again, what_matters
from earlyrobust.workspace.identity import Difference, anchored, differences, told
from earlyrobust.workspace.observer import Observer

# A title names up to this number of arms, and counts them otherwise.
MOST_NAMED = 5


def compare(
    config: CompareConfig, observer: Observer | None = None, *, title: str = "", command: str = ""
) -> Comparison:
    """Run every arm with every seed, and record the results.

    A second call with the same options continues an interrupted comparison. A call with additional arms or
    seeds runs only these. Failed cells run again.

    Args:
        config: Resolved options.
        observer: Receives progress and messages; None to discard them.
        title: A title for the comparison in one line; empty to make one of the arms and the data.
        command: The command that repeats the comparison, for the record.

    Returns:
        The comparison, with the runs of all cells that did not fail.

    Raises:
        EarlyRobustError: If the options of an arm cannot be used, or the folder holds something else.
    """
    processes.check_alone("A comparison")
    check_comparison(config)
    with locked(config.output_folder):
        _check_folder(config)  # Another command may have changed the folder.
        return _run(config, observer or Observer(), title, command)


def _run(config: CompareConfig, observer: Observer, title: str, command: str) -> Comparison:
    cells = plan_cells(config)
    folder = config.output_folder
    finished, waiting = (
        [cell for cell in _distinct(cells) if cell.is_finished is whether] for whether in (True, False)
    )
    if not waiting:
        _check_data(config, finished[0])
    remove_leftovers(folder)
    _record(config, cells, {}, title, command).save(folder)  # claims the folder
    for cell in finished:
        close_again(cell.folder)
    failures = _spoilt(config, cells, finished, bool(waiting))
    if finished:
        observer.note(f"{len(finished)} of {len(finished) + len(waiting)} runs are finished already.")
    for cell, failure in LAUNCHERS[config.launcher](waiting, config, observer):
        if failure is not None:
            for twin in cells:
                if twin.folder == cell.folder:
                    failures[twin.arm, twin.seed] = failure
            observer.note(f"Failed: {cell}: {failure.reason}")
            _record(config, cells, failures, title, command).save(folder)
    _record(config, cells, failures, title, command).save(folder)
    return Comparison.load(folder)


def _distinct(cells: Sequence[Cell]) -> list[Cell]:
    """Return one cell for each run, because several arms may have the same options."""
    return list({cell.folder: cell for cell in reversed(cells)}.values())[::-1]


def _record(
    config: CompareConfig,
    cells: Sequence[Cell],
    failures: dict[tuple[str, int], Failure],
    title: str,
    command: str,
) -> ComparisonRecord:
    def place(cell: Cell) -> CellRecord:
        failure = failures.get((cell.arm, cell.seed))
        folder = Path(os.path.relpath(cell.folder, config.output_folder)).as_posix()
        if failure is None:
            return CellRecord(cell.arm, cell.seed, folder)
        return CellRecord(cell.arm, cell.seed, folder, failure.reason, failure.trace)

    arms = {name: anchored(options) for name, options in config.arms.items()}
    named = ", ".join(arms) if len(arms) <= MOST_NAMED else f"{len(arms)} methods"
    return ComparisonRecord(
        title=title or f"{named} on {config.task or config.train_file}",
        arms=arms,
        baseline=str(config.baseline),
        config=anchored(config.shared),  # valid in any working folder
        command=command,
        cells=[place(cell) for cell in cells],
    )


def check_comparison(config: CompareConfig) -> None:
    """Check that a comparison can run, before anything is written.

    Args:
        config: Resolved options.

    Raises:
        EarlyRobustError: If the folder holds another comparison or other files, or if a cell is unfinished
            and its data, the attacks or the launcher cannot be used.
    """
    if config.launcher not in LAUNCHERS:
        raise ConfigError(f"There is no launcher '{config.launcher}': choose from {', '.join(LAUNCHERS)}.")
    _check_folder(config)
    waiting = next((cell for cell in plan_cells(config) if not cell.is_finished), None)
    if waiting is not None:
        if config.launcher == "ray":
            check_ray()
        build_attacks(config)
        load_data(waiting.config)


def _check_folder(config: CompareConfig) -> None:
    """Refuse a folder whose content would be lost.

    Raises:
        OutputError: If the folder holds another comparison or other files.
    """
    folder = config.output_folder
    for place in (folder, config.cells_folder):
        check_can_be_made(place)
    if not (folder / COMPARISON_NAME).exists():
        if any(path != config.cells_folder for path in content_of(folder)):
            raise OutputError(f"'{folder}' holds other files: choose another --output, or empty it.")
        return
    old = ComparisonRecord.load(folder)
    seeds = range(config.seed, config.seed + config.seeds)
    lost = [
        f"the arm {arm}"
        for arm, options in old.arms.items()
        if arm not in config.arms or _differ(_whole(options), _whole(config.arms[arm]))
    ]
    others = _differ(what_matters(old.config), what_matters(config.shared))
    if others or lost or not set(old.seeds) <= set(seeds):
        differing = told(others) or ", ".join(lost) or "the seeds"
        raise OutputError(
            f"'{folder}' holds another comparison ({differing}): arms and seeds can be added to it, not "
            "changed or taken away; choose another --output."
        )


def _check_data(config: CompareConfig, cell: Cell) -> None:
    """Refuse to show a finished comparison if its data files have changed.

    Raises:
        OutputError: If the files have changed.
    """
    now = digest_of_files(cell.config)
    if now is not None and now != fingerprints_of(cell.folder).get("data", now):
        raise OutputError(
            f"The comparison in '{config.output_folder}' used other data than the current data: choose "
            "another --output, or delete it."
        )


def _differ(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Return the options that differ. Files may have moved; hashes of data and model are compared later."""
    return [found for found in differences(then, now) if not found.may_have_moved]


def _whole(arm: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of an arm with its method. Earlier versions left out the default method."""
    return {"method": RunConfig.model_fields["method"].default, **arm}


def _spoilt(
    config: CompareConfig, cells: Sequence[Cell], finished: Sequence[Cell], are_some_waiting: bool
) -> dict[tuple[str, int], Failure]:
    """Return failures for finished cells that no longer fit the comparison, or whose record cannot be read.

    The data, the model, the attacks or the user's own classes of such a cell have changed. If no cell is
    waiting, data and attacks are not loaded, except for attacks that differ between the cells.
    """
    reasons: dict[Path, str] = {}
    records: dict[Path, RunRecord] = {}
    data: dict[int, str] = {}
    changed = with_other_model({cell.folder: cell.config.model for cell in finished})
    for cell in finished:
        try:
            record = RunRecord.load(cell.folder)
            if are_some_waiting and cell.seed not in data:
                data[cell.seed] = load_data(cell.config).fingerprint
            if record.data.fingerprint != data.get(cell.seed, record.data.fingerprint):
                reasons[cell.folder] = "its run used other data than the current data"
            elif cell.folder in changed:
                reasons[cell.folder] = "its run used another model than the current model"
            elif edited := edited_since(cell.folder, cell.config.to_dict()):
                reasons[cell.folder] = f"the code of '{edited[0]}' has changed since its run"
            else:
                records[cell.folder] = record
        except OutputError as error:
            reasons[cell.folder] = str(error).rstrip(".")
    reasons |= _attacked_otherwise(config, records, are_some_waiting)
    return {
        (cell.arm, cell.seed): Failure(f"{reason}: delete '{cell.folder}' to run it again", None)
        for cell in cells
        if (reason := reasons.get(cell.folder)) is not None
    }


def _attacked_otherwise(
    config: CompareConfig, records: Mapping[Path, RunRecord], are_some_waiting: bool
) -> dict[Path, str]:
    """Return a reason for each finished run that was attacked with other settings or resources than now."""
    if not any(record.model.attacks for record in records.values()):
        return {}
    if not are_some_waiting and not _have_mixed_attacks(records):
        return {}
    try:
        attacks = build_attacks(config)
    except EarlyRobustError:
        if are_some_waiting:
            raise
        return {}  # The page names the difference, and the resources may be on another machine.
    found = {}
    for folder, record in records.items():
        for attack, differing in other_settings(folder, record, attacks, config.used_precision).items():
            (name, (then, now)), *_ = differing.items()
            found[folder] = (
                f"{attack} attacked it with {setting_in_words(name, then)}, and has "
                f"{setting_in_words(name, now)} now"
            )
    return found


def _have_mixed_attacks(records: Mapping[Path, RunRecord]) -> bool:
    """Return whether one attack had different settings or resources on different runs."""
    first: dict[str, dict[str, Any]] = {}
    for folder, record in records.items():
        for name, attack in record.model.attacks.items():
            settings = attack.settings_in(folder)
            if differing_settings(first.setdefault(name, settings), settings):
                return True
    return False
