"""What is measured, with how sure one can be of it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# Names of measures, as tables show them; those of an attack are named by `of_attack`.
CLEAN, AUA, QUERIES, SECONDS = "Clean%", "Aua%", "#Query", "Training s"
SUCCESS, WORDS_CHANGED, SIMILARITY = "Attack success rate %", "Words changed %", "Similarity"
# Expected calibration error on the test split, in percent.
CALIBRATION = "ECE%"
# The accuracy of a classifier that always names the largest class; the mean F1 of the classes, in percent.
LARGEST_CLASS, MACRO_F1 = "Largest class %", "Macro-F1 %"
PARAMETERS, MEGABYTES, LATENCY = "Parameters", "MB", "Latency"
# Clean accuracy on the attacked examples alone, where answers can be compared one by one.
CLEAN_OF_ATTACKED = "Clean%, attacked"
# Beside those of each attack: the mean over all of them.
OVERALL = "mean"


def of_attack(measure: str, attack: str) -> str:
    """The name of an attack's measure."""
    return f"{measure}, {attack}"


@dataclass(frozen=True)
class Accuracy:
    """Share of examples that are classified right.

    Attributes:
        correct: Examples classified right.
        total: Examples in all.
        low: Lower end of the 95 % Wilson interval of the share.
        high: Upper end.
    """

    correct: int
    total: int
    low: float
    high: float

    @classmethod
    def of(cls, correct: int, total: int) -> Accuracy:
        """Count and interval from the two numbers."""
        from scipy.stats import binomtest

        interval = binomtest(correct, total).proportion_ci(method="wilson")
        return cls(correct, total, float(interval.low), float(interval.high))

    @property
    def value(self) -> float:
        """Correct / total."""
        return self.correct / self.total

    def beats(self, chance: float) -> bool:
        """Whether the whole interval is above a share, such as that of the largest class."""
        return self.low > chance


@dataclass(frozen=True)
class Mean:
    """Mean of a measurement over examples.

    Attributes:
        value: The mean.
        low: Lower end of its 95 % interval (Student's t).
        high: Upper end.
        count: Examples.
    """

    value: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float], least: float = 0.0, most: float = math.inf) -> Mean | None:
        """Mean and interval of some values; None of none.

        Args:
            values: The values.
            least: What none can be below, so the interval begins there at the lowest.
            most: What none can be above, so the interval ends there at the highest.
        """
        from scipy.stats import t

        if not values:
            return None
        value = statistics.fmean(values)
        spread = 0.0
        if len(values) > 1:
            error = statistics.stdev(values) / math.sqrt(len(values))
            spread = float(t.ppf(0.975, len(values) - 1)) * error
        return cls(value, max(least, value - spread), min(most, value + spread), len(values))
