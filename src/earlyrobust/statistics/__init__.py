"""Accuracies and means with their intervals, and tests of the difference between two classifiers."""

from __future__ import annotations

from earlyrobust.statistics.measures import Accuracy, Mean

__all__ = ["Accuracy", "Mean"]
