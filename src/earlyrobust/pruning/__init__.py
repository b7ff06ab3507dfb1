"""Importance coefficients on heads and neurons, and functions that cut unimportant ones out of a model."""

from __future__ import annotations

from earlyrobust.pruning.autoclasses import is_cut
from earlyrobust.pruning.coefficients import ImportanceCoefficients, masked
from earlyrobust.pruning.cut import prune
from earlyrobust.pruning.cut_config import dense_config
from earlyrobust.pruning.reinitialize import reinitialize_pruned
from earlyrobust.pruning.to_dense import to_dense
from earlyrobust.pruning.zeroing import zero_weights

__all__ = [
    "ImportanceCoefficients",
    "dense_config",
    "is_cut",
    "masked",
    "prune",
    "reinitialize_pruned",
    "to_dense",
    "zero_weights",
]
