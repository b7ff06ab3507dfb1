"""Tests of differences between arms, against SciPy, numbers worked out by hand, and simulated comparisons."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import math
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from test_examples_page import read
from test_summary import a_run, by_arm, compared

from earlyrobust.analysis.answers import (
    ANSWERS_NAME,
    DAMAGED,
    DIFFERENT,
    MISSING,
    OF_ANOTHER,
    Answers,
    save_answers,
)
from earlyrobust.analysis.comparison import Comparison
from earlyrobust.analysis.summary import summarise
from earlyrobust.errors import OutputError
from earlyrobust.journal import AttackedExample, Journal
from earlyrobust.reports.comparisons import difference_table, headlines, results_table
from earlyrobust.reports.pages import render_report
from earlyrobust.reports.tables import Number
from earlyrobust.reports.verdicts import verdicts, verdicts_on_run
from earlyrobust.results import ATTACKS_FOLDER, AttackRecord, RunRecord
from earlyrobust.statistics.measures import Accuracy
from earlyrobust.statistics.significance import bootstrap_interval, holm, sign_flip_p, two_way, unpaired

# How an attack ends on an example, by the letter that stands for it in these tests.
ENDS: dict[str, Literal["succeeded", "failed", "skipped"]] = {
    "r": "failed",  # still right
    "x": "succeeded",
    "-": "skipped",  # wrong before the attack
}
# What each example of an arm comes to under each attack, under each seed.
Seeds = Mapping[int, Mapping[str, str]]


@pytest.fixture(autouse=True)
def quick_journals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the disk: no test here is about crashes."""
    monkeypatch.setattr("earlyrobust.journal.os.fsync", lambda _: None)


def examples_of(ends: str, first: int = 0) -> list[AttackedExample]:
    return [
        AttackedExample(
            index=first + place,
            label=place % 2,
            texts=(f"text {first + place}",),
            status=ENDS[end],
            queries=10,
            final=("other",),
            words=2,
            words_changed=1,
            predicted=0,
            probability_before=0.6,
            probability_after=0.4,
            similarity=None,
        )
        for place, end in enumerate(ends)
    ]


def save(
    folder: Path,
    arms: Mapping[str, Seeds],
    firsts: Mapping[str, int] | None = None,
    clean: Mapping[str, int] | None = None,
) -> Path:
    """Save a comparison with the journals of its attacks.

    Args:
        folder: Where.
        arms: What came of the attacks.
        firsts: By arm, the index of its first attacked example, where it is not 0.
        clean: By arm, right answers of 100 on the test split, where they are not 80.
    """
    runs: dict[str, dict[int, RunRecord]] = {}
    for arm, seeds in arms.items():
        for seed, attacks in seeds.items():
            records = {}
            for attack, ends in attacks.items():
                # Every seed attacks other examples.
                examples = examples_of(ends, 1000 * seed + (firsts or {}).get(arm, 0))
                records[attack] = AttackRecord.of(examples, {}, f"{attack}.jsonl")
            runs.setdefault(arm, {})[seed] = a_run((clean or {}).get(arm, 80), records)
    comparison = compared(runs)
    folder.mkdir(parents=True, exist_ok=True)
    comparison.record.save(folder)
    for cell in comparison.record.cells:
        place = folder / cell.folder
        (place / ATTACKS_FOLDER).mkdir(parents=True)
        runs[cell.arm][cell.seed].save(place)
        for attack, ends in arms[cell.arm][cell.seed].items():
            examples = examples_of(ends, 1000 * cell.seed + (firsts or {}).get(cell.arm, 0))
            with Journal(place / ATTACKS_FOLDER / f"{attack}.jsonl", {"attack": attack}) as journal:
                for example in examples:
                    journal.add(example)
    return folder


def ends_of(both: int, mine: int, theirs: int, neither: int) -> tuple[str, str]:
    """The ends of two arms: examples that both, only the one, only the other, and neither is right on."""
    return "r" * (both + mine) + "x" * (
        theirs + neither
    ), "r" * both + "x" * mine + "r" * theirs + "x" * neither


def told(folder: Path) -> list[str]:
    comparison = Comparison.load(folder)
    return verdicts(comparison, summarise(comparison))


# --- McNemar's test ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mine", "theirs", "p"),
    [
        (8, 1, 20 / 512),  # 2 · (1 + 9) of 2⁹ ways
        (1, 8, 20 / 512),
        (5, 0, 2 / 32),
        (6, 0, 2 / 64),
        (3, 3, 1.0),
        (0, 0, 1.0),
        (1, 0, 1.0),
        (10, 4, None),
        (12, 3, None),
    ],
)
@pytest.mark.parametrize(("both", "neither"), [(4, 2), (0, 9)])
def test_one_seed_and_one_attack_are_tested_as_by_mcnemar(
    tmp_path: Path, mine: int, theirs: int, both: int, neither: int, p: float | None
) -> None:
    ours, base = ends_of(both, mine, theirs, neither)
    folder = save(tmp_path, {"finetune": {0: {"textfooler": base}}, "pgd": {0: {"textfooler": ours}}})
    found = by_arm(Comparison.load(folder))["pgd"].differences["Aua%, textfooler"]
    exact = stats.binomtest(mine, mine + theirs).pvalue if mine + theirs else 1.0
    assert found.p == pytest.approx(exact)
    assert p is None or found.p == pytest.approx(p)
    assert found.adjusted == found.p  # one test needs no correction
    assert found.mean.value == pytest.approx(100 * (mine - theirs) / (both + mine + theirs + neither))
    assert (found.basis, found.seeds, found.examples) == ("examples", 1, both + mine + theirs + neither)
    assert found.same == (mine == theirs == 0)


