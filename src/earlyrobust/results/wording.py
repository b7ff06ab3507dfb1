"""Writes lists and durations for sentences."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[str], last: str = "and") -> str:
    """Join names to a list, such as "a, b and c".

    Args:
        names: At least one name.
        last: The word before the last name.
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"


def duration(seconds: float) -> str:
    """Write a duration in seconds; from one minute on, in minutes and seconds."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"
