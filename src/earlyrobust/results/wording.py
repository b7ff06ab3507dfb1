"""How sentences list things."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[str], last: str = "and") -> str:
    """Put names in a row, such as "a, b and c".

    Args:
        names: At least one.
        last: The word before the last of them.
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