@pytest.mark.parametrize(("mine", "theirs"), [(300, 240), (1_500, 1_400), (2_000, 5), (70, 70)])
def test_many_discordant_examples_are_counted_exactly(mine: int, theirs: int) -> None:
    sums = np.repeat([1, -1, 0], [mine, theirs, 1_000])
    assert sign_flip_p(sums) == pytest.approx(
        stats.binomtest(mine, mine + theirs).pvalue, rel=1e-8, abs=1e-300
    )


@pytest.mark.parametrize(
    "sums",
    [
        *([3, 1, -1, 2], [2, 2, 2], [5, -3, -1, 0, 0, 1], [1, -1], [], [4], [0, 0], [-2, -2, -3, 1, 1, 1]),
        *np.random.default_rng(2).integers(-3, 4, (6, 10)).tolist(),
    ],
)
def test_all_ways_to_flip_signs_are_counted(sums: list[int]) -> None:
    """Several answers to an example are one sum: here all signs are tried in turn."""
    totals = [
        abs(sum(map(int.__mul__, sums, signs))) for signs in itertools.product((1, -1), repeat=len(sums))
    ]
    expected = np.mean([total >= abs(sum(sums)) for total in totals])
    assert sign_flip_p(np.array(sums, np.int64)) == pytest.approx(expected)


# --- Holm's correction -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "adjusted"),
    [
        # 4 · 0.005, 3 · 0.01, 2 · 0.03; and the largest is not below the one before it.
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.02], [0.02]),
        ([0.4, 0.5, 0.6], [1.0, 1.0, 1.0]),
        ([0.01, 0.01], [0.02, 0.02]),
        ([0.0, 0.049], [0.0, 0.049]),
        ([], []),
    ],
)
def test_holms_correction_worked_out_by_hand(raw: list[float], adjusted: list[float]) -> None:
    assert [holm(dict(enumerate(raw)))[place] for place in range(len(raw))] == pytest.approx(adjusted)


def test_all_arms_and_attacks_are_corrected_together_and_clean_accuracy_for_itself(tmp_path: Path) -> None:
    base = {"textfooler": "x" * 20, "textbugger": "x" * 20}
    arms: dict[str, Seeds] = {
        "finetune": {0: base},
        "pgd": {0: {"textfooler": "r" * 12 + "x" * 8, "textbugger": "r" * 9 + "x" * 11}},
        "freelb": {0: {"textfooler": "r" * 6 + "x" * 14, "textbugger": "x" * 19 + "r"}},
        # No attack changes its answers: it is not tested, and does not count.
        "smart": {0: {"textfooler": "r" * 10 + "-" * 10, "textbugger": "r" * 10 + "-" * 10}},
    }
    folder = save(tmp_path, arms, clean={"pgd": 90, "freelb": 81, "smart": 50})
    summaries = by_arm(Comparison.load(folder))
    tests = {
        (arm, name): summaries[arm].differences[name]
        for arm in ("pgd", "freelb")
        for name in ("Aua%, textfooler", "Aua%, textbugger", "Aua%, mean")
    }
    raw = {("pgd", "Aua%, textfooler"): 2 / 2**12, ("pgd", "Aua%, textbugger"): 2 / 2**9}
    raw |= {("freelb", "Aua%, textfooler"): 2 / 2**6, ("freelb", "Aua%, textbugger"): 1.0}
    # Sums over both attacks all point one way: 12 and 7 examples have one.
    raw |= {("pgd", "Aua%, mean"): 2 / 2**12, ("freelb", "Aua%, mean"): 2 / 2**7}
    assert {key: gap.p for key, gap in tests.items()} == pytest.approx(raw)
    by_hand = {
        ("pgd", "Aua%, textfooler"): 6 * 2 / 2**12,
        ("pgd", "Aua%, mean"): 6 * 2 / 2**12,
        ("pgd", "Aua%, textbugger"): 4 * 2 / 2**9,
        ("freelb", "Aua%, mean"): 3 * 2 / 2**7,
        ("freelb", "Aua%, textfooler"): 2 * 2 / 2**6,
        ("freelb", "Aua%, textbugger"): 1.0,
    }
    assert {key: gap.adjusted for key, gap in tests.items()} == pytest.approx(by_hand)
    assert {gap.adjusted for gap in summaries["smart"].differences.values()} == {None}
    clean = [summaries[arm].differences["Clean%"] for arm in ("pgd", "freelb")]
    fisher = [stats.fisher_exact([[right, 100 - right], [80, 20]]).pvalue for right in (90, 81)]
    assert [gap.p for gap in clean] == pytest.approx(fisher)
    # So are the answers before the attack, in which these two arms and the baseline agree.
    assert [gap.adjusted for gap in clean] == pytest.approx([min(1, 4 * fisher[0]), 1.0])


