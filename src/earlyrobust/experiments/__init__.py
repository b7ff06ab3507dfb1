"""Runs experiments: grids of runs under one budget, and the experiments of the paper.

The names below are loaded when they are first used, so that options are checked before PyTorch is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earlyrobust.lazy import lazily

if TYPE_CHECKING:
    from earlyrobust.experiments.grid import compare
    from earlyrobust.experiments.paper import EXPERIMENTS, Experiment
    from earlyrobust.experiments.reproduction import reproduce

__all__ = ["EXPERIMENTS", "Experiment", "compare", "reproduce"]

_HOMES = {
    "compare": "grid",
    "EXPERIMENTS": "paper",
    "Experiment": "paper",
    "reproduce": "reproduction",
}

__getattr__ = lazily(__name__, _HOMES)
