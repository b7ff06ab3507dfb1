"""What a comparison comes to, against SciPy, numbers worked out by hand, and definitions written out."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from test_results import a_record, wilson_of

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.analysis.summary import ArmSummary, frontier, summarise
from earlyrobust.results import (
    AttackRecord,
    CellRecord,
    ComparisonRecord,
    ModelRecord,
    RunRecord,
    SpeedRecord,
)
from earlyrobust.statistics.measures import Accuracy, Mean

Runs = Mapping[int, RunRecord]


def an_attack(correct: int, total: int = 100, queries: Sequence[float] = (10.0, 12.0, 17.0)) -> AttackRecord:
    """An attack that leaves so many of the texts right."""
    return AttackRecord(
        settings={"attack": "textfooler"},
        clean=Accuracy.of(total if queries else 0, total),
        under_attack=Accuracy.of(correct, total),
        success_rate=None,
        queries=Mean.of(list(queries)),
        words_changed=None,
        similarity=None,
    )


def a_run(
    clean: int = 80,
    attacks: Mapping[str, int | AttackRecord] | None = None,
    seconds: float = 10.0,
    total: int = 100,
    **changes: Any,
) -> RunRecord:
    """A run with a ticket that is right on so many texts, and on so many under each attack."""
    attacks = {"textfooler": 40} if attacks is None else attacks
    model = ModelRecord(
        test=Accuracy.of(clean, total),
        selection=Accuracy.of(1, total),
        parameters=1_000,
        encoder_parameters=700,
        bytes=4_000_000,
        attacks={
            name: found if isinstance(found, AttackRecord) else an_attack(found, total)
            for name, found in attacks.items()
        },
    )
    return dataclasses.replace(
        a_record(dense=False), **{"model": model, "seconds": {"model": seconds}, **changes}
    )


def compared(
    arms: Mapping[str, Runs],
    baseline: str = "finetune",
    options: Mapping[str, dict[str, Any]] | None = None,
    failures: Sequence[tuple[str, int, str]] = (),
    **changes: Any,
) -> Comparison:
    """A comparison of runs, and of cells that failed for a reason."""
    cells = [
        CellRecord(arm, seed, f"cells/{number}-{seed}")
        for number, (arm, runs) in enumerate(arms.items())
        for seed in runs
    ]
    cells += [
        CellRecord(arm, seed, f"cells/failed-{number}", reason, "Traceback")
        for number, (arm, seed, reason) in enumerate(failures)
    ]
    record = ComparisonRecord(
        title="finetune and others on reviews",
        arms={arm: (options or {}).get(arm, {"method": "earlyrobust"}) for arm in arms},
        baseline=baseline,
        config={"model": "minilm", "epochs": 2.0},
        command="earlyrobust compare --methods finetune,earlyrobust",
        cells=cells,
    )
    return Comparison(dataclasses.replace(record, **changes), {arm: dict(runs) for arm, runs in arms.items()})


def by_arm(comparison: Comparison) -> dict[str, ArmSummary]:
    return {summary.name: summary for summary in summarise(comparison)}


def seeds_of(clean: Sequence[int], **rest: Any) -> Runs:
    return {seed: a_run(correct, **rest) for seed, correct in enumerate(clean)}


def ends(mean: Mean) -> tuple[float, float]:
    return mean.low, mean.high


def percent(shares: tuple[float, float]) -> tuple[float, float]:
    return 100 * shares[0], 100 * shares[1]


# --- means and intervals -----------------------------------------------------------------------------------


def test_a_mean_and_its_interval_worked_out_by_hand() -> None:
    # Squared distances from 85 are 25, 1 and 36; t of two degrees of freedom is 4.30265.
    half = 4.30265 * math.sqrt(62 / 2 / 3)
    clean = by_arm(compared({"finetune": seeds_of([80, 84, 91])}))["finetune"].measures["Clean%"]
    assert clean.value == pytest.approx(85)
    assert ends(clean) == pytest.approx((85 - half, 85 + half), abs=1e-3)
    assert clean.count == 3


@pytest.mark.parametrize("clean", [(50, 51, 53), (80, 84, 91), (10, 20, 30, 40, 55), (70, 70, 70)])
def test_intervals_are_those_of_student(clean: tuple[int, ...]) -> None:
    summary = by_arm(compared({"finetune": seeds_of(clean)}))["finetune"]
    found = summary.measures["Clean%"]
    assert summary.seeds == list(range(len(clean)))
    assert found.value == pytest.approx(np.mean(clean))
    if len(set(clean)) == 1:
        assert found.low == found.value == found.high
    else:
        expected = stats.t.interval(0.95, len(clean) - 1, np.mean(clean), stats.sem(clean))
        assert ends(found) == pytest.approx(expected)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=8).filter(lambda values: np.ptp(values) > 1e-3))
def test_any_values_have_the_interval_of_student(values: list[float]) -> None:
    found = Mean.of(values, least=-math.inf)
    assert found is not None
    expected = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert ends(found) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Clean%", (60 + 70) / 2),
        ("Aua%, textfooler", (30 + 36) / 2),
        ("Aua%, textbugger", (10 + 20) / 2),
        ("Aua%, mean", ((30 + 10) / 2 + (36 + 20) / 2) / 2),
        ("#Query, textfooler", (13 + 13) / 2),
        ("#Query, textbugger", (5 + 8) / 2),
        ("Training s", (12 + 20) / 2),
        ("Parameters", 1_000),
        ("MB", 4.0),
        ("Latency", (0.7 + 0.9) / 2),
    ],
)
def test_every_measure_is_the_mean_over_seeds(name: str, expected: float) -> None:
    runs = {
        4: a_run(
            60,
            {"textfooler": 30, "textbugger": an_attack(10, queries=[5.0])},
            12.0,
            speed=SpeedRecord(0.7, 0.6, 32, 40),
        ),
        9: a_run(
            70,
            {"textfooler": 36, "textbugger": an_attack(20, queries=[6.0, 10.0])},
            20.0,
            speed=SpeedRecord(0.9, 0.6, 32, 40),
        ),
    }
    summary = by_arm(compared({"finetune": runs}))["finetune"]
    assert summary.seeds == [4, 9]
    assert summary.measures[name].value == pytest.approx(expected)
    assert summary.measures[name].count == 2


def test_a_model_that_was_not_cut_is_as_fast_as_the_dense_one() -> None:
    runs = {0: a_run(ticket=None, search=None, speed=None)}
    assert by_arm(compared({"finetune": runs}))["finetune"].measures["Latency"].value == 1


@pytest.mark.parametrize("clean", [(0, 1), (99, 100), (100, 98, 100)])
def test_intervals_of_shares_stay_between_none_and_all(clean: tuple[int, ...]) -> None:
    runs = {seed: a_run(correct, {"textfooler": correct}) for seed, correct in enumerate(clean)}
    measures = by_arm(compared({"finetune": runs}))["finetune"].measures
    for name in ("Clean%", "Aua%, textfooler", "Aua%, mean"):
        assert 0 <= measures[name].low <= measures[name].value <= measures[name].high <= 100


def test_an_attack_on_nothing_that_was_right_has_no_queries() -> None:
    hopeless = {"textfooler": an_attack(0, queries=[])}
    runs = {"finetune": {0: a_run(attacks=hopeless)}, "pgd": {0: a_run()}}
    for summary in summarise(compared(runs)):
        assert all(math.isfinite(mean.value) for mean in summary.measures.values()), summary.name
    assert "#Query, textfooler" in by_arm(compared(runs))["pgd"].measures


# --- one seed, and two -------------------------------------------------------------------------------------


def test_one_seed_has_the_interval_of_its_examples() -> None:
    runs = {
        "finetune": {3: a_run(8, {"textfooler": 2}, total=10)},
        "pgd": {3: a_run(9, {"textfooler": 5}, total=10)},
    }
    summary = by_arm(compared(runs))["finetune"]
    # Wilson's interval of 8 of 10 as textbooks have it; that of 2 of 10 is its mirror image.
    assert ends(summary.measures["Clean%"]) == pytest.approx((49.02, 94.33), abs=0.01)
    assert ends(summary.measures["Aua%, textfooler"]) == pytest.approx((5.67, 50.98), abs=0.01)
    differences = by_arm(compared(runs))["pgd"].differences
    assert differences["Clean%"].mean.value == pytest.approx(10)
    for name, table in (("Clean%", [[9, 1], [8, 2]]), ("Aua%, textfooler", [[5, 5], [2, 8]])):
        assert differences[name].p == pytest.approx(stats.fisher_exact(table).pvalue)
        assert differences[name].basis == "counts"


@pytest.mark.parametrize("correct", [(50, 51), (10, 90), (0, 1), (100, 100)])
def test_two_seeds_are_no_surer_than_one(correct: tuple[int, ...]) -> None:
    """Student's interval of two is no information, and both may have had the same examples."""
    measures = by_arm(compared({"finetune": seeds_of(correct)}))["finetune"].measures
    assert ends(measures["Clean%"]) == pytest.approx(
        percent(wilson_of(float(np.mean(correct)), 100)), abs=1e-9
    )
    assert measures["Clean%"].value == pytest.approx(np.mean(correct))
    for name in ("#Query, textfooler", "Training s", "Parameters"):
        assert measures[name].low == measures[name].value == measures[name].high


