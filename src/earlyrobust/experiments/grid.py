"""Running a comparison: finished cells are taken over, the others run, failures are noted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from earlyrobust.errors import OutputError
from earlyrobust.experiments.cells import Cell, plan_cells
from earlyrobust.experiments.config import CompareConfig
from earlyrobust.experiments.launchers import LAUNCHERS, Failure
from earlyrobust.pipeline.observer import Observer
from earlyrobust.results import COMPARISON_NAME, CellRecord, Comparison, ComparisonRecord, RunRecord


def compare(
    config: CompareConfig, observer: Observer | None = None, *, title: str = "", command: str = ""
) -> Comparison:
    """Run every arm under every seed, and record what came of it.

    Called again with the same options it goes on where it was interrupted; with further arms or seeds it
    runs only those. A cell that failed is tried again.

    Args:
        config: Resolved options.
        observer: Is told what happens.
        title: What is compared, in a line.
        command: What repeats it.

    Returns:
        The comparison, with the runs of all cells that did not fail.

    Raises:
        EarlyRobustError: If the options of an arm cannot be used, or the folder holds something else.
    """
    observer = observer or Observer()
    cells = plan_cells(config)
    folder = config.output_folder
    _check_folder(folder, config)
    failures: dict[tuple[str, int], Failure] = {}
    record = _record(config, cells, failures, title, command)
    record.save(folder)  # claims the folder
    waiting = _distinct(cell for cell in cells if not cell.is_finished)
    if done := len(cells) - len(waiting):
        observer.note(f"{done} of {len(cells)} cells are finished already.")
    for cell, failure in LAUNCHERS[config.launcher](waiting, config, observer):
        if failure is not None:
            for twin in cells:
                if twin.folder == cell.folder:
                    failures[twin.arm, twin.seed] = failure
            observer.note(f"Failed: {cell}: {failure.reason}")
            _record(config, cells, failures, title, command).save(folder)
    failures |= _on_other_data(cells, failures)
    _record(config, cells, failures, title, command).save(folder)
    return Comparison.load(folder)


def _distinct(cells: Any) -> list[Cell]:
    """Each run once: arms may come to the same."""
    return list({cell.folder: cell for cell in cells}.values())


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
    return ComparisonRecord(
        title=title or f"{', '.join(arms)} on {config.task or config.train_file}",
        arms=arms,
        baseline=str(config.baseline),
        config=config.shared,
        command=command,
        cells=[place(cell) for cell in cells],
    )


def _check_folder(folder: Path, config: CompareConfig) -> None:
    """Refuse a folder whose content would be lost.

    Raises:
        OutputError: If it holds another comparison or other files.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"'{folder}' is a file: choose another --output.")
    if not (folder / COMPARISON_NAME).exists():
        if any(folder.iterdir()):
            raise OutputError(f"'{folder}' holds other files: choose another --output, or empty it.")
        return
    old = ComparisonRecord.load(folder)
    seeds = range(config.seed, config.seed + config.seeds)
    lost = [arm for arm, options in old.arms.items() if config.arms.get(arm) != options]
    if old.config != config.shared or lost or not set(old.seeds) <= set(seeds):
        raise OutputError(
            f"'{folder}' holds another comparison: arms and seeds can be added to it, not changed or taken "
            "away; choose another --output."
        )


def _on_other_data(
    cells: Sequence[Cell], failures: dict[tuple[str, int], Failure]
) -> dict[tuple[str, int], Failure]:
    """Cells taken over from a time when the data was another, which cannot be compared with the others."""
    found: dict[tuple[str, int], Failure] = {}
    newest: dict[int, tuple[float, str]] = {}
    finished = [cell for cell in cells if cell.is_finished and (cell.arm, cell.seed) not in failures]
    prints = {cell.folder: RunRecord.load(cell.folder).data.fingerprint for cell in finished}
    for cell in finished:
        when = (cell.folder / "result.json").stat().st_mtime
        newest[cell.seed] = max(newest.get(cell.seed, (0.0, "")), (when, prints[cell.folder]))
    for cell in finished:
        if prints[cell.folder] != newest[cell.seed][1]:
            reason = f"its run is of older data than the others': delete '{cell.folder}' to run it again"
            found[cell.arm, cell.seed] = Failure(reason, None)
    return found
