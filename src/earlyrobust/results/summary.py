"""What a comparison comes to: means over seeds, ratios of training time, and paired tests."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from earlyrobust.results.comparison import Comparison
from earlyrobust.results.measures import Accuracy, Mean
from earlyrobust.results.run import RunRecord

CLEAN, AUA, QUERIES, SECONDS = "Clean%", "Aua%", "#Query", "Training s"
PARAMETERS, MEGABYTES, LATENCY = "Parameters", "MB", "Latency"
# Beside those of each attack: the mean over all of them.
OVERALL = "mean"
# How a ticket says that it was drawn by chance, and the options of a run that say how a ticket is found.
_RANDOM = "random"
_SEARCH_OPTIONS = {
    *("search", "search_adversary", "search_epochs", "draw_after", "head_penalty", "neuron_penalty"),
    *("gamma", "patience", "settling", "miniepoch", "miniepoch_min_steps"),
}


@dataclass(frozen=True)
class Difference:
    """A measure of one arm less that of another, under the same seeds.

    Attributes:
        mean: Mean over the seeds, with its 95 % interval.
        p: Two-sided p of Student's paired test; None where the seeds do not allow for one.
    """

    mean: Mean
    p: float | None


@dataclass(frozen=True)
class ArmSummary:
    """One arm in numbers.

    Attributes:
        name: The arm.
        seeds: The seeds it was run under.
        measures: By name, mean over the seeds. Percentages are from 0 to 100; latency is relative to the
            dense encoder. Those of attacks are named as "Aua%, textfooler".
        time_ratios: Training time relative to that of each arm that shares a seed.
        differences: Measures less those of the baseline; none for the baseline itself.
        is_guess: Whether its model is no better than naming one class, under any of the seeds.
    """

    name: str
    seeds: list[int]
    measures: dict[str, Mean]
    time_ratios: dict[str, Mean]
    differences: dict[str, Difference]
    is_guess: bool


def of_attack(measure: str, attack: str) -> str:
    """The name of an attack's measure."""
    return f"{measure}, {attack}"


def summarise(comparison: Comparison) -> list[ArmSummary]:
    """Summarise the arms of a comparison, in its order; those without a finished run are left out."""
    values = {arm: _values(runs, comparison.attacks) for arm, runs in comparison.runs.items() if runs}
    seconds = {arm: measures[SECONDS] for arm, measures in values.items()}
    baseline = values.get(comparison.record.baseline)
    return [
        ArmSummary(
            name=arm,
            seeds=sorted(comparison.runs[arm]),
            measures={name: _mean(name, by_seed, comparison.runs[arm]) for name, by_seed in measures.items()},
            time_ratios={
                other: ratio
                for other in values
                if (ratio := _ratio(seconds[arm], seconds[other])) is not None
            },
            differences={}
            if baseline is None or arm == comparison.record.baseline
            else {
                name: difference
                for name, by_seed in measures.items()
                if (difference := _difference(by_seed, baseline.get(name, {}))) is not None
            },
            is_guess=any(run.is_guess for run in comparison.runs[arm].values()),
        )
        for arm, measures in values.items()
    ]


def against_random(comparison: Comparison) -> dict[tuple[str, str], Difference]:
    """How much more robust searched tickets are than random ones, where nothing else is different.

    Returns:
        By the arm and that of the random tickets: mean Aua% of the one less that of the other, paired by
        seeds.
    """
    random = [arm for arm, runs in comparison.runs.items() if any(map(_is_random, runs.values()))]
    pairs = [
        (arm, other)
        for arm, runs in comparison.runs.items()
        for other in random
        if arm not in random and _differ_in_search(runs, comparison.runs[other])
    ]
    aua = {
        arm: _values(comparison.runs[arm], comparison.attacks).get(of_attack(AUA, OVERALL), {})
        for arm in {arm for pair in pairs for arm in pair}
    }
    found = {(arm, other): _difference(aua[arm], aua[other]) for arm, other in pairs}
    return {pair: difference for pair, difference in found.items() if difference is not None}


def _is_random(run: RunRecord) -> bool:
    return run.ticket_origin.get("method") == _RANDOM


def _differ_in_search(runs: Mapping[int, RunRecord], others: Mapping[int, RunRecord]) -> bool:
    """Whether two arms have tickets, and the same options but for how those are found."""
    both = runs.keys() & others.keys()
    return bool(both) and all(
        runs[seed].ticket is not None and _but_for_search(runs[seed]) == _but_for_search(others[seed])
        for seed in both
    )


def _but_for_search(run: RunRecord) -> dict[str, Any]:
    return {
        name: value
        for name, value in run.config.items()
        if value is not None and name not in {*_SEARCH_OPTIONS, "output"}
    }