@pytest.mark.parametrize("correct", [(0, 0), (100, 100), (40, 60), (33, 34), (0, 1, 1)])
def test_the_mean_over_attacks_is_no_surer_than_one_of_them(correct: tuple[int, ...]) -> None:
    attacks = dict(zip(("textfooler", "textbugger", "bert-attack"), correct, strict=False))
    measures = by_arm(compared({"finetune": {0: a_run(attacks=attacks)}}))["finetune"].measures
    found = measures["Aua%, mean"]
    assert found.value == pytest.approx(np.mean(correct))
    # Its interval is Wilson's of as many examples as one attack had.
    assert ends(found) == pytest.approx(percent(wilson_of(float(np.mean(correct)), 100)), abs=1e-9)
    assert found.low <= found.value <= found.high


# --- differences -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "other"),
    [
        ((80, 84, 91), (82, 85, 95)),
        ((80, 84, 91), (79, 90, 60)),
        ((40, 41, 42, 43, 44), (60, 60, 61, 65, 70)),
    ],
)
def test_differences_are_tested_in_pairs(base: tuple[int, ...], other: tuple[int, ...]) -> None:
    runs = {
        "finetune": {seed: a_run(70, {"textfooler": correct}) for seed, correct in enumerate(base)},
        "pgd": {seed: a_run(70, {"textfooler": correct}) for seed, correct in enumerate(other)},
    }
    found = by_arm(compared(runs))["pgd"].differences["Aua%, textfooler"]
    paired = stats.ttest_rel(other, base)
    alone = stats.ttest_1samp(np.subtract(other, base), 0)
    assert found.mean.value == pytest.approx(np.mean(other) - np.mean(base))
    assert found.mean.count == len(base)
    assert found.p == pytest.approx(paired.pvalue)
    assert found.p == pytest.approx(alone.pvalue)
    interval = paired.confidence_interval(0.95)
    assert ends(found.mean) == pytest.approx((interval.low, interval.high))


