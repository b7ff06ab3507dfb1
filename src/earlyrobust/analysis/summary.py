"""Summarises a comparison: means over seeds, ratios of training time, and tested differences."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.analysis.differences import (
    LEAST_SEEDS,
    Difference,
    difference,
    over_seeds,
    queries,
    share,
)
from earlyrobust.analysis.weakest import weakest_class
from earlyrobust.results.run import RunRecord
from earlyrobust.statistics.measures import (
    AUA,
    CALIBRATION,
    CLEAN,
    CLEAN_OF_ATTACKED,
    LATENCY,
    MEGABYTES,
    OVERALL,
    PARAMETERS,
    QUERIES,
    SECONDS,
    WEAKEST,
    Mean,
    of_attack,
    wilson,
)
from earlyrobust.statistics.significance import SIGNIFICANT, holm

# The method in the origin of a random ticket, and the options of a run that concern the search of a ticket.
_RANDOM = "random"
_SEARCH_OPTIONS = {
    *("search", "search_adversary", "search_epochs", "draw_after", "head_penalty", "neuron_penalty"),
    *("gamma", "patience", "settling", "miniepoch", "miniepoch_min_steps"),
}

# Means of the same shares may differ in their last digits, depending on the order of the shares.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class ArmSummary:
    """The numbers of one arm.

    Attributes:
        name: Name of the arm.
        seeds: The seeds of its finished runs.
        measures: Mean of each measure over the seeds, by name. Percentages are from 0 to 100; latency is
            relative to the dense encoder. Measures of attacks have names such as "Aua%, textfooler".
        time_ratios: Training time relative to each arm that shares a seed, by name of that arm.
        differences: Clean% and Aua% minus those of the baseline; empty for the baseline itself.
        is_guess: Whether its model is no more accurate than always naming one class, under at least one seed.
            Such an arm does not count in the comparison.
        leads: The measures in which no counted arm is better; for each, the counted arms that cannot be
            distinguished from this one. Measures that no other counted arm has are left out.
    """

    name: str
    seeds: list[int]
    measures: dict[str, Mean]
    time_ratios: dict[str, Mean]
    differences: dict[str, Difference]
    is_guess: bool
    leads: dict[str, list[str]] = field(default_factory=dict)


def summarise(comparison: Comparison) -> list[ArmSummary]:
    """Summarise the arms of a comparison, in its order; arms without a finished run are left out."""
    values = {arm: _values(runs, comparison.attacks) for arm, runs in comparison.runs.items() if runs}
    seconds = {arm: measures[SECONDS] for arm, measures in values.items()}
    summaries = [
        ArmSummary(
            name=arm,
            seeds=sorted(comparison.runs[arm]),
            measures={
                name: _mean(name, by_seed, comparison.runs[arm], comparison.attacks)
                for name, by_seed in measures.items()
            },
            time_ratios={
                other: ratio
                for other in values
                if (ratio := _ratio(seconds[arm], seconds[other])) is not None
            },
            differences=_to_baseline(comparison, arm),
            is_guess=any(run.is_guess for run in comparison.runs[arm].values()),
        )
        for arm, measures in values.items()
    ]
    leads = _leads(comparison, summaries)
    return [
        replace(summary, leads=leads.get(summary.name, {})) for summary in _corrected(summaries, comparison)
    ]


def compared_measures(comparison: Comparison) -> list[str]:
    """Return the names of the measures in the comparison with the baseline, in the order of the table."""
    attacks = comparison.attacks
    overall = [of_attack(AUA, OVERALL)] if len(attacks) > 1 else []
    by_class = any(
        attack.classes is not None
        for runs in comparison.runs.values()
        for run in runs.values()
        for attack in run.model.attacks.values()
    )
    return [
        CLEAN,
        *overall,
        *([WEAKEST] if by_class else []),
        *(of_attack(AUA, attack) for attack in attacks),
        *[CLEAN_OF_ATTACKED][: len(attacks)],
    ]


def _to_baseline(comparison: Comparison, arm: str) -> dict[str, Difference]:
    """Compare an arm with the baseline by each measure, without the correction for the number of tests."""
    baseline = comparison.record.baseline
    if arm == baseline or not comparison.runs.get(baseline):
        return {}
    found = {name: difference(comparison, arm, baseline, name) for name in compared_measures(comparison)}
    if len(comparison.attacks) == 1:
        found[of_attack(AUA, OVERALL)] = found[of_attack(AUA, comparison.attacks[0])]
    # Without journals, clean accuracy on the attacked examples adds nothing to that on the whole test split.
    return {
        name: gap
        for name, gap in found.items()
        if gap is not None and not (name == CLEAN_OF_ATTACKED and gap.reason is not None)
    }


def question_of(name: str) -> str:
    """Return the question that a measure answers: CLEAN, AUA or WEAKEST. Each has its own correction."""
    return next(question for question in (CLEAN, WEAKEST, AUA) if name.startswith(question))


def _corrected(summaries: Sequence[ArmSummary], comparison: Comparison) -> list[ArmSummary]:
    """Add Holm's correction to all tests of arms against the baseline.

    Clean accuracy, accuracy under attack and the weakest class are separate questions, so each set of tests
    is corrected for its own number. An arm that guesses is not tested. If the baseline guesses, no arm is
    tested.
    """
    guesses = {summary.name for summary in summaries if summary.is_guess}
    if comparison.record.baseline in guesses:
        return list(summaries)
    single = of_attack(AUA, comparison.attacks[0]) if len(comparison.attacks) == 1 else ""
    raw: dict[str, dict[tuple[str, str], float]] = {}
    for summary in summaries:
        for name, gap in summary.differences.items():
            # The mean over a single attack equals the measure of this attack, so it is not a test of its own.
            if summary.name not in guesses and gap.p is not None and name != single:
                raw.setdefault(question_of(name), {})[summary.name, name] = gap.p
    adjusted = {key: p for tests in raw.values() for key, p in holm(tests).items()}

    def of(arm: str, name: str) -> float | None:
        return adjusted.get((arm, of_attack(AUA, OVERALL) if name == single else name))

    return [
        replace(
            summary,
            differences={
                name: replace(gap, adjusted=of(summary.name, name))
                for name, gap in summary.differences.items()
            },
        )
        for summary in summaries
    ]


def _leads(comparison: Comparison, summaries: Sequence[ArmSummary]) -> dict[str, dict[str, list[str]]]:
    """Find the best arm of each measure, and the arms that cannot be distinguished from it.

    Arms that guess do not count. The best arm must pass the test against each single arm, so the number of
    tests needs no correction.

    Returns:
        For each best arm and measure, the arms that cannot be distinguished from it.
    """
    counted = [summary for summary in summaries if not summary.is_guess]
    found: dict[str, dict[str, list[str]]] = {}
    for name in dict.fromkeys(name for summary in counted for name in summary.measures):
        if not name.startswith((CLEAN, AUA, QUERIES)):
            continue
        having = {
            summary.name: summary.measures[name].value for summary in counted if name in summary.measures
        }
        if len(having) < 2:
            continue
        most = max(having.values())
        for best in (arm for arm, value in having.items() if value >= most - _ROUNDING):
            tests = {other: difference(comparison, best, other, name) for other in having if other != best}
            found.setdefault(best, {})[name] = [
                other for other, gap in tests.items() if gap is None or not _tells(gap)
            ]
    return found


def _tells(gap: Difference) -> bool:
    """Return whether a single test shows that the first arm is better.

    The difference is over the seeds that both arms share, so its sign may differ from that of the means.
    """
    return gap.mean.value > 0 and gap.p is not None and gap.p < SIGNIFICANT


def against_random(comparison: Comparison) -> dict[tuple[str, str], Difference]:
    """Compare arms of searched tickets with arms of random tickets that differ in nothing else.

    Returns:
        For each pair of an arm and an arm of random tickets: mean Aua% of the first minus mean Aua% of the
        second, paired by seeds, with Holm's correction over these pairs.
    """
    random = [arm for arm, runs in comparison.runs.items() if any(map(_is_random, runs.values()))]
    pairs = [
        (arm, other)
        for arm, runs in comparison.runs.items()
        for other in random
        if arm not in random and _differ_in_search(runs, comparison.runs[other])
    ]
    tested = {both: difference(comparison, *both, of_attack(AUA, OVERALL)) for both in pairs}
    found = {both: gap for both, gap in tested.items() if gap is not None}
    adjusted = holm({both: gap.p for both, gap in found.items() if gap.p is not None})
    return {both: replace(gap, adjusted=adjusted.get(both)) for both, gap in found.items()}


def _is_random(run: RunRecord) -> bool:
    return run.ticket_origin.get("method") == _RANDOM


def _differ_in_search(runs: Mapping[int, RunRecord], others: Mapping[int, RunRecord]) -> bool:
    """Return whether two arms have tickets, and the same options except those of the search."""
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


def frontier(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Find the efficient points: no other point is both cheaper and better.

    Args:
        points: Cost and gain of each point, by name.

    Returns:
        Names of the efficient points, from the cheapest to the best.
    """
    found: list[str] = []
    best = -math.inf
    for name, (_, gain) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if gain > best + _ROUNDING:
            found.append(name)
            best = gain
    return found


