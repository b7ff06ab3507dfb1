"""Runs cells in this process, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from earlyrobust.experiments.cells import Cell
from earlyrobust.experiments.launchers.base import Estimate, Failure, run_cell
from earlyrobust.options.comparison import CompareConfig
from earlyrobust.workspace.observer import Observer


def run_here(
    cells: Sequence[Cell], config: CompareConfig, observer: Observer
) -> Iterator[tuple[Cell, Failure | None]]:
    """Run cells one after the other.

    Args:
        cells: The cells.
        config: The options of the comparison, which set the threads of a cell.
        observer: Receives progress and messages of each run.

    Yields:
        Each cell when it ends, with its failure or None.
    """
    estimate = Estimate(cells)
    for cell in cells:
        observer.note(f"{cell} ({estimate})")
        failure = run_cell(cell.config, config.cell_cpus, observer)
        estimate.end_one()
        yield cell, failure
