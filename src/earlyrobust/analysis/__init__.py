"""What records mean: differences between arms, faults of a run, reasons to doubt a number. No PyTorch."""

from __future__ import annotations