# Means of the same shares differ in their last digits, depending on which shares came first.
_ROUNDING = 1e-9


def frontier(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The efficient ones of some points: none is both cheaper and better.

    Args:
        points: Cost and gain of each.

    Returns:
        Names, from the cheapest to the best.
    """
    found: list[str] = []
    best = -math.inf
    for name, (_, gain) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if gain > best + _ROUNDING:
            found.append(name)
            best = gain
    return found


def _values(runs: Mapping[int, RunRecord], all_attacks: Sequence[str]) -> dict[str, dict[int, float]]:
    """Each measure of an arm, by seed; those that no seed has are left out."""
    show: dict[str, Callable[[RunRecord], float | None]] = {CLEAN: lambda run: 100 * run.model.test.value}
    attacks = list(dict.fromkeys(name for run in runs.values() for name in run.model.attacks))
    for attack in attacks:
        show[of_attack(AUA, attack)] = lambda run, attack=attack: _aua(run, attack)  # type: ignore[misc]
        show[of_attack(QUERIES, attack)] = lambda run, attack=attack: _queries(run, attack)  # type: ignore[misc]
    if attacks:
        show[of_attack(AUA, OVERALL)] = lambda run: _overall(run, all_attacks)
    show |= {
        SECONDS: lambda run: run.training_seconds,
        PARAMETERS: lambda run: run.model.parameters,
        MEGABYTES: lambda run: run.model.bytes / 1e6,
        LATENCY: lambda run: 1.0 if run.speed is None else run.speed.time_ratio,
    }
    found = {
        name: {seed: value for seed, run in sorted(runs.items()) if (value := measure(run)) is not None}
        for name, measure in show.items()
    }
    return {name: by_seed for name, by_seed in found.items() if by_seed}


def _overall(run: RunRecord, attacks: Sequence[str]) -> float | None:
    """Mean Aua% over all attacks; None for a run that was not attacked by all."""
    records = run.model.attacks
    if not set(attacks) <= set(records):
        return None
    return statistics.fmean(100 * records[attack].under_attack.value for attack in attacks)


def _aua(run: RunRecord, attack: str) -> float | None:
    record = run.model.attacks.get(attack)
    return None if record is None else 100 * record.under_attack.value


def _queries(run: RunRecord, attack: str) -> float | None:
    record = run.model.attacks.get(attack)
    return None if record is None or record.queries is None else record.queries.value


def _mean(name: str, by_seed: Mapping[int, float], runs: Mapping[int, RunRecord]) -> Mean:
    """Mean over seeds; of a single seed with the interval that its examples allow for."""
    if len(by_seed) == 1 and name.startswith((CLEAN, AUA)):
        (run,) = (runs[seed] for seed in by_seed)
        if name == CLEAN:
            return _in_percent(run.model.test)
        if name == of_attack(AUA, OVERALL):
            return _pooled([record.under_attack for record in run.model.attacks.values()])
        return _in_percent(run.model.attacks[name.removeprefix(of_attack(AUA, ""))].under_attack)
    most = 100.0 if name.startswith((CLEAN, AUA)) else math.inf
    return cast("Mean", Mean.of(list(by_seed.values()), most=most))  # there is a value


def _pooled(shares: Sequence[Accuracy]) -> Mean:
    """Mean of several shares of the same examples, no surer than one of them: they hang together."""
    total = min(share.total for share in shares)
    value = statistics.fmean(share.value for share in shares)
    around = Accuracy.of(round(value * total), total)
    return Mean(100 * value, 100 * around.low, 100 * around.high, 1)


def _in_percent(share: Accuracy) -> Mean:
    return Mean(100 * share.value, 100 * share.low, 100 * share.high, 1)


def _ratio(seconds: Mapping[int, float], others: Mapping[int, float]) -> Mean | None:
    return Mean.of([seconds[seed] / others[seed] for seed in seconds if others.get(seed)])


def _difference(by_seed: Mapping[int, float], others: Mapping[int, float]) -> Difference | None:
    from scipy.stats import ttest_rel

    both = [seed for seed in by_seed if seed in others]
    gaps = [by_seed[seed] - others[seed] for seed in both]
    mean = Mean.of(gaps, least=-math.inf)
    if mean is None:
        return None
    # Equal gaps, rounding errors aside, leave no chance to test against.
    if len(gaps) < 2 or all(math.isclose(gap, gaps[0], rel_tol=1e-9, abs_tol=1e-9) for gap in gaps):
        return Difference(mean, None)
    test = ttest_rel([by_seed[seed] for seed in both], [others[seed] for seed in both])
    return Difference(mean, float(test.pvalue))
