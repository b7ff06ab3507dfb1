"""Statistics for the difference between two classifiers: exact tests, intervals, Holm's correction."""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from earlyrobust.statistics.measures import Accuracy

Key = TypeVar("Key", bound=Hashable)

# A difference is significant if its p after Holm's correction is smaller.
SIGNIFICANT = 0.05
# Resamples of the bootstrap and its seed. The seed is fixed, so the same records give the same interval.
RESAMPLES, _BOOTSTRAP_SEED = 10_000, 0
_ENDS = (0.025, 0.975)


def sign_flip_p(sums: NDArray[np.int64]) -> float:
    """Return the two-sided p of the exact sign-flip test on paired differences.

    The null hypothesis says that the two classifiers are exchangeable on every example: the sum of an
    example's differences is as likely to be d as -d. The test considers all ways to set the signs of the
    sums. The p is the share of them whose total is at least as far from 0 as the observed total. If every sum
    is -1, 0 or 1, this is McNemar's exact test.

    Args:
        sums: For each distinct example, the sum of its differences, shape (examples,).
    """
    from scipy.stats import binom

    sizes, times = np.unique(np.abs(sums[sums != 0]), return_counts=True)
    # Probability of each sum of the sizes with a plus sign. The total is twice this sum, minus all sizes.
    chances = np.ones(1)
    for size, count in zip(sizes, times, strict=True):
        plus = np.zeros(size * count + 1)
        plus[::size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chances = np.convolve(chances, plus)
    totals = 2 * np.arange(len(chances)) - int(sizes @ times)
    return min(1.0, float(chances[np.abs(totals) >= abs(int(sums.sum()))].sum()))


def bootstrap_interval(sums: NDArray[np.int64], answers: NDArray[np.int64]) -> tuple[float, float]:
    """Return the 95 % percentile interval of a mean difference, by a bootstrap of the examples.

    Each resample draws distinct examples with replacement, as many as the sample has, each with all its
    answers. All examples with the same sum and the same number of answers form one kind. The numbers of draws
    of the kinds are multinomial. So drawing kinds gives the same distribution in a fraction of the time.

    Args:
        sums: For each distinct example, the sum of its differences, shape (examples,).
        answers: For each distinct example, the number of its differences, shape (examples,).

    Returns:
        Both ends of the interval, for the mean of a single difference.
    """
    kinds, counts = np.unique(np.stack([sums, answers]), axis=1, return_counts=True)
    random = np.random.default_rng(_BOOTSTRAP_SEED)
    drawn = random.multinomial(len(sums), counts / len(sums), size=RESAMPLES)
    low, high = np.quantile((drawn @ kinds[0]) / (drawn @ kinds[1]), _ENDS)
    return float(low), float(high)


@functools.lru_cache(maxsize=2)
def bootstrap_counts(examples: int) -> NDArray[np.uint16]:
    """Return how often each example is drawn in each resample of a bootstrap, shape (resamples, examples).

    The result is cached, because drawing takes longer than the rest of a bootstrap. Do not change it.
    """
    random = np.random.default_rng(_BOOTSTRAP_SEED)
    drawn = random.multinomial(examples, np.full(examples, 1 / examples), size=RESAMPLES)
    return drawn.astype(np.uint16)


def bootstrap_ends(resampled: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return both ends of the 95 % percentile interval of a difference, and its two-sided p.

    Args:
        resampled: The difference in each resample, shape (resamples,).
    """
    low, high = np.quantile(resampled, _ENDS)
    beyond = min(int((resampled <= 0).sum()), int((resampled >= 0).sum()))
    return float(low), float(high), min(1.0, 2 * (beyond + 1) / (len(resampled) + 1))


def two_way(
    differences: NDArray[np.float64], seeds: NDArray[np.int64], examples: NDArray[np.int64]
) -> tuple[float, float]:
    """Return half of the 95 % interval of a mean difference, and its p; both cover seeds and examples.

    The variance is that of two-way clustering (Cameron, Gelbach and Miller, 2011): the variance between seeds
    plus the variance between examples, minus the variance that both include. It is never smaller than one of
    these two variances. The interval and the two-sided p are Student's. The degrees of freedom are the number
    of seeds minus one.

    Args:
        differences: One difference for each seed and example, shape (rows,).
        seeds: Number of the seed of each row, from 0, shape (rows,).
        examples: Number of the distinct example of each row, from 0, shape (rows,).

    Returns:
        Half of the width of the interval, and the p.
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
    """Return the variance of a mean over rows, from the sum of each cluster's deviations from the mean."""
    clusters = len(sums)
    return float(clusters / (clusters - 1) * (sums**2).sum() / rows**2) if clusters > 1 else 0.0


def unpaired(share: float, total: int, other: float, other_total: int) -> tuple[float, float, float]:
    """Compare two shares by their counts alone, without the answers to single examples.

    Both arms answer the same examples, and an example that is hard for one arm tends to be hard for the
    other. So an unpaired comparison tends to be too careful.

    Args:
        share: Share of the first arm, from 0 to 1.
        total: Number of examples of the first arm.
        other: Share of the second arm, from 0 to 1.
        other_total: Number of examples of the second arm.

    Returns:
        Both ends of the 95 % interval of `share` minus `other` (Newcombe's, from Wilson's intervals), and the
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
        more: Number of examples that only the first attack breaks.
        fewer: Number of examples that only the second attack breaks.

    Returns:
        The probability that the first attack breaks at least `more` of these `more + fewer` examples, if both
        attacks are equally likely to break each of them; 1 without such examples.
    """
    from scipy.stats import binomtest

    return float(binomtest(more, more + fewer, alternative="greater").pvalue) if more + fewer else 1.0


def holm(raw: Mapping[Key, float]) -> dict[Key, float]:
    """Correct the p of several tests for the number of tests, by the method of Holm (1979).

    The probability to reject at least one true null hypothesis is at most the level of the tests, whichever
    hypotheses are true.

    Args:
        raw: The p of each test.

    Returns:
        The adjusted p of each test.
    """
    adjusted: dict[Key, float] = {}
    largest = 0.0
    for place, key in enumerate(sorted(raw, key=lambda key: raw[key])):
        largest = max(largest, min(1.0, (len(raw) - place) * raw[key]))
        adjusted[key] = largest
    return adjusted
