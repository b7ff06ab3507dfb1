"""Measures classifiers: accuracy on clean text and under attack, calibration, and speed."""

from __future__ import annotations

from earlyrobust.evaluation.calibration import calibration_error
from earlyrobust.evaluation.clean import accuracy_of, evaluate_clean, predict
from earlyrobust.evaluation.latency import memory_of, time_in_turns
from earlyrobust.evaluation.robustness import (
    all_fingerprints,
    evaluate_under_attack,
    evaluate_victim,
    sample_examples,
)
from earlyrobust.evaluation.speed import flops_ratio, measure_speed
from earlyrobust.evaluation.temperature import fit_temperature

__all__ = [
    "accuracy_of",
    "all_fingerprints",
    "calibration_error",
    "evaluate_clean",
    "evaluate_under_attack",
    "evaluate_victim",
    "fit_temperature",
    "flops_ratio",
    "measure_speed",
    "memory_of",
    "predict",
    "sample_examples",
    "time_in_turns",
]
