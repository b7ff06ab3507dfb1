"""Analyses records: differences between arms, faults of a run, reasons to doubt a number. Without PyTorch."""

from __future__ import annotations
