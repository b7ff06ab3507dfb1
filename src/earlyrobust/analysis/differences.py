"""Differences between two arms of a comparison, with intervals and tests.

The method depends on the data. Journals give answers to single examples, which are compared one by one.
Without them, three or more seeds are compared by one number for each seed, and fewer seeds by their counts.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from earlyrobust.analysis.answers import Answers, Paired, pair
from earlyrobust.analysis.comparison import Comparison
from earlyrobust.analysis.weakest import bootstrap_weakest, weakest_class
from earlyrobust.results.run import RunRecord
from earlyrobust.statistics.measures import (
    AUA,
    CLEAN,
    CLEAN_OF_ATTACKED,
    OVERALL,
    QUERIES,
    WEAKEST,
    Mean,
    of_attack,
)
from earlyrobust.statistics.significance import bootstrap_interval, sign_flip_p, two_way, unpaired

# Fewer seeds have no interval over seeds, because Student's interval for two values is too wide to be useful.
LEAST_SEEDS = 3
# From this number of seeds on, the interval covers the choice of the seeds, too.
ENOUGH_SEEDS = 5

Basis = Literal["examples", "examples and seeds", "seeds", "counts"]


@dataclass(frozen=True)
class Difference:
    """A measure of one arm minus the same measure of another arm, under the same seeds.

    Attributes:
        mean: Mean over the seeds, with its 95 % interval; percentages are from -100 to 100.
        p: Two-sided p of the test that goes with `basis`; None if nothing can be tested.
        basis: The data and method of interval and test. "examples": the answers to each attacked example,
            with a bootstrap of the examples and an exact test. "examples and seeds": the same answers, and
            their variance between seeds. "seeds": one number for each seed, with Student's paired t-test.
            "counts": the counts of right answers, unpaired.
        seeds: Number of seeds that the arms share.
        adjusted: The p after Holm's correction for all tests of a comparison; None if it was not tested.
        examples: Number of distinct examples that were compared one by one; None if none were.
        spread: Standard deviation of the difference between seeds; None for fewer than three seeds.
        same: Whether both arms give the same answer to every compared example.
        reason: Reason why the arms could not be compared example by example; None if they were, or if
            journals do not hold this measure.
    """

    mean: Mean
    p: float | None
    basis: Basis
    seeds: int
    adjusted: float | None = None
    examples: int | None = None
    spread: float | None = None
    same: bool = False
    reason: str | None = None


@dataclass(frozen=True)
class Share:
    """The share of right answers of one run.

    Attributes:
        value: The share, from 0 to 1.
        total: Number of examples.
    """

    value: float
    total: int


def share(run: RunRecord, name: str, attacks: Sequence[str]) -> Share | None:
    """Return the share of right answers that belongs to a measure of a run.

    Args:
        run: The run.
        name: Name of the measure.
        attacks: All attacks of the comparison.

    Returns:
        The share; None if the measure is not a share, or if the run lacks an attack of this measure. For a
        mean over attacks, `total` is the number of examples of one attack, because all attacks are made on
        the same examples.
    """
    if name == CLEAN:
        return Share(run.model.test.value, run.model.test.total)
    records = run.model.attacks
    if name == CLEAN_OF_ATTACKED:
        found = [record.clean for record in records.values()][:1]
    elif name in (of_attack(AUA, attack) for attack in attacks):
        attack = name.removeprefix(of_attack(AUA, ""))
        found = [records[attack].under_attack] if attack in records else []
    elif name == of_attack(AUA, OVERALL) and attacks and set(attacks) <= set(records):
        found = [records[attack].under_attack for attack in attacks]
    else:
        found = []
    if not found:
        return None
    return Share(statistics.fmean(one.value for one in found), min(one.total for one in found))


def difference(comparison: Comparison, arm: str, other: str, name: str) -> Difference | None:
    """Compare two arms by a measure.

    Args:
        comparison: The comparison.
        arm: Name of the first arm.
        other: Name of the second arm.
        name: Name of the measure: a share of right answers, that of the weakest class, or an attack's #Query.

    Returns:
        The first arm minus the second; None if no seed has the measure for both arms, or if the attacks on
        both had different settings or resources.
    """
    mine, theirs = comparison.runs[arm], comparison.runs[other]
    attacks = comparison.attacks
    if not comparison.are_attacked_alike(arm, other, _attacks_of(name, attacks)):
        return None
    if name == WEAKEST:
        return _of_weakest(comparison, arm, other)
    if name.startswith(QUERIES):
        return _of_queries(mine, theirs, name.removeprefix(of_attack(QUERIES, "")))
    shares = {
        seed: (one, two)
        for seed in sorted(mine.keys() & theirs.keys())
        if (one := share(mine[seed], name, attacks)) and (two := share(theirs[seed], name, attacks))
    }
    if not shares:
        return None
    if name == CLEAN:
        return _of_shares(shares, None)
    if name == of_attack(AUA, OVERALL):
        asked = attacks
    elif name == CLEAN_OF_ATTACKED:
        asked = [attack for attack in attacks if all(attack in mine[seed].model.attacks for seed in shares)][
            :1
        ]
    else:
        asked = [name.removeprefix(of_attack(AUA, ""))]
    paired = pair(
        _answers(comparison, arm, asked, shares),
        _answers(comparison, other, asked, shares),
        clean=name == CLEAN_OF_ATTACKED,
    )
    return _of_shares(shares, paired) if isinstance(paired, str) else _of_answers(paired)


def _attacks_of(name: str, attacks: Sequence[str]) -> Sequence[str]:
    """Return the attacks whose results a measure contains."""
    if name in (WEAKEST, of_attack(AUA, OVERALL)):
        return attacks
    return [attack for attack in attacks if name in (of_attack(AUA, attack), of_attack(QUERIES, attack))]


def _answers(
    comparison: Comparison, arm: str, attacks: Sequence[str], seeds: Mapping[int, object]
) -> dict[int, list[Answers | str]]:
    return {seed: [comparison.answers(arm, seed, attack) for attack in attacks] for seed in seeds}


def _of_answers(paired: Paired) -> Difference:
    """Compare two arms example by example.

    The exact test and the bootstrap cover the choice of the examples, not the choice of the trained models.
    Answers to one example under several seeds or attacks are correlated. So the bootstrap resamples distinct
    examples, and the test flips the signs of distinct examples. From five seeds on, the interval also covers
    the choice of the seeds. Then p is the larger of the exact p and the p of the interval.
    """
    each = paired.differences / paired.attacks
    seeds = int(paired.seeds.max()) + 1
    by_seed = [float(each[paired.seeds == seed].mean()) for seed in range(seeds)]
    sums = np.bincount(paired.examples, paired.differences).round().astype(np.int64)
    p, value = sign_flip_p(sums), float(each.mean())
    if seeds < ENOUGH_SEEDS:
        low, high = bootstrap_interval(sums, np.bincount(paired.examples) * paired.attacks)
    else:
        half, of_both = two_way(each, paired.seeds, paired.examples)
        low, high, p = value - half, value + half, max(p, of_both)
    return Difference(
        Mean(100 * value, 100 * low, 100 * high, seeds),
        p,
        "examples" if seeds < ENOUGH_SEEDS else "examples and seeds",
        seeds,
        examples=len(sums),
        spread=_spread([100 * gap for gap in by_seed]),
        same=paired.same,
    )


def _of_shares(shares: Mapping[int, tuple[Share, Share]], reason: str | None) -> Difference:
    """Compare two arms by their shares of right answers alone, one share for each seed."""
    gaps = [100 * (one.value - two.value) for one, two in shares.values()]
    if len(gaps) >= LEAST_SEEDS:
        return _over_seeds(gaps, reason)
    # Seeds may have attacked the same examples, so two seeds count no more examples than one.
    mine, theirs = (
        Share(statistics.fmean(one.value for one in of_arm), min(one.total for one in of_arm))
        for of_arm in zip(*shares.values(), strict=True)
    )
    low, high, p = unpaired(mine.value, mine.total, theirs.value, theirs.total)
    mean = Mean(statistics.fmean(gaps), 100 * low, 100 * high, len(gaps))
    return Difference(mean, p, "counts", len(gaps), reason=reason)


def _of_queries(
    mine: Mapping[int, RunRecord], theirs: Mapping[int, RunRecord], attack: str
) -> Difference | None:
    gaps = [
        one.value - two.value
        for seed in sorted(mine.keys() & theirs.keys())
        if (one := queries(mine[seed], attack)) and (two := queries(theirs[seed], attack))
    ]
    return _over_seeds(gaps, None) if gaps else None


def _of_weakest(comparison: Comparison, arm: str, other: str) -> Difference | None:
    """Compare two arms by their weakest classes, with a bootstrap of the examples.

    From five seeds on, the interval covers those of the bootstrap and of Student's test over seeds, and p is
    the larger one.
    """
    mine, theirs, attacks = comparison.runs[arm], comparison.runs[other], comparison.attacks
    gaps = {
        seed: one - two
        for seed in sorted(mine.keys() & theirs.keys())
        if (one := weakest_class(mine[seed], attacks)) is not None
        and (two := weakest_class(theirs[seed], attacks)) is not None
    }
    if not gaps:
        return None
    found = bootstrap_weakest(
        _answers(comparison, arm, attacks, gaps), _answers(comparison, other, attacks, gaps)
    )
    over = _over_seeds([*gaps.values()], found if isinstance(found, str) else None)
    if isinstance(found, str):
        return over
    low, high, p = found
    basis: Basis = "examples"
    if len(gaps) >= ENOUGH_SEEDS:
        basis, p = "examples and seeds", max(p, over.p or 0.0)
        low, high = min(low, over.mean.low), max(high, over.mean.high)
    return Difference(Mean(over.mean.value, low, high, len(gaps)), p, basis, len(gaps), spread=over.spread)


def queries(run: RunRecord, attack: str) -> Mean | None:
    """Return the #Query of a run under an attack; None without this attack or without right answers."""
    record = run.model.attacks.get(attack)
    return None if record is None else record.queries