# --- intervals ---------------------------------------------------------------------------------------------


def resampled(sums: NDArray[np.int64], answers: NDArray[np.int64]) -> tuple[float, float]:
    """The bootstrap as it is defined: examples are drawn one by one."""
    drawn = np.random.default_rng(99).integers(len(sums), size=(20_000, len(sums)))
    low, high = np.quantile(sums[drawn].sum(1) / answers[drawn].sum(1), (0.025, 0.975))
    return float(low), float(high)


@pytest.mark.parametrize(
    ("sums", "answers"),
    [
        ([1] * 12 + [-1] * 5 + [0] * 80, [1] * 97),
        ([2, 1, 0, -1, 3] * 9, [3, 1, 2, 2, 3] * 9),
        ([1] * 10 + [0] * 10, [1] * 20),
    ],
)
def test_examples_are_resampled(sums: list[int], answers: list[int]) -> None:
    given = np.array(sums), np.array(answers)
    found = bootstrap_interval(*given)
    assert found == pytest.approx(resampled(*given), abs=0.021)
    assert found == bootstrap_interval(*given)
    assert found[0] < sum(sums) / sum(answers) < found[1]


def test_arms_that_answer_alike_have_no_width() -> None:
    assert bootstrap_interval(np.zeros(9, np.int64), np.ones(9, np.int64)) == (0, 0)


def test_two_way_clustering_as_it_is_defined() -> None:
    random = np.random.default_rng(3)
    seeds, examples = np.repeat(np.arange(5), 8), np.tile(np.arange(8), 5)
    answers = random.integers(-1, 2, 40) + random.normal(0, 1, 5)[seeds] + random.normal(0, 1, 8)[examples]
    off = answers - answers.mean()

    def variance(clusters: Sequence[int]) -> float:
        pairs = itertools.product(range(40), repeat=2)
        count = len(set(clusters))
        return (
            sum(off[i] * off[j] for i, j in pairs if clusters[i] == clusters[j]) / 1600 * count / (count - 1)
        )

    expected = variance(list(seeds)) + variance(list(examples)) - variance(range(40))
    half, p = two_way(answers, seeds, examples)
    assert half == pytest.approx(stats.t.ppf(0.975, 4) * math.sqrt(expected))
    assert p == pytest.approx(2 * stats.t.sf(abs(answers.mean()) / math.sqrt(expected), 4))


def test_shares_of_unpaired_examples_as_published() -> None:
    # Newcombe, 1998, table II, method 10: 56 of 70 less 48 of 80.
    assert unpaired(56 / 70, 70, 48 / 80, 80)[:2] == pytest.approx((0.0524, 0.3339), abs=5e-5)
    # Fisher's lady tasting tea: (16 + 1) of 70 ways, on either side.
    assert unpaired(3 / 4, 4, 1 / 4, 4)[2] == pytest.approx(34 / 70)


# --- simulated comparisons ---------------------------------------------------------------------------------

Rows = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def simulated(
    random: np.random.Generator, seeds: int, drawn: int, split: int, gap: float = 0.0, training: float = 0.0
) -> Rows:
    """Differences between two arms on examples that are hard or easy for both, and for each of them alone.

    Args:
        random: Source of chance.
        seeds: Seeds.
        drawn: Examples attacked under each.
        split: Examples that these are drawn from.
        gap: How much better the one is, on the scale of how hard examples are.
        training: Standard deviation of what a training adds for all examples.
    """
    common, mine, theirs = random.normal(0, 1, (3, split)) * [[1.5], [1], [1]]
    rows: list[Rows] = []
    for seed in range(seeds):
        examples = random.choice(split, drawn, replace=False)
        shifts = random.normal(0, training, 2) if training else (0.0, 0.0)
        luck = random.normal(0, 1, (2, drawn))
        one = common[examples] + mine[examples] + gap + shifts[0] + luck[0] > 0
        two = common[examples] + theirs[examples] + shifts[1] + luck[1] > 0
        rows.append((one.astype(np.int64) - two, np.full(drawn, seed), examples))
    differences, numbers, examples = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    return differences, numbers, np.unique(examples, return_inverse=True)[1]


def by_example(rows: Rows) -> float:
    return sign_flip_p(np.bincount(rows[2], weights=rows[0]).round().astype(np.int64))


def by_answer(rows: Rows) -> float:
    """McNemar's test as if every answer were to another example."""
    return sign_flip_p(rows[0])


def interval_misses_zero(rows: Rows) -> float:
    low, high = bootstrap_interval(
        np.bincount(rows[2], weights=rows[0]).round().astype(np.int64), np.bincount(rows[2])
    )
    return 1.0 if low <= 0 <= high else 0.0


def seeds_drawn_again_miss_zero(rows: Rows) -> float:
    """The bootstrap that is not used: of five seeds it is too narrow."""
    means = np.array([rows[0][rows[1] == seed].mean() for seed in range(rows[1].max() + 1)])
    drawn = means[np.random.default_rng(1).integers(len(means), size=(1_000, len(means)))].mean(1)
    return 1.0 if np.quantile(drawn, 0.025) <= 0 <= np.quantile(drawn, 0.975) else 0.0


