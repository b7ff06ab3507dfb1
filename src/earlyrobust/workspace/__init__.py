"""The place of a job: its folder, its progress, its interrupts, its machine."""

from __future__ import annotations