def _values(runs: Mapping[int, RunRecord], all_attacks: Sequence[str]) -> dict[str, dict[int, float]]:
    """Return each measure of an arm by seed; measures that no seed has are left out."""
    attacks = list(dict.fromkeys(name for run in runs.values() for name in run.model.attacks))
    show: dict[str, Callable[[RunRecord], float | None]] = {
        CLEAN: lambda run: _percent(run, CLEAN, all_attacks)
    }
    for attack in attacks:
        under, asked = of_attack(AUA, attack), of_attack(QUERIES, attack)
        show[under] = lambda run, under=under: _percent(run, under, all_attacks)  # type: ignore[misc]
        show[asked] = lambda run, attack=attack: _queries(run, attack)  # type: ignore[misc]
    if attacks:
        show[of_attack(AUA, OVERALL)] = lambda run: _percent(run, of_attack(AUA, OVERALL), all_attacks)
        show[WEAKEST] = lambda run: weakest_class(run, all_attacks)
    show |= {
        CALIBRATION: _calibration,
        SECONDS: lambda run: run.training_seconds,
        PARAMETERS: lambda run: run.model.parameters,
        MEGABYTES: lambda run: run.model.bytes / 1e6,
        LATENCY: lambda run: 1.0 if run.speed is None else run.speed.plausible_time_ratio,
    }
    found = {
        name: {seed: value for seed, run in sorted(runs.items()) if (value := measure(run)) is not None}
        for name, measure in show.items()
    }
    return {name: by_seed for name, by_seed in found.items() if by_seed}