def by_both(rows: Rows) -> float:
    return max(by_example(rows), two_way(rows[0].astype(float), rows[1], rows[2])[1])


@pytest.mark.parametrize(
    ("test", "world", "least", "most"),
    [
        # Nothing between the arms: at most one in twenty is to be told, give or take what 200 trials allow.
        (by_example, {"seeds": 1, "drawn": 300, "split": 872}, 0, 0.08),
        (interval_misses_zero, {"seeds": 1, "drawn": 300, "split": 872}, 0, 0.09),
        # Seeds that draw from one split share examples: those are resampled and flipped, not their answers.
        (by_example, {"seeds": 5, "drawn": 250, "split": 400}, 0, 0.08),
        (interval_misses_zero, {"seeds": 5, "drawn": 250, "split": 400}, 0, 0.09),
        (by_answer, {"seeds": 5, "drawn": 250, "split": 400}, 0.12, 1),
        # Trainings differ: a test of the examples tells two sets of models apart, not two methods.
        (by_both, {"seeds": 5, "drawn": 250, "split": 872, "training": 0.4}, 0, 0.08),
        (by_both, {"seeds": 5, "drawn": 250, "split": 20_000, "training": 0.4}, 0, 0.08),
        (by_both, {"seeds": 5, "drawn": 250, "split": 250}, 0, 0.08),
        (by_example, {"seeds": 5, "drawn": 250, "split": 872, "training": 0.4}, 0.2, 1),
        (seeds_drawn_again_miss_zero, {"seeds": 5, "drawn": 250, "split": 872, "training": 0.4}, 0.12, 0.25),
        # About ten points are told with 300 examples.
        (by_example, {"seeds": 1, "drawn": 300, "split": 872, "gap": 0.53}, 0.75, 1),
        (by_both, {"seeds": 5, "drawn": 300, "split": 872, "gap": 0.53, "training": 0.1}, 0.75, 1),
    ],
)
def test_how_often_simulated_arms_are_told_apart(
    test: Callable[[Rows], float],
    world: dict[str, float],
    least: float,
    most: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("earlyrobust.statistics.significance.RESAMPLES", 1_000)  # for speed
    random = np.random.default_rng(11)
    told = [test(simulated(random, **world)) < 0.05 for _ in range(200)]  # type: ignore[arg-type]
    assert least <= np.mean(told) <= most


def test_a_gap_of_the_simulation_is_about_ten_points() -> None:
    random = np.random.default_rng(4)
    assert 9 < 100 * np.mean(simulated(random, 1, 50_000, 50_000, gap=0.53)[0]) < 11


# --- several seeds -----------------------------------------------------------------------------------------


def test_two_seeds_have_the_interval_of_their_examples(tmp_path: Path) -> None:
    arms: dict[str, Seeds] = {
        "finetune": {seed: {"textfooler": "x" * 30} for seed in range(2)},
        "pgd": {0: {"textfooler": "r" * 6 + "x" * 24}, 1: {"textfooler": "r" * 9 + "x" * 21}},
    }
    summary = by_arm(Comparison.load(save(tmp_path, arms)))["pgd"]
    found = summary.differences["Aua%, textfooler"]
    assert (found.basis, found.spread, found.examples) == ("examples", None, 60)
    assert found.mean.value == pytest.approx(25)
    assert found.p == pytest.approx(2 / 2**15)
    # 15 of 60, resampled: not the ± 64 points that Student's t makes of 20 and 30.
    assert 13 < found.mean.low < 17
    assert 33 < found.mean.high < 38
    # One arm alone: Wilson's interval of as many examples as one seed has, around 7.5 of 30.
    aua = summary.measures["Aua%, textfooler"]
    assert 100 * Accuracy.of(7, 30).low < aua.low < 100 * Accuracy.of(8, 30).low
    assert 100 * Accuracy.of(7, 30).high < aua.high < 100 * Accuracy.of(8, 30).high
    assert summary.measures["Training s"].low == summary.measures["Training s"].high


@pytest.mark.parametrize(("seeds", "basis"), [(3, "examples"), (4, "examples"), (5, "examples and seeds")])
def test_how_seeds_differ_is_told_from_three_on(tmp_path: Path, seeds: int, basis: str) -> None:
    right = [6, 9, 12, 3, 5][:seeds]
    arms: dict[str, Seeds] = {
        "finetune": {seed: {"textfooler": "x" * 30} for seed in range(seeds)},
        "pgd": {seed: {"textfooler": "r" * n + "x" * (30 - n)} for seed, n in enumerate(right)},
    }
    found = by_arm(Comparison.load(save(tmp_path, arms)))["pgd"].differences["Aua%, textfooler"]
    gaps = [100 * n / 30 for n in right]
    assert found.basis == basis
    assert found.spread == pytest.approx(np.std(gaps, ddof=1))
    assert found.mean.value == pytest.approx(np.mean(gaps))
    exact = 2 / 2 ** sum(right)
    if basis == "examples":
        assert found.p == pytest.approx(exact)
    else:
        assert found.p is not None
        assert exact < found.p < 0.05
        # Every seed has other examples, so that the seeds alone say all there is to say.
        student = stats.ttest_1samp(gaps, 0).confidence_interval(0.95)
        assert (found.mean.low, found.mean.high) == pytest.approx(tuple(student), abs=0.5)


# --- verdicts ----------------------------------------------------------------------------------------------

ON_MODELS = (
    "These verdicts are on the trained models, not on the methods: the intervals cover the choice of the "
    "examples, and one seed does not show how much trainings differ. From 5 seeds on, as `earlyrobust "
    "compare --seeds 5` trains them, the intervals cover both."
)
NOT_PAIRED = "the comparison with finetune is not example by example"
UNPAIRED = "These intervals are Newcombe's for unpaired examples, and do not cover other trainings."


def of_one_seed(tmp_path: Path, mine: str, base: str, **rest: int) -> Path:
    arms: dict[str, Seeds] = {"finetune": {0: {"textfooler": base}}, "pgd": {0: {"textfooler": mine}}}
    return save(tmp_path, arms, **{name: {"pgd": value} for name, value in rest.items()})


@pytest.mark.parametrize(
    ("mine", "base", "says"),
    [
        (
            "r" * 20 + "x" * 20,
            "r" * 8 + "x" * 32,
            "pgd is more robust than finetune under textfooler: +30.0, +17.5 to +45.0 (p = 0.00049).",
        ),
        (
            "r" * 8 + "x" * 32,
            "r" * 20 + "x" * 20,
            "pgd is less robust than finetune under textfooler: −30.0, −45.0 to −17.5 (p = 0.00049).",
        ),
        (
            "r" * 10 + "x" * 30,
            "r" * 8 + "x" * 31 + "r",
            "pgd is not distinguishable from finetune under textfooler: +2.5, −5.0 to +12.5 (p = 1).",
        ),
        (
            "r" * 10 + "-" * 10 + "x" * 20,
            "r" * 10 + "x" * 10 + "-" * 20,
            "pgd gives the same answers as finetune under textfooler, on all 40 examples.",
        ),
        (
            "r" * 40,
            "x" * 40,
            "pgd is more robust than finetune under textfooler: +100.0, +100.0 to +100.0 (p < 0.0001).",
        ),
    ],
    ids=["more", "less", "not distinguishable", "same answers", "always"],
)
def test_one_seed_has_a_verdict(tmp_path: Path, mine: str, base: str, says: str) -> None:
    assert told(of_one_seed(tmp_path, mine, base)) == [says, ON_MODELS]


def test_an_arm_that_guesses_has_no_verdict(tmp_path: Path) -> None:
    folder = of_one_seed(tmp_path, "r" * 40, "x" * 40, clean=50)
    comparison = Comparison.load(folder)
    assert told(folder) == []
    assert headlines(comparison, summarise(comparison))[-1].startswith("The comparison does not count pgd:")


def test_nothing_is_compared_with_a_baseline_that_guesses(tmp_path: Path) -> None:
    arms: dict[str, Seeds] = {arm: {0: {"textfooler": "rrxx"}} for arm in ("finetune", "pgd")}
    folder = save(tmp_path, arms, clean={"finetune": 50})
    assert told(folder) == [
        "Robustness is not compared, because finetune is not distinguishably more accurate than always "
        "naming the largest class."
    ]


@pytest.mark.parametrize(
    ("seeds", "says"),
    [
        (2, "two seeds are too few to show how much trainings differ"),
        (3, "the standard deviation between seeds shows how much trainings differ"),
        (5, "cover the choice of the examples and the choice of the seeds"),
    ],
)
def test_a_verdict_of_several_seeds_says_what_it_covers(tmp_path: Path, seeds: int, says: str) -> None:
    arms: dict[str, Seeds] = {
        "finetune": {seed: {"textfooler": "x" * 20} for seed in range(seeds)},
        "pgd": {seed: {"textfooler": "r" * (8 + seed) + "x" * (12 - seed)} for seed in range(seeds)},
    }
    first, last = told(save(tmp_path, arms))
    assert first.startswith("pgd is more robust than finetune under textfooler: +")
    assert (f"standard deviation between {seeds} seeds 5.0" in first) == (seeds == 3)
    assert says in last


def test_an_attack_that_says_something_else_is_told(tmp_path: Path) -> None:
    attacks = ("textfooler", "textbugger", "bert-attack")
    arms: dict[str, Seeds] = {
        "finetune": {0: dict(zip(attacks, ("x" * 40, "r" * 20 + "x" * 20, "x" * 40), strict=True))},
        "pgd": {0: dict(zip(attacks, ("r" * 20 + "x" * 20, "x" * 40, "x" * 40), strict=True))},
        "freelb": {0: dict(zip(attacks, ("r" * 20 + "x" * 20, "r" * 20 + "x" * 20, "x" * 40), strict=True))},
    }
    first, second, _ = told(save(tmp_path, arms))
    assert first == (
        "pgd is not distinguishable from finetune on average over 3 attacks: +0.0, +0.0 to +0.0 (p = 1); "
        "under textfooler alone more robust: +50.0, +35.0 to +65.0 (p < 0.0001 after Holm's correction); "
        "under textbugger alone less robust: −50.0, −65.0 to −35.0 (p < 0.0001 after Holm's correction)."
    )
    # What says the same as the mean is not said again.
    assert second == (
        "freelb is more robust than finetune on average over 3 attacks: +16.7, +11.7 to +21.7 (p < 0.0001 "
        "after Holm's correction)."
    )


def test_a_p_that_the_correction_raises_above_the_limit_is_explained(tmp_path: Path) -> None:
    arms: dict[str, Seeds] = {"finetune": {0: {"textfooler": "x" * 20}}}
    arms |= {f"arm{number}": {0: {"textfooler": "r" * 6 + "x" * 14}} for number in range(2)}
    sentences = told(save(tmp_path, arms))
    # Six answers in one direction: p = 2 / 2^6 = 0.03125, doubled by the correction for two arms.
    assert re.search(r"\(p = 0\.031, p = 0\.06[23] after Holm.s correction\)\.$", sentences[0])
    assert sentences[0].startswith("arm0 is not distinguishable from finetune under textfooler: +30.0, +10.0")
    assert sentences[-1].startswith("An interval excludes 0 although p is not below 0.05: ")


def test_an_arm_that_only_some_attacks_were_run_on_has_a_verdict_for_those(tmp_path: Path) -> None:
    arms: dict[str, Seeds] = {
        "finetune": {0: {"textfooler": "x" * 20, "textbugger": "x" * 20}},
        "pgd": {0: {"textfooler": "r" * 10 + "x" * 10}},
    }
    first, _ = told(save(tmp_path, arms))
    assert first.startswith("pgd is more robust than finetune under textfooler: +50.0")
    assert "textbugger" not in first


def test_a_run_is_compared_with_the_dense_model_beside_it(tmp_path: Path) -> None:
    journals = {"model.jsonl": "r" * 20 + "x" * 20, "dense.jsonl": "r" * 8 + "x" * 32}
    records = {name: AttackRecord.of(examples_of(ends), {}, name) for name, ends in journals.items()}
    (tmp_path / ATTACKS_FOLDER).mkdir()
    for name, ends in journals.items():
        with Journal(tmp_path / ATTACKS_FOLDER / name, {"attack": "textfooler"}) as journal:
            for example in examples_of(ends):
                journal.add(example)
    alone = a_run(80, {"textfooler": records["model.jsonl"]})
    run = dataclasses.replace(
        alone, dense=dataclasses.replace(alone.model, attacks={"textfooler": records["dense.jsonl"]})
    )
    verdict, basis = verdicts_on_run(run, tmp_path)
    assert verdict.startswith(
        f"The {run.title} is more robust than the dense model under textfooler: +30.0, "
    )
    assert basis == ON_MODELS
    comparison = Comparison.of_run(run, tmp_path)
    assert comparison is not None
    (gap,) = (
        arm.differences["Aua%, textfooler"] for arm in summarise(comparison) if arm.name != "the dense model"
    )
    assert gap.p == pytest.approx(stats.binomtest(12, 12).pvalue)  # McNemar's exact test
    assert verdicts_on_run(dataclasses.replace(run, dense=None), tmp_path) == []


# --- what cannot be paired ---------------------------------------------------------------------------------


def journal_of(folder: Path, arm: str, seed: int) -> Path:
    (cell,) = (c for c in Comparison.load(folder).record.cells if (c.arm, c.seed) == (arm, seed))
    return folder / cell.folder / ATTACKS_FOLDER / "textfooler.jsonl"


def remove(journal: Path) -> None:
    journal.unlink()


def move(journal: Path) -> None:
    shutil.rmtree(journal.parent)


def cut_short(journal: Path) -> None:
    journal.write_text("\n".join(journal.read_text().splitlines()[:-1]) + "\n")


def damage(journal: Path) -> None:
    journal.write_text(journal.read_text().replace('"failed"', '"gone"'))


def empty(journal: Path) -> None:
    journal.write_text("")


@pytest.mark.parametrize("arm", ["finetune", "pgd"])
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(remove, MISSING), (move, MISSING), (cut_short, OF_ANOTHER), (damage, DAMAGED), (empty, DAMAGED)],
)
def test_without_a_journal_counts_are_compared_and_it_is_said(
    tmp_path: Path, arm: str, spoil: Callable[[Path], None], reason: str
) -> None:
    folder = of_one_seed(tmp_path, "r" * 20 + "x" * 20, "r" * 8 + "x" * 32)
    spoil(journal_of(folder, arm, 0))
    found = by_arm(Comparison.load(folder))["pgd"].differences
    gap = found["Aua%, textfooler"]
    assert (gap.basis, gap.reason, gap.examples) == ("counts", reason, None)
    assert gap.p == pytest.approx(stats.fisher_exact([[20, 20], [8, 32]]).pvalue)
    assert gap.mean.low < 30 - 17.5  # wider than with pairs
    assert "Clean%, attacked" not in found
    first, second = told(folder)
    assert first.startswith("pgd is more robust than finetune under textfooler: +30.0, +9.")
    assert second == f"pgd: {NOT_PAIRED}, because {reason}. {UNPAIRED}"
    assert render_report(folder)


