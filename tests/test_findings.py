"""Training that goes wrong says so: in the record, on screen, and with what to try."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
from conftest import QUICK, Outcome, call, write_reviews
from test_examples_page import read

from earlyrobust import PGD, AdversarialTrainer, FreeLB
from earlyrobust.analysis.findings import find_faults, known_words
from earlyrobust.errors import TrainingError
from earlyrobust.results import AttackRecord, RunRecord
from earlyrobust.statistics.measures import Accuracy
from earlyrobust.tickets.ticket import Miniepoch


@pytest.fixture(scope="module")
def healthy(finished: tuple[Path, Outcome]) -> RunRecord:
    """A record in which nothing is wrong."""
    record = RunRecord.load(finished[0])
    assert record.search is not None
    assert record.dense is not None
    settled = [Miniepoch(20 * number, 0.05, 0.05, number) for number in range(1, 4)]
    good = {"test": Accuracy.of(90, 100), "classes_named": 2}
    return replace(
        record,
        data=replace(record.data, largest_class=0.5),
        model=replace(record.model, **good),
        dense=replace(record.dense, **good),
        search=replace(record.search, miniepochs=settled, stop_reason="converged"),
        ticket_origin={**record.ticket_origin, "classes_named": 2},
    )


def test_nothing_is_found_where_nothing_is_wrong(healthy: RunRecord) -> None:
    assert find_faults(healthy) == []


@pytest.mark.parametrize("which", ["model", "dense"])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"classes_named": 1}, "gives every text of the test split the same class"),
        (
            {"test": Accuracy.of(55, 100)},
            "is not distinguishably more accurate than always naming the largest class",
        ),
        ({"test": Accuracy.of(55, 100), "classes_named": None}, "is not distinguishably more accurate than"),
    ],
)
def test_a_model_that_guesses_is_found(
    which: str, change: dict[str, Any], told: str, healthy: RunRecord
) -> None:
    change = {"confusion": None, **change}
    (found,) = find_faults(replace(healthy, **{which: replace(getattr(healthy, which), **change)}))
    assert found.startswith("The ticket " if which == "model" else "The dense model ")
    assert told in found
    assert "means nothing. Try a smaller --learning-rate" in found


def test_texts_that_lose_their_end_are_named_where_nothing_is_learned(healthy: RunRecord) -> None:
    rows = healthy.data.sizes["train"]
    guessing = replace(healthy, model=replace(healthy.model, classes_named=1))
    for cut, more, named in (
        *((rows, True, True), (rows // 2, True, False), (0, True, False)),
        *((rows, False, False), (rows, None, False)),  # the command may refuse a larger number
    ):
        data = replace(healthy.data, max_length=64, cut={"train": cut, "test": 3}, reads_more=more)
        (found,) = find_faults(replace(guessing, data=data))
        assert (f"Try a larger --max-length first: {rows:,} of {rows:,} training texts" in found) == named
        assert find_faults(replace(healthy, data=data)) == []


def searched(*distances: tuple[float | None, float | None]) -> list[Miniepoch]:
    return [Miniepoch(number, *pair, 0) for number, pair in enumerate(distances, start=1)]


@pytest.mark.parametrize(
    ("distances", "reason", "told"),
    [
        ([(None, None)], "limit", "before two masks could be compared"),
        ([(None, None), (None, None)], "limit", "before two masks could be compared"),
        ([(None, None), (0.0, 0.0), (0.0, 0.0)], "converged", "No mask ever moved"),
        # A sixth of the heads and three tenths of the neurons are cut: by chance 0.28 and 0.42.
        ([(None, None), (0.1, 0.05), (0.2, 0.05)], "limit", "no better than a random one"),
        ([(None, None), (0.0, 0.05), (0.0, 0.25)], "limit", "no better than a random one"),
        ([(None, None), (0.2, 0.3), (0.1, 0.1)], "limit", None),
        ([(None, None)], "fixed", None),
    ],
)
def test_a_search_that_ranks_nothing_is_found(
    distances: list[tuple[float | None, float | None]], reason: str, told: str | None, healthy: RunRecord
) -> None:
    assert healthy.search is not None
    search = replace(healthy.search, miniepochs=searched(*distances), stop_reason=reason)
    found = find_faults(replace(healthy, search=search))
    assert len(found) == (told is not None)
    if told is not None:
        assert told in found[0]


def test_a_search_whose_model_names_one_class_is_found(healthy: RunRecord) -> None:
    (found,) = find_faults(replace(healthy, ticket_origin={"classes_named": 1}))
    assert "the model began to give every text the same class" in found


def test_attacks_with_the_words_of_the_training_are_named() -> None:
    def attacked(source: str | None) -> AttackRecord:
        settings = {} if source is None else {"neighbours": source}
        right, withstood = Accuracy.of(9, 10), Accuracy.of(5, 10)
        return AttackRecord(settings, right, withstood, None, None, None, None)

    attacks = {"textfooler": attacked("A"), "textbugger": attacked("A"), "pwws": attacked("B")}
    attacks["deepwordbug"] = attacked(None)
    (told,) = known_words(["A", "C"], attacks)
    assert told.startswith(
        "The training replaced words with neighbours from the A, which textfooler and textbugger also use."
    )
    assert known_words([], attacks) == known_words(["C"], attacks) == []


def test_a_collapsed_run_says_so_in_its_record_on_screen_and_on_its_page(
    encoder: Path, tmp_path: Path
) -> None:
    data = write_reviews(tmp_path / "reviews.csv", 60)
    options = [*QUICK, "--learning-rate", "3", "--no-attack", "--no-dense", "--output", tmp_path / "run"]
    outcome = call("run", "--model", encoder, "--train-file", data, *options)
    assert outcome.code == 0, outcome
    record = RunRecord.load(tmp_path / "run")
    assert record.model.classes_named == 1
    assert record.findings == find_faults(record)
    assert any("gives every text of the test split the same class" in told for told in record.findings)
    for told in record.findings:
        assert f"Beware: {told}" in outcome.out
        assert told in read(tmp_path / "run" / "report.html").text
        assert told in (tmp_path / "run" / "model" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("adversary", [None, PGD(steps=1), FreeLB(steps=2)], ids=["none", "pgd", "freelb"])
def test_a_loss_that_is_no_number_ends_the_training_at_its_step(adversary: Any, tmp_path: Path) -> None:
    model = tiny.classifier()
    settings = {"processing_class": tiny.tokenizer(), "adversary": adversary}
    trainer = AdversarialTrainer(model, tiny.arguments(tmp_path), train_dataset=tiny.dataset(), **settings)
    model.classifier.weight.data[0, 0] = float("nan")
    with pytest.raises(TrainingError, match="its loss is nan at step 1: choose a smaller learning rate"):
        trainer.train()


def test_a_diverging_run_ends_with_a_sentence(encoder: Path, tmp_path: Path) -> None:
    data = write_reviews(tmp_path / "reviews.csv", 60)
    options = [*QUICK, "--adversary", "freelb,step_size=1e39,steps=2", "--no-attack", "--no-dense"]
    outcome = call("run", "--model", encoder, "--train-file", data, *options, "--output", tmp_path / "run")
    assert outcome.code == 2
    assert "The training has diverged, its loss is nan at step 1" in outcome.err
