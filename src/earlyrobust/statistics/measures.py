"""Accuracies and means with their 95 % intervals, and the names of all measures."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Names of measures in tables. `of_attack` adds the name of an attack.
CLEAN, AUA, QUERIES, SECONDS = "Clean%", "Aua%", "#Query", "Training s"
SUCCESS, WORDS_CHANGED, SIMILARITY = "Attack success rate %", "Words changed %", "Similarity"
# The lowest accuracy under attack of any class, in percent.
WEAKEST = "Weakest class Aua%"
# Expected calibration error on the test split, in percent.
CALIBRATION = "ECE%"
# Accuracy of a classifier that always names the largest class, and mean F1 over the classes, both in percent.
LARGEST_CLASS, MACRO_F1 = "Largest class %", "Macro-F1 %"
PARAMETERS, MEGABYTES, LATENCY = "Parameters", "MB", "Latency"
# Clean accuracy on the attacked examples alone, where answers can be compared one by one.
CLEAN_OF_ATTACKED = "Clean%, attacked"
# Stands for the mean over all attacks, in place of the name of an attack.
OVERALL = "mean"


def of_attack(measure: str, attack: str) -> str:
    """Return the name of a measure under an attack, such as "Aua%, textfooler"."""
    return f"{measure}, {attack}"


def wilson(share: float, total: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share of `total` examples; the share need not be a count."""
    z = statistics.NormalDist().inv_cdf(0.975)
    centre = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + (z / (2 * total)) ** 2)
    low, high = ((centre + end) / (1 + z * z / total) for end in (-half, half))
    # At a share of 0 or 1 that end of the interval is the share itself, which rounding misses.
    return min(max(low, 0.0), share), max(min(high, 1.0), share)


@dataclass(frozen=True)
class Accuracy:
    """The share of examples that are classified right, with its 95 % interval.

    Attributes:
        correct: Number of examples that are classified right.
        total: Number of all examples.
        low: Lower end of the 95 % Wilson interval of the share, from 0 to 1.
        high: Upper end of the interval, from 0 to 1.
    """

    correct: int
    total: int
    low: float
    high: float

    def __post_init__(self) -> None:
        """Raise `ValueError` for numbers that no accuracy can have."""
        if not 0 <= self.correct <= self.total:
            raise ValueError("an accuracy counts more right answers than examples, or fewer than none")

    @classmethod
    def of(cls, correct: int, total: int) -> Accuracy:
        """Compute an accuracy and its interval.

        Args:
            correct: Number of examples that are classified right.
            total: Number of all examples.
        """
        from scipy.stats import binomtest

        interval = binomtest(correct, total).proportion_ci(method="wilson")
        return cls(correct, total, float(interval.low), float(interval.high))

    @property
    def value(self) -> float:
        """The share of right answers, from 0 to 1."""
        return self.correct / self.total

    def beats(self, chance: float) -> bool:
        """Return whether the whole interval is above a share, such as the share of the largest class."""
        return self.low > chance


def depend_on_classes(recalls: Iterable[tuple[int, int]]) -> bool:
    """Return whether answers depend on the right classes: whether the mean recall is above that of guesses.

    Answers that do not depend on the class have a mean recall of 1 / classes, however often they name each
    class. A classifier with balanced class weights may pass although it is less accurate than always naming
    the largest class.

    Args:
        recalls: For each class, its number of right answers and its number of examples.

    Returns:
        Whether the 95 % interval (normal approximation) is above 1 / classes; False for fewer than two
        classes with examples.
    """
    seen = [(right, total) for right, total in recalls if total]
    if len(seen) < 2:
        return False
    mean = statistics.fmean(right / total for right, total in seen)
    # Two right and two wrong examples more in each class, as Agresti and Coull add them: without them, the
    # variance of a recall near 0 or 1 is too small.
    shares = [((right + 2) / (total + 4), total) for right, total in seen]
    variance = sum(share * (1 - share) / total for share, total in shares) / len(seen) ** 2
    return mean - statistics.NormalDist().inv_cdf(0.975) * math.sqrt(variance) > 1 / len(seen)


@dataclass(frozen=True)
class Mean:
    """The mean of a measurement, with its 95 % interval.

    Attributes:
        value: The mean.
        low: Lower end of the 95 % interval (Student's t, unless the maker of the mean says otherwise).
        high: Upper end of the interval.
        count: Number of values.
    """

    value: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float], least: float = 0.0, most: float = math.inf) -> Mean | None:
        """Compute the mean of some values and its Student interval.

        Args:
            values: The values.
            least: Smallest possible value, which bounds the interval from below.
            most: Largest possible value, which bounds the interval from above.

        Returns:
            The mean; None without values. A single value has an interval of width 0.
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
