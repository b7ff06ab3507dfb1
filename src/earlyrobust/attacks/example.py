"""A labelled text to attack."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled text to attack.

    Attributes:
        columns: The text, or the two texts of a pair.
        label: Index of its class.
        seed: Seed of the random choices that the attack makes on this text.
        index: Position of the example in the data set or list that it comes from.
    """

    columns: tuple[str, ...]
    label: int
    seed: int = 0
    index: int = 0