def publish(folder: Path) -> list[Path]:
    """Put a file of answers in the place of each run's journals, and return these files."""
    comparison = Comparison.load(folder)
    for cell in comparison.record.cells:
        run, attacks = folder / cell.folder, comparison.runs[cell.arm][cell.seed].model.attacks
        answers = {
            str(record.journal): found
            for name, record in attacks.items()
            if isinstance(found := comparison.answers(cell.arm, cell.seed, name), Answers)
        }
        save_answers(answers, run)
        shutil.rmtree(run / ATTACKS_FOLDER)
    return [folder / cell.folder / ANSWERS_NAME for cell in comparison.record.cells]


def test_a_file_of_answers_stands_for_the_journals(tmp_path: Path) -> None:
    ends = {"textfooler": "r" * 12 + "x" * 20 + "-" * 8, "pwws": "x" * 10 + "r" * 30}
    folder = save(
        tmp_path,
        {
            "finetune": {seed: dict.fromkeys(ends, "r" * 8 + "x" * 32) for seed in range(2)},
            "pgd": dict.fromkeys(range(2), ends),
        },
    )
    before = by_arm(Comparison.load(folder))["pgd"].differences
    files = publish(folder)
    assert by_arm(Comparison.load(folder))["pgd"].differences == before
    assert before["Aua%, pwws"].basis != "counts"
    text = files[0].read_text(encoding="utf-8")
    assert "text 0" not in text
    content = json.loads(text)
    content["clean"]["textfooler.jsonl"] += "1"
    files[0].write_text(json.dumps(content), encoding="utf-8")
    gap = by_arm(Comparison.load(folder))["pgd"].differences["Aua%, textfooler"]
    assert gap.reason == DAMAGED


