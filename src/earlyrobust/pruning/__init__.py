"""Importance coefficients on heads and neurons, and cutting the unimportant ones out of a model for good."""

from __future__ import annotations

from earlyrobust.pruning.autoclasses import is_cut
from earlyrobust.pruning.cut import prune
from earlyrobust.pruning.gates import ImportanceCoefficients, masked
from earlyrobust.pruning.refill import refill
from earlyrobust.pruning.zeroing import zero

__all__ = ["ImportanceCoefficients", "is_cut", "masked", "prune", "refill", "zero"]