def test_only_seeds_that_both_arms_have_are_compared() -> None:
    runs = {
        "finetune": {0: a_run(10), 1: a_run(50), 2: a_run(60), 3: a_run(64)},
        "pgd": {1: a_run(53), 2: a_run(61), 3: a_run(66), 7: a_run(99)},
    }
    summaries = by_arm(compared(runs))
    paired = stats.ttest_rel([53, 61, 66], [50, 60, 64])
    found = summaries["pgd"].differences["Clean%"]
    assert (found.mean.value, found.mean.count) == (pytest.approx(2), 3)
    assert found.p == pytest.approx(paired.pvalue)
    assert ends(found.mean) == pytest.approx(tuple(paired.confidence_interval(0.95)))
    # The means themselves are of all the seeds that each arm has.
    assert summaries["pgd"].measures["Clean%"].count == 4
    assert summaries["pgd"].seeds == [1, 2, 3, 7]


@pytest.mark.parametrize(
    ("shared", "basis"), [(0, None), (1, "counts"), (2, "counts"), (3, "seeds"), (4, "seeds")]
)
def test_seeds_are_tested_where_three_are_shared(shared: int, basis: str | None) -> None:
    mine = {seed: a_run(80 + 3 * seed) for seed in range(shared)} | {50: a_run(70)}
    others = {seed: a_run(70 + seed) for seed in range(shared)} | {60: a_run(60)}
    clean = by_arm(compared({"finetune": others, "pgd": mine}))["pgd"].differences.get("Clean%")
    assert (None if clean is None else clean.basis) == basis
    if clean is None:
        return
    assert clean.seeds == shared
    if basis == "counts":
        means = [round(80 + 3 * (shared - 1) / 2), round(70 + (shared - 1) / 2)]
        fisher = stats.fisher_exact([[right, 100 - right] for right in means])
        assert clean.p == pytest.approx(fisher.pvalue)
        assert clean.spread is None
    else:
        gaps = [10 + 2 * seed for seed in range(shared)]
        assert clean.p == pytest.approx(stats.ttest_1samp(gaps, 0).pvalue)
        assert clean.spread == pytest.approx(np.std(gaps, ddof=1))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("base", "other", "gap"),
    [
        ((80, 84, 91), (80, 84, 91), 0),
        ((70, 70, 70), (75, 75, 75), 5),
        # Three texts more under every seed; as percentages they differ in their last binary digit.
        ((54, 30, 11, 80), (57, 33, 14, 83), 3),
    ],
)
def test_the_same_difference_under_every_seed_has_no_p(
    base: tuple[int, ...], other: tuple[int, ...], gap: float
) -> None:
    found = by_arm(compared({"finetune": seeds_of(base), "pgd": seeds_of(other)}))["pgd"].differences
    assert found["Clean%"].mean.value == pytest.approx(gap)
    assert ends(found["Clean%"].mean) == pytest.approx((gap, gap))
    assert found["Clean%"].p is None


