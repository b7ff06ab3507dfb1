"""Lists the launchers, which run the cells of a comparison; each is a file and a line in `LAUNCHERS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from earlyrobust.experiments.cells import Cell
from earlyrobust.experiments.launchers.base import Failure
from earlyrobust.experiments.launchers.cluster import check_ray, run_on_ray
from earlyrobust.experiments.launchers.local import run_here
from earlyrobust.options.comparison import CompareConfig
from earlyrobust.workspace.observer import Observer

__all__ = ["LAUNCHERS", "Failure", "Launcher", "check_ray"]

# Yields each cell when it ends, with its failure or None.
Launcher = Callable[[Sequence[Cell], CompareConfig, Observer], Iterator[tuple[Cell, Failure | None]]]

LAUNCHERS: dict[str, Launcher] = {"local": run_here, "ray": run_on_ray}
