"""When the masks of a search count as settled: by the paper's rule, or by the rule of its release."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Settling = Literal["streak", "window"]

# The distances of the head masks and of the neuron masks of two miniepochs; None where one has no mask.
Distances = Callable[[int, int], tuple[float, float] | None]


@dataclass(frozen=True)
class SettlingRule:
    """Decides from the distances between masks whether they have settled.

    Attributes:
        gamma: γ, two masks are close if their distance is below it.
        patience: Number of miniepochs that must follow the first of the settled masks.
        settling: "streak" if each mask must be close to the one before (the paper's text); "window" if each
            must be close to the first of them, which is then the mask that is drawn (the paper's release).
    """

    gamma: float
    patience: int
    settling: Settling = "streak"

    def streaks(self, count: int, distances: Distances) -> list[int]:
        """For each miniepoch, for how many miniepochs the masks have been settled by then.

        Args:
            count: Number of miniepochs.
            distances: Compares the masks of two of them, by their places.

        Returns:
            Lengths in miniepochs. Those of windows end at `patience`.
        """

        def close(first: int, second: int) -> bool:
            found = distances(first, second)
            return found is not None and all(distance < self.gamma for distance in found)

        found: list[int] = []
        # Places of the masks that all later masks have been close to, oldest first.
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
        """The places of the first of the settled masks, and of the mask by which the rule was met.

        Args:
            streaks: Of each miniepoch.

        Returns:
            None where the rule was never met.
        """
        met = next((place for place, streak in enumerate(streaks) if streak >= self.patience), None)
        return None if met is None else (met - self.patience, met)
