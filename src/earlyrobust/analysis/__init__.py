"""Analyses records, without PyTorch: differences between arms, faults of a run, reasons to doubt a number."""

from __future__ import annotations