def test_the_baseline_is_not_compared_with_itself() -> None:
    runs = {"pgd": seeds_of([70, 75]), "freelb": seeds_of([80, 84])}
    summaries = by_arm(compared(runs, baseline="freelb"))
    assert summaries["freelb"].differences == {}
    assert summaries["pgd"].differences["Clean%"].mean.value == pytest.approx(-9.5)


# --- time --------------------------------------------------------------------------------------------------


def test_ratios_of_time_are_geometric_means_of_those_under_the_same_seed() -> None:
    runs = {
        "finetune": {seed: a_run(seconds=took) for seed, took in enumerate((10.0, 20.0, 10.0, 1.0))},
        "pgd": {
            **{seed: a_run(seconds=took) for seed, took in enumerate((40.0, 50.0, 30.0))},
            5: a_run(seconds=1_000.0),
        },
        "freelb": {5: a_run(seconds=500.0)},
    }
    summaries = by_arm(compared(runs))
    ratio = summaries["pgd"].time_ratios["finetune"]
    ratios = [40 / 10, 50 / 20, 30 / 10]
    assert (ratio.value, ratio.count) == (pytest.approx(stats.gmean(ratios)), 3)
    logs = np.log(ratios)
    expected = stats.t.interval(0.95, 2, np.mean(logs), stats.sem(logs))
    assert ends(ratio) == pytest.approx(tuple(np.exp(expected)))
    # Whichever of two arms is the baseline, the same is said.
    assert summaries["finetune"].time_ratios["pgd"].value == pytest.approx(1 / ratio.value)
    assert summaries["pgd"].time_ratios["freelb"].value == pytest.approx(2)
    assert "freelb" not in summaries["finetune"].time_ratios
    for name, summary in summaries.items():
        assert (summary.time_ratios[name].value, *ends(summary.time_ratios[name])) == (1, 1, 1)


@pytest.mark.parametrize(
    ("needs_dense", "seconds", "expected"),
    [
        (False, {"data": 100.0, "dense": 7.0, "ticket": 2.0, "model": 4.0, "test": 50.0}, 6.0),
        (True, {"data": 100.0, "dense": 7.0, "ticket": 2.0, "model": 4.0, "test": 50.0}, 13.0),
        (False, {"data": 100.0, "model": 4.0}, 4.0),
        (True, {"dense": 7.0, "model": 4.0}, 11.0),
        (False, {}, 0.0),
    ],
)
def test_training_takes_the_search_and_the_dense_model_where_it_is_needed(
    needs_dense: bool, seconds: dict[str, float], expected: float
) -> None:
    record = a_run(needs_dense=needs_dense)
    record = dataclasses.replace(record, seconds=seconds)
    assert record.training_seconds == expected
    measures = by_arm(compared({"finetune": {0: record}}))["finetune"].measures
    assert measures["Training s"].value == expected


def test_nothing_is_relative_to_a_run_that_took_no_time() -> None:
    runs = {"finetune": {0: a_run(seconds=0.0)}, "pgd": {0: a_run(seconds=3.0)}}
    summaries = by_arm(compared(runs))
    assert "finetune" not in summaries["pgd"].time_ratios
    assert summaries["finetune"].time_ratios["pgd"].value == 0


# --- what is missing ---------------------------------------------------------------------------------------


def test_arms_without_runs_are_left_out() -> None:
    runs: dict[str, Runs] = {"pgd": {}, "finetune": seeds_of([80, 84]), "freelb": {}, "smart": seeds_of([70])}
    comparison = compared(runs, failures=[("pgd", 0, "out of memory")])
    summaries = by_arm(comparison)
    assert list(summaries) == ["finetune", "smart"]
    assert set(summaries["smart"].time_ratios) == {"finetune", "smart"}
    assert not comparison.is_whole


