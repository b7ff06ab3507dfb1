"""Runs a comparison: reuses finished cells, runs the other cells, and records failures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from earlyrobust import processes
from earlyrobust.analysis.comparison import Comparison
from earlyrobust.errors import ConfigError, OutputError
from earlyrobust.experiments.cells import Cell, plan_cells
from earlyrobust.experiments.launchers import LAUNCHERS, Failure, check_ray
from earlyrobust.options.comparison import CompareConfig
from earlyrobust.pipeline.attacks import build_attacks
from earlyrobust.pipeline.original_data import digest_of_files, has_other_model
from earlyrobust.pipeline.splits import load_data
from earlyrobust.results import COMPARISON_NAME, CellRecord, ComparisonRecord, RunRecord
from earlyrobust.storage import check_can_be_made, content_of, locked, remove_leftovers
from earlyrobust.workspace.finding import fingerprints_of
from earlyrobust.workspace.folder import close_again, what_matters
from earlyrobust.workspace.identity import differences, told
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
    failures = _spoilt(cells, finished if waiting else [])
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

    arms = {name: dict(options) for name, options in config.arms.items()}
    named = ", ".join(arms) if len(arms) <= MOST_NAMED else f"{len(arms)} methods"
    return ComparisonRecord(
        title=title or f"{named} on {config.task or config.train_file}",
        arms=arms,
        baseline=str(config.baseline),
        config=config.shared,
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
    lost = [arm for arm, options in old.arms.items() if config.arms.get(arm) != options]
    then, now = what_matters(old.config), what_matters(config.shared)
    if then != now or lost or not set(old.seeds) <= set(seeds):
        differing = told(differences(then, now)) or ", ".join(f"the arm {arm}" for arm in lost) or "the seeds"
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


def _spoilt(cells: Sequence[Cell], finished: Sequence[Cell]) -> dict[tuple[str, int], Failure]:
    """Return failures for finished cells whose data or model has changed, or whose record cannot be read."""
    reasons: dict[Path, str] = {}
    now: dict[int, str] = {}
    for cell in finished:
        try:
            then = RunRecord.load(cell.folder).data.fingerprint
            if cell.seed not in now:
                now[cell.seed] = load_data(cell.config).fingerprint
            if then != now[cell.seed]:
                reasons[cell.folder] = "its run used other data than the current data"
            elif has_other_model(cell.folder, cell.config.model):
                reasons[cell.folder] = "its run used another model than the current model"
        except OutputError as error:
            reasons[cell.folder] = str(error).rstrip(".")
    return {
        (cell.arm, cell.seed): Failure(f"{reason}: delete '{cell.folder}' to run it again", None)
        for cell in cells
        if (reason := reasons.get(cell.folder)) is not None
    }