def test_answers_to_different_examples_have_no_file(tmp_path: Path) -> None:
    one, other = (Answers(((number, "digest"),), np.array([True]), np.array([False])) for number in range(2))
    with pytest.raises(OutputError, match="different examples"):
        save_answers({"one.jsonl": one, "other.jsonl": other}, tmp_path)


def test_arms_attacked_on_different_examples_are_not_paired(tmp_path: Path) -> None:
    folder = save(
        tmp_path,
        {arm: {0: {"textfooler": "r" * 8 + "x" * 32}} for arm in ("finetune", "pgd", "freelb")},
        firsts={"pgd": 1},
    )
    summaries = by_arm(Comparison.load(folder))
    assert summaries["pgd"].differences["Aua%, textfooler"].reason == DIFFERENT
    assert summaries["freelb"].differences["Aua%, textfooler"].same
    assert told(folder)[1:] == [
        "freelb gives the same answers as finetune under textfooler, on all 40 examples.",
        ON_MODELS,
        f"pgd: {NOT_PAIRED}, because {DIFFERENT}. {UNPAIRED}",
    ]


def test_more_examples_of_one_arm_are_different_examples(tmp_path: Path) -> None:
    folder = of_one_seed(tmp_path, "r" * 8 + "x" * 12, "r" * 8 + "x" * 32)
    gap = by_arm(Comparison.load(folder))["pgd"].differences["Aua%, textfooler"]
    assert (gap.reason, gap.mean.value) == (DIFFERENT, pytest.approx(20))


