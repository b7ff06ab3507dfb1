"""Holds the code that all launchers share."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from earlyrobust.errors import explain
from earlyrobust.experiments.cells import Cell
from earlyrobust.options.run import RunConfig
from earlyrobust.pipeline import run
from earlyrobust.workspace.observer import Observer


@dataclass(frozen=True)
class Failure:
    """The failure of a cell.

    Attributes:
        reason: The reason, in one sentence.
        trace: The traceback of an unexpected error; None for an error that the user can correct.
    """

    reason: str
    trace: str | None


def run_cell(config: RunConfig, threads: int | None, observer: Observer | None = None) -> Failure | None:
    """Run one cell.

    Args:
        config: The options of its run.
        threads: Number of threads of PyTorch; None to leave it unchanged. The last digits of sums depend on
            it.
        observer: Receives progress and messages; None to discard them.

    Returns:
        The failure; None if the cell did not fail.
    """
    with _threads(threads):
        try:
            run(config, observer)
        except Exception as error:  # After any error, the other cells still run.
            if (sentence := explain(error)) is not None:
                return Failure(sentence, None)
            return Failure(f"{type(error).__name__}: {error}", traceback.format_exc())
    return None


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Estimate:
    """An estimate of the remaining time, from the mean time of the finished cells.

    Args:
        cells: All cells to run.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._left = len(cells)
        self._ended = 0
        self._began = time.perf_counter()

    def end_one(self) -> None:
        """Count a cell that has ended."""
        self._left -= 1
        self._ended += 1

    def __str__(self) -> str:
        if not self._ended:
            return f"{self._left} to go"
        minutes = (time.perf_counter() - self._began) / self._ended * self._left / 60
        return f"{self._left} to go, about {max(1, round(minutes))} min"