def _percent(run: RunRecord, name: str, attacks: Sequence[str]) -> float | None:
    found = share(run, name, attacks)
    return None if found is None else 100 * found.value


def _calibration(run: RunRecord) -> float | None:
    error = run.model.calibration_error
    return None if error is None else 100 * error


def _queries(run: RunRecord, attack: str) -> float | None:
    found = queries(run, attack)
    return None if found is None else found.value


def _mean(
    name: str, by_seed: Mapping[int, float], runs: Mapping[int, RunRecord], attacks: Sequence[str]
) -> Mean:
    """Return the mean of a measure over seeds; for a share of fewer than three seeds, with Wilson's interval.

    Wilson's interval is for the number of examples of one seed and one attack. Several attacks have the same
    examples, and two seeds may have them. So together they are no more certain than one of them.
    """
    values = list(by_seed.values())
    if not name.startswith((CLEAN, AUA)):
        return over_seeds(values)
    if len(values) >= LEAST_SEEDS:
        return over_seeds(values, most=100.0)
    total = min(found.total for seed in by_seed if (found := share(runs[seed], name, attacks)) is not None)
    value = statistics.fmean(values)
    low, high = wilson(value / 100, total)
    return Mean(value, 100 * low, 100 * high, len(values))


def _ratio(seconds: Mapping[int, float], others: Mapping[int, float]) -> Mean | None:
    ratios = [seconds[seed] / others[seed] for seed in seconds if others.get(seed)]
    if not ratios or min(ratios) == 0:
        return over_seeds(ratios) if ratios else None
    # A geometric mean: the ratio of A to B and that of B to A are then reciprocal.
    mean = over_seeds([math.log(ratio) for ratio in ratios], least=-math.inf)
    return Mean(math.exp(mean.value), math.exp(mean.low), math.exp(mean.high), mean.count)