def _over_seeds(gaps: Sequence[float], reason: str | None) -> Difference:
    """Compare two arms by Student's paired test over seeds.

    There is no p for fewer than three seeds, or if all differences are equal.
    """
    from scipy.stats import ttest_1samp

    mean = over_seeds(gaps, least=-math.inf)
    # Equal gaps, up to rounding errors, have no variance to test against.
    even = all(math.isclose(gap, gaps[0], rel_tol=1e-9, abs_tol=1e-9) for gap in gaps)
    p = None if even or len(gaps) < LEAST_SEEDS else float(ttest_1samp(gaps, 0).pvalue)
    return Difference(mean, p, "seeds", len(gaps), spread=_spread(gaps), reason=reason)


def over_seeds(values: Sequence[float], least: float = 0.0, most: float = math.inf) -> Mean:
    """Return the mean over at least one seed, with Student's interval for three or more seeds.

    Args:
        values: One value for each seed.
        least: Smallest possible lower end of the interval.
        most: Largest possible upper end of the interval.
    """
    mean = Mean.of(values, least, most)
    if mean is not None and len(values) >= LEAST_SEEDS:
        return mean
    value = statistics.fmean(values)
    return Mean(value, value, value, len(values))


def _spread(gaps: Sequence[float]) -> float | None:
    return statistics.stdev(gaps) if len(gaps) >= LEAST_SEEDS else None
