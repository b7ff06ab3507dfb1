"""The rules that decide when the masks of a search have settled: the paper's, and that of its release."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Settling = Literal["streak", "window"]

# Returns the distances of the head masks and of the neuron masks of two miniepochs; None if one has no mask.
Distances = Callable[[int, int], tuple[float, float] | None]


@dataclass(frozen=True)
class SettlingRule:
    """Decides from the distances between masks whether they have settled.

    Attributes:
        gamma: γ; two masks are close if their distance is below it.
        patience: Number of miniepochs that must follow the first of the settled masks.
        settling: "streak" if each mask must be close to the one before (the paper's text); "window" if each
            mask must be close to the first of them, which is then the ticket (the paper's release).
    """

    gamma: float
    patience: int
    settling: Settling = "streak"

    def streaks(self, count: int, distances: Distances) -> list[int]:
        """Return for each miniepoch the number of miniepochs for which the masks have been settled.

        Args:
            count: Number of miniepochs.
            distances: Returns the distances of the masks of two miniepochs, by their indices.

        Returns:
            Lengths in miniepochs. Those of windows end at `patience`.
        """

        def close(first: int, second: int) -> bool:
            found = distances(first, second)
            return found is not None and all(distance < self.gamma for distance in found)

        found: list[int] = []
        # For a streak, the index of its first mask, then that of the current mask. For a window, the indices
        # of the masks to which all later masks have been close, oldest first.
        starts: list[int] = []
        for place in range(count):
            if self.settling == "streak":
                starts = starts[:1] if starts and close(place - 1, place) else []
            else:
                recent = [start for start in starts if start >= place - self.patience]
                starts = [start for start in recent if close(start, place)]
            starts.append(place)
            found.append(place - starts[0])
        return found

    def span(self, streaks: Sequence[int]) -> tuple[int, int] | None:
        """Return the indices of the first settled mask, and of the mask that met the rule.

        Args:
            streaks: The length of the streak at each miniepoch.

        Returns:
            Both indices; None if the rule was never met.
        """
        met = next((place for place, streak in enumerate(streaks) if streak >= self.patience), None)
        return None if met is None else (met - self.patience, met)
