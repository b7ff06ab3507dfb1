"""Experiments: grids of runs under one budget, and those of the paper.

The names below are looked up on first use, so that options can be checked before PyTorch is imported.
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
