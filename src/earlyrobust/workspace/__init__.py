"""Manages the folder, the progress and the interrupts of a job, and describes its machine."""

from __future__ import annotations