def test_three_seeds_without_journals_are_compared_as_by_student(tmp_path: Path) -> None:
    arms: dict[str, Seeds] = {
        "finetune": {seed: {"textfooler": "x" * 40} for seed in range(3)},
        "pgd": {seed: {"textfooler": "r" * (10 + seed) + "x" * (30 - seed)} for seed in range(3)},
    }
    folder = save(tmp_path, arms)
    remove(journal_of(folder, "pgd", 1))
    gap = by_arm(Comparison.load(folder))["pgd"].differences["Aua%, textfooler"]
    student = stats.ttest_1samp([25, 27.5, 30], 0)
    assert (gap.basis, gap.p) == ("seeds", pytest.approx(student.pvalue))
    assert (gap.mean.low, gap.mean.high) == pytest.approx(tuple(student.confidence_interval(0.95)))
    assert told(folder)[1] == (
        f"pgd: {NOT_PAIRED}, because {MISSING}. These intervals are Student's over seeds."
    )


# --- what is shown -----------------------------------------------------------------------------------------


def test_raw_and_adjusted_p_are_in_csv_and_json(tmp_path: Path) -> None:
    arms: dict[str, Seeds] = {
        "finetune": {0: {"textfooler": "x" * 40}},
        "pgd": {0: {"textfooler": "r" * 20 + "x" * 20}},
        "freelb": {0: {"textfooler": "rrrrrr" + "x" * 34}},
    }
    folder = save(tmp_path, arms)
    files = {path.name for path in render_report(folder)}
    assert "comparison-differences.json" in files
    content = json.loads((folder / "comparison-differences.json").read_text(encoding="utf-8"))
    summaries = by_arm(Comparison.load(folder))
    with (folder / "comparison-differences.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["method"]: row for row in csv.DictReader(file)}
    found = {(entry["method"], entry["measure"]): entry for entry in content["differences"]}
    assert content["baseline"] == "finetune"
    assert content["verdicts"] == told(folder)
    for arm, raw, adjusted, verdict in (
        ("pgd", 2 / 2**20, 4 / 2**20, "more"),
        ("freelb", 2 / 2**6, 2 / 2**6, "more"),
    ):
        entry = found[arm, "Aua%, textfooler"]
        assert (entry["p"], entry["p_adjusted"]) == pytest.approx((raw, adjusted))
        assert (entry["verdict"], entry["rests_on"], entry["seeds"], entry["examples"]) == (
            verdict,
            "examples",
            1,
            40,
        )
        row = rows[arm]
        assert float(row["Aua%, textfooler p"]) == pytest.approx(raw)
        assert float(row["Aua%, textfooler p adjusted"]) == pytest.approx(adjusted)
        mean = summaries[arm].differences["Aua%, textfooler"].mean
        assert [entry["difference"], entry["low"], entry["high"]] == [mean.value, mean.low, mean.high]
    page = read(folder / "report.html").text
    markdown = (folder / "comparison.md").read_text(encoding="utf-8")
    for sentence in told(folder):
        assert sentence in markdown
        assert sentence in page


@pytest.mark.parametrize(
    ("others", "bold"),
    [
        ({"pgd": 30, "freelb": 10}, {"pgd"}),
        ({"pgd": 30, "freelb": 29}, set()),
        ({"pgd": 30, "freelb": 30}, set()),
        ({"pgd": 4, "freelb": 1}, set()),
        ({"pgd": 0, "freelb": 0}, set()),
    ],
)
def test_nothing_is_bold_within_noise(tmp_path: Path, others: dict[str, int], bold: set[str]) -> None:
    arms: dict[str, Seeds] = {
        arm: {0: {"textfooler": "r" * right + "x" * (40 - right)}}
        for arm, right in {"finetune": 0, **others}.items()
    }
    comparison = Comparison.load(save(tmp_path, arms))
    summaries = summarise(comparison)
    table = results_table(comparison, summaries)
    assert "Bold: the best value of its column, if a test distinguishes it from every other" in table.note
    marked = {
        (str(row[0]), name)
        for row in table.rows
        for name, cell in zip(table.columns, row, strict=True)
        if isinstance(cell, Number) and cell.best
    }
    assert marked == {(arm, "Aua%, textfooler") for arm in bold}
    first = headlines(comparison, summaries)[0]
    assert first.startswith("Most robust: pgd" if bold else "Highest accuracy under attack: ")
    assert ("cannot be distinguished from" in first) == (not bold)


def test_a_table_says_what_its_numbers_rest_on(tmp_path: Path) -> None:
    folder = of_one_seed(tmp_path, "r" * 20 + "x" * 20, "r" * 8 + "x" * 32)
    comparison = Comparison.load(folder)
    table = difference_table(comparison, summarise(comparison))
    assert table is not None
    assert table.columns == ["method", "Clean%", "Weakest class Aua%", "Aua%, textfooler", "Clean%, attacked"]
    assert [str(cell) for cell in table.rows[0][3:]] == [
        "+30.0 (+17.5 to +45.0), p = 0.00049",
        "+0.0 (+0.0 to +0.0), p = 1",
    ]
    for words in (
        "McNemar",
        "Fisher",
        "Holm's correction for the tests of this table, 2 of Clean%, 1 of Aua% and 1 of Weakest class Aua%",
    ):
        assert words in table.note
    assert "Student" not in table.note


def test_answers_before_the_attack_are_compared_too(tmp_path: Path) -> None:
    folder = of_one_seed(tmp_path, "x" * 40, "x" * 30 + "-" * 10)
    found = by_arm(Comparison.load(folder))["pgd"].differences
    assert found["Clean%, attacked"].mean.value == pytest.approx(25)
    assert found["Clean%, attacked"].p == pytest.approx(2 / 2**10)
    assert found["Aua%, textfooler"].same


def test_seeds_that_attack_the_same_texts_share_examples(tmp_path: Path) -> None:
    """Indices do not tell: the texts do."""
    folder = tmp_path / "same"
    arms: dict[str, Seeds] = {
        "finetune": {0: {"textfooler": "x" * 10}, 1: {"textfooler": "x" * 10}},
        "pgd": {0: {"textfooler": "r" * 6 + "x" * 4}, 1: {"textfooler": "r" * 6 + "x" * 4}},
    }
    save(folder, arms)
    for arm in arms:
        journal = journal_of(folder, arm, 1)
        journal.write_text(journal.read_text().replace("text 100", "text "))
    gap = by_arm(Comparison.load(folder))["pgd"].differences["Aua%, textfooler"]
    assert (gap.examples, gap.seeds) == (10, 2)
    assert gap.p == pytest.approx(2 / 2**6)  # six examples, not twelve


def test_an_earlier_comparison_is_compared_as_before() -> None:
    golden = Path(__file__).parent / "golden" / "formats" / "comparison"
    comparison = Comparison.load(golden)
    assert comparison.folder == golden
    gap = by_arm(comparison)["pgd"].differences
    assert {found.basis for found in gap.values()} == {"counts"}
    assert dataclasses.replace(comparison, folder=None).runs == comparison.runs
