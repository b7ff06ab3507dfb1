"""What runs the cells of a comparison, one file each; one line in `LAUNCHERS` to add one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from earlyrobust.experiments.cells import Cell
from earlyrobust.experiments.launchers.base import Failure
from earlyrobust.experiments.launchers.cluster import check_ray, run_on_ray
from earlyrobust.experiments.launchers.local import run_here
from earlyrobust.options.comparison import CompareConfig
from earlyrobust.workspace.observer import Observer

__all__ = ["LAUNCHERS", "Failure", "Launcher", "check_ray"]

# Yields each cell as it ends, with why it failed if it did.
Launcher = Callable[[Sequence[Cell], CompareConfig, Observer], Iterator[tuple[Cell, Failure | None]]]

LAUNCHERS: dict[str, Launcher] = {"local": run_here, "ray": run_on_ray}