def test_without_the_baseline_nothing_is_compared_with_it() -> None:
    runs: dict[str, Runs] = {"finetune": {}, "pgd": seeds_of([80, 84]), "freelb": seeds_of([81, 84])}
    for summary in summarise(compared(runs)):
        assert summary.differences == {}
        assert set(summary.time_ratios) == {"pgd", "freelb"}


def test_an_arm_that_some_attack_was_not_let_loose_on() -> None:
    runs = {
        "finetune": {seed: a_run(attacks={"textfooler": 20 + seed, "textbugger": 10}) for seed in range(2)},
        "pgd": {seed: a_run(attacks={"textfooler": 30 + 3 * seed}) for seed in range(2)},
        "freelb": {0: a_run(attacks={}), 1: a_run(attacks={})},
    }
    comparison = compared(runs)
    summaries = by_arm(comparison)
    assert comparison.attacks == ["textfooler", "textbugger"]
    assert "Aua%, textbugger" not in summaries["pgd"].measures
    assert "Aua%, textbugger" not in summaries["pgd"].differences
    assert summaries["pgd"].differences["Aua%, textfooler"].mean.value == pytest.approx(11)
    attacked = [name for name in summaries["freelb"].measures if name.startswith(("Aua%", "#Query"))]
    assert not attacked
    assert set(summaries["freelb"].differences) >= {"Clean%"}


def test_an_attack_that_only_some_seeds_saw_counts_for_those() -> None:
    runs = {0: a_run(attacks={"textfooler": 20, "textbugger": 8}), 1: a_run(attacks={"textfooler": 30})}
    measures = by_arm(compared({"finetune": runs}))["finetune"].measures
    assert measures["Aua%, textfooler"].count == 2
    bugger = measures["Aua%, textbugger"]
    assert (bugger.value, bugger.count) == (pytest.approx(8), 1)
    wilson = stats.binomtest(8, 100).proportion_ci(method="wilson")
    assert ends(bugger) == pytest.approx((100 * wilson.low, 100 * wilson.high))


# --- the frontier ------------------------------------------------------------------------------------------


def is_beaten(point: tuple[float, float], points: Sequence[tuple[float, float]]) -> bool:
    """Whether some point costs at most as much and gains at least as much, and is not the same."""
    return any(other != point and other[0] <= point[0] and other[1] >= point[1] for other in points)


# Whole numbers tie often; what differs by less than rounding does counts as equal.
COORDINATES = st.one_of(st.integers(0, 4).map(float), st.floats(0, 100).map(lambda value: round(value, 6)))


@given(st.dictionaries(st.text(max_size=3), st.tuples(COORDINATES, COORDINATES), max_size=9))
def test_the_frontier_is_what_nothing_beats(points: dict[str, tuple[float, float]]) -> None:
    found = frontier(points)
    values = list(points.values())
    assert {points[name] for name in found} == {point for point in values if not is_beaten(point, values)}
    costs, gains = ([points[name][end] for name in found] for end in (0, 1))
    # From the cheapest to the best, each dearer and better than the one before; of twins there is one.
    assert costs == sorted(set(costs))
    assert gains == sorted(set(gains))


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ({}, []),
        ({"a": (1, 1)}, ["a"]),
        (
            {"dear": (9, 50), "cheap": (1, 20), "worse": (5, 10), "between": (3, 30)},
            ["cheap", "between", "dear"],
        ),
        ({"as dear": (1, 20), "better": (1, 30)}, ["better"]),
        ({"dearer": (2, 30), "as good": (1, 30)}, ["as good"]),
        ({"first": (1, 1), "twin": (1, 1)}, ["first"]),
        ({"cheap": (1, 0.3), "better by rounding": (2, 0.1 + 0.2)}, ["cheap"]),
    ],
)
def test_frontiers_worked_out_by_hand(points: dict[str, tuple[float, float]], expected: list[str]) -> None:
    assert frontier(points) == expected


def test_means_over_seeds_of_many_arms_stay_apart() -> None:
    clean = {f"arm {number}": [50 + number, 60 + 2 * number, 70] for number in range(9)}
    summaries = by_arm(compared({name: seeds_of(values) for name, values in clean.items()}, "arm 0"))
    assert {name: summary.measures["Clean%"].value for name, summary in summaries.items()} == pytest.approx(
        {name: statistics.fmean(values) for name, values in clean.items()}
    )
