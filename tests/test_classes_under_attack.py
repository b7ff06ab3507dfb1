"""Results by class: the weakest class, and classifiers that fall back to one class."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from test_summary import a_run, compared
from test_validity import an_example

from earlyrobust.analysis.answers import DIFFERENT, MISSING, WITHOUT_CLASSES, Answers
from earlyrobust.analysis.differences import difference
from earlyrobust.analysis.doubts import fallback_class
from earlyrobust.analysis.findings import fallbacks_of, find_faults
from earlyrobust.analysis.summary import summarise
from earlyrobust.analysis.weakest import bootstrap_weakest, weakest_class
from earlyrobust.journal import AttackedExample
from earlyrobust.reports.comparisons import results_table
from earlyrobust.reports.numbers import attack_cells
from earlyrobust.reports.runs import results_table as table_of_run
from earlyrobust.reports.tables import to_markdown
from earlyrobust.reports.validity import faults_of_runs
from earlyrobust.results import AttackRecord
from earlyrobust.statistics.measures import WEAKEST, Accuracy
from earlyrobust.statistics.significance import bootstrap_counts


def examples_of(*statuses: Sequence[tuple[str, int]]) -> list[AttackedExample]:
    """Return examples of each class: pairs of a status and the prediction after the attack."""
    found: list[AttackedExample] = []
    for label, of_class in enumerate(statuses):
        for status, predicted in of_class:
            found.append(an_example(len(found), status, label=label, predicted=predicted))
    return found


def of_two(negative: int, positive: int, total: int = 100) -> AttackRecord:
    """Return the record of an attack that so many texts of each class withstand."""
    examples = examples_of(
        [("failed", 0)] * negative + [("succeeded", 1)] * (total - negative),
        [("failed", 1)] * positive + [("succeeded", 0)] * (total - positive),
    )
    return AttackRecord.of(examples, {}, class_names=["negative", "positive"])


def test_each_class_is_counted_by_itself() -> None:
    examples = examples_of(
        [("failed", 0), ("failed", 0), ("succeeded", 2), ("skipped", 1)],
        [],
        [("failed", 2), ("succeeded", 0), ("succeeded", 0), ("succeeded", 1), ("skipped", 0)],
    )
    record = AttackRecord.of(examples, {}, class_names=["a", "b"])
    assert record.classes is not None
    # A class without examples is left out. A class without a name gets its number.
    assert [found.name for found in record.classes] == ["a", "class 2"]
    first, last = record.classes
    assert (first.clean, first.under_attack, first.named) == (Accuracy.of(3, 4), Accuracy.of(2, 4), 2)
    assert (last.clean, last.under_attack, last.named) == (Accuracy.of(4, 5), Accuracy.of(1, 5), 1)
    assert record.weakest == last
    # The classes add up to the whole.
    assert sum(found.under_attack.correct for found in record.classes) == record.under_attack.correct
    assert sum(found.clean.correct for found in record.classes) == record.clean.correct
    assert AttackRecord.of(examples[::-1], {}, class_names=["a", "b"]) == record


def test_one_class_has_no_weakest() -> None:
    record = AttackRecord.of(examples_of([("failed", 0)] * 3), {})
    assert record.weakest is None
    assert attack_cells(record)[WEAKEST] == "–"


@pytest.mark.parametrize(
    ("negative", "positive", "told"),
    [
        (62, 0, "(62.0 % and 0.0 %)"),
        (40, 10, "(40.0 % and 10.0 %)"),
        (40, 11, None),  # less than four times
        (60, 40, None),
        (30, 30, None),
        (0, 0, None),
    ],
)
def test_a_class_that_unreadable_texts_fall_back_to_is_named(
    negative: int, positive: int, told: str | None
) -> None:
    found = fallback_class("The model", {"deepwordbug": of_two(negative, positive)})
    if told is None:
        assert found == []
    else:
        (sentence,) = found
        assert "on the class 'negative' than on other classes" in sentence
        assert told in sentence
    # It does not matter which class it is.
    assert len(fallback_class("The model", {"deepwordbug": of_two(positive, negative)})) == len(found)


def test_few_examples_name_no_fallback() -> None:
    assert fallback_class("The model", {"pwws": of_two(4, 0, total=5)}) == []
    assert fallback_class("The model", {"pwws": of_two(40, 0, total=50)}) != []


def test_broken_texts_that_end_in_many_classes_name_no_fallback() -> None:
    robust = [("failed", 0)] * 60 + [("succeeded", 1)] * 40
    astray = [("succeeded", 2)] * 50 + [("succeeded", 0)] * 50
    record = AttackRecord.of(examples_of(robust, astray, [("succeeded", 1)] * 100), {})
    assert fallback_class("The model", {"pwws": record}) == []
    home = [("succeeded", 0)] * 100
    record = AttackRecord.of(examples_of(robust, home, home), {})
    assert fallback_class("The model", {"pwws": record}) != []


def test_attacks_with_one_fallback_share_a_sentence() -> None:
    attacks = {"pwws": of_two(50, 2), "deepwordbug": of_two(62, 0), "textfooler": of_two(30, 30)}
    (sentence,) = fallback_class("The model", attacks)
    assert "under pwws (50.0 % and 2.0 %) and under deepwordbug (62.0 % and 0.0 %)" in sentence
    assert "textfooler" not in sentence


def test_a_record_with_and_without_classes_survives_json(tmp_path: Path) -> None:
    for number, attack in enumerate((of_two(3, 2), dataclasses.replace(of_two(3, 2), classes=None))):
        run = a_run(attacks={"pwws": attack})
        run.save(tmp_path / str(number))
        again = type(run).load(tmp_path / str(number))
        assert again.model.attacks["pwws"] == attack
        shown = to_markdown([table_of_run(again)])
        assert (f"{WEAKEST}, pwws" in shown) == (attack.classes is not None)


def test_a_run_names_the_fallback_of_each_model() -> None:
    run = a_run(clean=90, attacks={"pwws": of_two(62, 0)})
    told = [fault for fault in find_faults(run) if "falls" in fault or "cannot read" in fault]
    assert [sentence.split(" stays")[0] for sentence in told] == [f"The {run.title}"]


def test_a_comparison_leaves_the_fallback_to_its_column() -> None:
    run = a_run(clean=90, attacks={"pwws": of_two(62, 0)})
    run = dataclasses.replace(run, findings=find_faults(run))
    assert fallbacks_of(run)
    told = faults_of_runs(compared({"finetune": {0: run}}))
    assert not [sentence for sentence in told if "cannot read" in sentence]


def by_arm(*pairs: tuple[AttackRecord, AttackRecord]) -> dict[int, Any]:
    return {
        seed: a_run(attacks={"pwws": first, "deepwordbug": second})
        for seed, (first, second) in enumerate(pairs)
    }


def test_a_comparison_shows_the_weakest_class() -> None:
    mine = by_arm(
        (of_two(40, 30), of_two(20, 26)), (of_two(40, 32), of_two(20, 26)), (of_two(9, 30), of_two(25, 25))
    )
    theirs = by_arm(
        (of_two(60, 10), of_two(60, 0)), (of_two(60, 10), of_two(60, 0)), (of_two(60, 12), of_two(60, 0))
    )
    comparison = compared({"finetune": theirs, "ours": mine})
    assert [weakest_class(run, comparison.attacks) for run in mine.values()] == [25, 26, 17]
    gap = difference(comparison, "ours", "finetune", WEAKEST)
    assert gap is not None
    assert gap.mean.value == pytest.approx((20 + 21 + 11) / 3)
    assert (gap.basis, gap.seeds) == ("seeds", 3)
    assert gap.p is not None
    summaries = summarise(comparison)
    table = results_table(comparison, summaries)
    column = table.columns.index(WEAKEST)
    assert [str(row[column]).split(" ")[0] for row in table.rows] == ["5.3", "22.7"]
    assert "the mean over attacks" in table.note


def test_a_comparison_of_older_records_has_no_such_column() -> None:
    old = dataclasses.replace(of_two(40, 30), classes=None)
    comparison = compared({"finetune": by_arm((old, old)), "ours": by_arm((of_two(40, 30), old))})
    assert WEAKEST not in results_table(comparison, summarise(comparison)).columns
    assert difference(comparison, "ours", "finetune", WEAKEST) is None


def test_the_bootstrap_finds_the_weakest_class_of_each_resample() -> None:
    random = np.random.default_rng(0)
    labels = np.array([0] * 12 + [1] * 18)
    drawn = tuple((index, f"{index}") for index in range(len(labels)))

    def answers(chance: float) -> list[Answers]:
        right = [random.random(len(labels)) < chance for _ in range(2)]
        return [Answers(drawn, np.ones(len(labels), bool), robust, labels) for robust in right]

    mine, theirs = {0: answers(0.7), 1: answers(0.7)}, {0: answers(0.4), 1: answers(0.4)}
    found = bootstrap_weakest(mine, theirs)
    assert not isinstance(found, str)
    counts = bootstrap_counts(len(labels))
    assert counts.sum(axis=1).tolist() == [len(labels)] * len(counts)

    def weakest(arm: dict[int, list[Answers]], resample: NDArray[np.uint16]) -> float:
        picked = np.repeat(np.arange(len(labels)), resample)
        return float(
            np.mean(
                [
                    min(one.robust[picked[labels[picked] == label]].mean() for label in (0, 1))
                    for of_seed in arm.values()
                    for one in of_seed
                ]
            )
        )

    differences = [100 * (weakest(mine, resample) - weakest(theirs, resample)) for resample in counts]
    low, high = np.quantile(differences, (0.025, 0.975))
    assert found[:2] == pytest.approx((low, high))
    beyond = min(sum(gap <= 0 for gap in differences), sum(gap >= 0 for gap in differences))
    assert found[2] == pytest.approx(min(1.0, 2 * (beyond + 1) / (len(differences) + 1)))


def test_each_copy_of_a_text_counts_in_the_bootstrap() -> None:
    # Half of the examples of class 0 are copies of one text, which only the first arm withstands.
    digests = ["copied"] * 20 + [f"{number}" for number in range(60)]
    labels = np.array([0] * 40 + [1] * 40)
    drawn = tuple(enumerate(digests))
    right = np.ones(len(labels), bool)
    robust = np.array([digest != "copied" for digest in digests])
    mine, theirs = (Answers(drawn, right, found, labels) for found in (right, robust))
    found = bootstrap_weakest({0: [mine]}, {0: [theirs]})
    assert not isinstance(found, str)
    # The number of times that the copied text is drawn is close to a Poisson number with mean 1.
    assert found[0] == 0
    assert found[1] == pytest.approx(100 * 60 / 80, abs=10)


def test_answers_without_classes_or_of_other_examples_are_not_bootstrapped() -> None:
    one = Answers(((0, "a"),), np.ones(1, bool), np.ones(1, bool), np.zeros(1, int))
    assert bootstrap_weakest({0: [dataclasses.replace(one, labels=None)]}, {0: [one]}) == WITHOUT_CLASSES
    assert bootstrap_weakest({0: [dataclasses.replace(one, examples=((0, "b"),))]}, {0: [one]}) == DIFFERENT
    assert bootstrap_weakest({0: [MISSING]}, {0: [one]}) == MISSING
