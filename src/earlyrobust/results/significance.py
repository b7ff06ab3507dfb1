"""How sure one can be of a difference between two classifiers: exact tests, intervals, Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from earlyrobust.results.measures import Accuracy

Key = TypeVar("Key", bound=Hashable)

# A difference with a smaller p, after Holm's correction, is told from chance.
SIGNIFICANT = 0.05
# Resamples of the bootstrap, and where its random numbers begin: the same records give the same interval.
RESAMPLES, _BOOTSTRAP_SEED = 10_000, 0
_ENDS = (0.025, 0.975)


def sign_flip_p(sums: NDArray[np.int64]) -> float:
    """Two-sided p of the exact test that flips the signs of paired differences.

    The null hypothesis says that the two classifiers are exchangeable on every example: the sum of an
    example's differences is as likely to be d as -d. The p is the share of all ways to set the signs that
    leave a total as far from 0 as the one seen, or farther. If every sum is -1, 0 or 1, this is the exact
    test of McNemar.

    Args:
        sums: For each distinct example its differences added up, (examples,).
    """
    from scipy.stats import binom

    sizes, times = np.unique(np.abs(sums[sums != 0]), return_counts=True)
    # Chances of each sum of the sizes that get a plus; the total is twice that, less the sum of all sizes.
    chances = np.ones(1)
    for size, count in zip(sizes, times, strict=True):
        plus = np.zeros(size * count + 1)
        plus[::size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chances = np.convolve(chances, plus)
    totals = 2 * np.arange(len(chances)) - int(sizes @ times)
    return min(1.0, float(chances[np.abs(totals) >= abs(int(sums.sum()))].sum()))


def bootstrap_interval(sums: NDArray[np.int64], answers: NDArray[np.int64]) -> tuple[float, float]:
    """The 95 % percentile interval of a mean difference, by a bootstrap of the examples.

    Each resample draws as many distinct examples as there are, with replacement, each with all its answers.
    All examples with the same sum and number of answers count as one kind, and how often each kind is drawn
    is
    multinomial: this is the same distribution, at a fraction of the time.

    Args:
        sums: For each distinct example its differences added up, (examples,).
        answers: The number of differences that were added up, (examples,).

    Returns:
        Both ends, for the mean of a single difference.
    """
    kinds, counts = np.unique(np.stack([sums, answers]), axis=1, return_counts=True)
    random = np.random.default_rng(_BOOTSTRAP_SEED)
    drawn = random.multinomial(len(sums), counts / len(sums), size=RESAMPLES)
    low, high = np.quantile((drawn @ kinds[0]) / (drawn @ kinds[1]), _ENDS)
    return float(low), float(high)


def two_way(
    differences: NDArray[np.float64], seeds: NDArray[np.int64], examples: NDArray[np.int64]
) -> tuple[float, float]:
    """Half of the 95 % interval of a mean difference, and its p, that cover both the seeds and the examples.

    The variance is that of two-way clustering (Cameron, Gelbach and Miller, 2011): the one between seeds plus
    the one between examples, less the one that both count. It is never taken to be smaller than either. The
    interval and the two-sided p are Student's, with one degree of freedom less than there are seeds.

    Args:
        differences: One for each seed and example, (rows,).
        seeds: Number of the seed of each, from 0, (rows,).
        examples: Number of the distinct example of each, from 0, (rows,).
    """
    from scipy.stats import t

    mean = differences.mean()
    left = differences - mean
    by_seed, by_example = (
        _variance(np.bincount(groups, weights=left).astype(np.float64), len(left))
        for groups in (seeds, examples)
    )
    variance = max(by_seed + by_example - _variance(left, len(left)), by_seed, by_example)
    freedom = int(seeds.max())
    if variance <= 0:
        return 0.0, 1.0 if mean == 0 else 0.0
    error = math.sqrt(variance)
    return float(t.ppf(_ENDS[1], freedom) * error), float(2 * t.sf(abs(mean) / error, freedom))


def _variance(sums: NDArray[np.float64], rows: int) -> float:
    """Variance of a mean over rows, from what the rows of each cluster add up to beyond the mean."""
    clusters = len(sums)
    return float(clusters / (clusters - 1) * (sums**2).sum() / rows**2) if clusters > 1 else 0.0


def unpaired(share: float, total: int, other: float, other_total: int) -> tuple[float, float, float]:
    """Compare two shares of which only the counts are known, not the answers to single examples.

    Both arms answer the same examples, and what is hard for one tends to be hard for the other. So an
    unpaired comparison is, if anything, too careful.

    Args:
        share: Share of the one, from 0 to 1.
        total: Examples that it is a share of.
        other: Share of the other.
        other_total: Examples that this is a share of.

    Returns:
        Both ends of the 95 % interval of the difference (Newcombe's, of Wilson's intervals), and the
        two-sided p of Fisher's exact test.
    """
    from scipy.stats import fisher_exact

    one, two = Accuracy.of(round(share * total), total), Accuracy.of(round(other * other_total), other_total)
    low = math.hypot(share - one.low, two.high - other)
    high = math.hypot(one.high - share, other - two.low)
    table = [[one.correct, total - one.correct], [two.correct, other_total - two.correct]]
    return share - other - low, share - other + high, float(fisher_exact(table).pvalue)


def breaks_more_p(more: int, fewer: int) -> float:
    """Test whether one of two attacks breaks more examples than the other (McNemar's exact one-sided test).

    Args:
        more: Examples that only the first attack breaks.
        fewer: Examples that only the second one breaks.

    Returns:
        The probability of at least `more` of both together if either attack were equally likely to be the one
        that breaks an example; 1 where there is no such example.
    """
    from scipy.stats import binomtest

    return float(binomtest(more, more + fewer, alternative="greater").pvalue) if more + fewer else 1.0


def holm(raw: Mapping[Key, float]) -> dict[Key, float]:
    """Correct the p of several tests for their number, by the method of Holm (1979).

    Whatever hypotheses are true, the chance that any of these is rejected at a level is at most that level.

    Args:
        raw: The p of each test.

    Returns:
        The adjusted p of each.
    """
    adjusted: dict[Key, float] = {}
    largest = 0.0
    for place, key in enumerate(sorted(raw, key=lambda key: raw[key])):
        largest = max(largest, min(1.0, (len(raw) - place) * raw[key]))
        adjusted[key] = largest
    return adjusted
