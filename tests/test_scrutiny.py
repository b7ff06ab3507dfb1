"""Scrutiny sees through known illusions of robustness, and finds nothing where there is nothing to find."""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from conftest import call, write_csv
from scipy import stats
from test_attack_engine import Choices, Scorer
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from earlyrobust.attacks import ATTACKS, Example, Resources, Server, WordSwapAttack, run_attacks
from earlyrobust.attacks.scores import LOGIT_MARGIN, PROBABILITY, LogOdds
from earlyrobust.attacks.swaps import NeighbourSwaps
from earlyrobust.attacks.text import words_of
from earlyrobust.attacks.variants import LEAST_QUERIES, RandomSubstitutions, Replay
from earlyrobust.encoders import files_digest
from earlyrobust.errors import DataError, OutputError
from earlyrobust.evaluation import fit_temperature
from earlyrobust.journal import AttackedExample, read_journal
from earlyrobust.judging import attack, replay, replaying, scrutiny, subject
from earlyrobust.judging.scrutiny import fewer_candidates, other_words
from earlyrobust.options import AttackConfig, RunConfig
from earlyrobust.options import TestData as Data
from earlyrobust.pipeline import recipe
from earlyrobust.pipeline.splits import load_data
from earlyrobust.results import AttackRecord, AttackReport, CurveRecord, ReplayReport, ScrutinyRecord
from earlyrobust.statistics.measures import Accuracy
from earlyrobust.statistics.significance import breaks_more_p
from earlyrobust.workspace.folder import RunFolder
from earlyrobust.workspace.observer import Observer

GOLDEN = Path(__file__).parent / "golden"
VICTIM = GOLDEN / "victim-single"
EXAMPLES, FEW, CANDIDATES = 28, 8, 4


class ByTable(WordSwapAttack):
    """Replaces words by those of a table, without constraints: quick, and strong enough for a small model."""

    name = "table"
    description = "for tests"

    def __init__(self, resources: Resources, *, candidates: int = CANDIDATES) -> None:
        super().__init__(
            swaps=NeighbourSwaps(resources.neighbours, candidates),
            constraints=[],
            stop_words=frozenset({"the", "a", "and", "of", "to"}),
            ranking="delete",
        )


@pytest.fixture(autouse=True, scope="module")
def _attack() -> Iterator[None]:
    """Add the attack, and know of no list of words but those of the test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ATTACKS, "table", ByTable)
        patch.setattr(scrutiny, "sources_here", list)
        yield


def sentences() -> tuple[list[str], list[int]]:
    rows = json.loads((GOLDEN / "samples.json").read_text(encoding="utf-8"))["single"]
    return [row["texts"][0] for row in rows], [row["label"] for row in rows]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts, labels = sentences()
    return write_csv(
        tmp_path_factory.mktemp("data") / "texts.csv",
        {"text": [*texts], "label": [("negative", "positive")[label] for label in labels]},
    )


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Neighbours that the victim takes for a little more or less positive: one alone breaks few texts."""
    folder = tmp_path_factory.mktemp("lists")
    words = sorted({word.lower() for text in sentences()[0] for word in words_of(text)})
    margins = np.diff(logits_of(VICTIM, words), axis=1)[:, 0]
    order = [words[place] for place in np.argsort(margins, kind="stable")]
    found = {}
    for name, steps in {"own": (30, -30, 60, -60), "other": (20, -20, 40, -40)}.items():
        last = len(order) - 1
        near = [[order[min(max(place + step, 0), last)] for step in steps] for place in range(len(order))]
        found[name] = folder / f"{name}.parquet"
        pq.write_table(pa.table({"word": order, "neighbors": near}), found[name])
    return found


def logits_of(model: Path, texts: Sequence[str]) -> np.ndarray:
    classifier = AutoModelForSequenceClassification.from_pretrained(model).eval()
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokens = tokenizer(list(texts), padding=True, truncation=True, max_length=32, return_tensors="pt")
    with torch.no_grad():
        found: np.ndarray = classifier(**tokens).logits.numpy()
    return found


def write_scaled(folder: Path, factor: float) -> Path:
    """The victim with the logits of its head times a factor, as a folder."""
    model = AutoModelForSequenceClassification.from_pretrained(VICTIM)
    with torch.no_grad():
        model.classifier.weight *= factor
        model.classifier.bias *= factor
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(VICTIM).save_pretrained(folder)
    return folder


def scrutinise(
    model: Path, data: Path, lists: Mapping[str, Path], folder: Path, **options: Any
) -> tuple[AttackRecord, ScrutinyRecord]:
    report = attack(str(model), Data(test_file=data, max_length=32), config(lists, folder, **options))
    record = report.attacks["table"]
    assert record.scrutiny is not None
    assert (record.scrutiny.finding in report.findings) == (record.scrutiny.finding is not None)
    return record, record.scrutiny


def config(lists: Mapping[str, Path], folder: Path, **options: Any) -> AttackConfig:
    own = {"attack": "table", "examples": EXAMPLES, "neighbours": str(lists["own"]), "scrutiny": True}
    return AttackConfig.parse({**own, "output": folder, **options})


def broken(folder: Path, name: str = "table") -> set[int]:
    """The examples that an attack breaks, those included that are wrong from the start."""
    return {item.index for item in read_journal(folder / f"{name}.jsonl")[1] if item.status != "failed"}


@pytest.fixture(scope="module")
def honest(
    data: Path, lists: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, AttackRecord, ScrutinyRecord]:
    folder = tmp_path_factory.mktemp("honest") / "out"
    return folder, *scrutinise(VICTIM, data, lists, folder)


# --- Illusions ---------------------------------------------------------------------------------------------


def test_an_honest_model_is_cleared(honest: tuple[Path, AttackRecord, ScrutinyRecord]) -> None:
    folder, record, found = honest
    assert found.finding is None
    assert set(found.variants) == {"margin", "random"}
    # With two classes the margin ranks texts as the probability does.
    assert broken(folder, "table.margin") == broken(folder)
    assert (found.variants["margin"].only_variant, found.variants["margin"].only_plain) == (0, 0)
    assert found.variants["margin"].p == 1
    everything = broken(folder) | broken(folder, "table.random")
    assert found.under_scrutiny == Accuracy.of(EXAMPLES - len(everything), EXAMPLES)
    assert 0.1 < record.under_attack.value < record.clean.value - 0.3  # or else the rest would show nothing


def rounded(model: Any) -> None:
    """Makes a model show its logits with one decimal."""

    def cut(_: Any, __: Any, output: Any) -> Any:
        output.logits = output.logits.mul(10).round().div(10)
        return output

    model.register_forward_hook(cut)


@pytest.mark.parametrize(
    # In float32 the probabilities at a thousandth of the logits still differ enough.
    ("factor", "overstates"),
    [(1e3, True), (1e-3, False), (1e-7, True)],
    ids=str,
)
def test_a_temperature_is_seen_through(
    factor: float,
    overstates: bool,
    honest: tuple[Path, AttackRecord, ScrutinyRecord],
    data: Path,
    lists: dict[str, Path],
    tmp_path: Path,
) -> None:
    untouched, plain, _ = honest
    record, found = scrutinise(write_scaled(tmp_path / "model", factor), data, lists, tmp_path / "out")
    assert broken(tmp_path / "out", "table.margin") == broken(untouched)
    assert found.variants["margin"].under_attack == plain.under_attack
    assert found.under_scrutiny.correct <= plain.under_attack.correct
    assert found.temperature is not None
    assert found.temperature.value == pytest.approx(factor * temperature_of(honest), rel=0.02)
    if overstates:
        falls = f"Aua {100 * record.under_attack.value:.1f} falls to {100 * plain.under_attack.value:.1f}"
        told = f"The plain attack overstates robustness: {falls} when the score is the logit margin"
        assert found.finding is not None
        assert found.finding.startswith(told)
        assert record.under_attack.value > plain.under_attack.high
    else:
        assert found.finding is None
        assert record.under_attack == plain.under_attack


def temperature_of(honest: tuple[Path, AttackRecord, ScrutinyRecord]) -> float:
    fitted = honest[2].temperature
    assert fitted is not None
    return fitted.value


def test_rounded_logits_are_seen_through(
    honest: tuple[Path, AttackRecord, ScrutinyRecord],
    data: Path,
    lists: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load = subject.load_classifier

    def load_rounded(*arguments: Any) -> Any:
        model = load(*arguments)
        rounded(model)
        return model

    monkeypatch.setattr(subject, "load_classifier", load_rounded)
    record, found = scrutinise(VICTIM, data, lists, tmp_path / "out")
    assert record.under_attack.correct > honest[1].under_attack.correct
    assert honest[1].under_attack.low <= found.under_scrutiny.value <= honest[1].under_attack.high


def test_all_variants_are_compared_and_the_worst_case_counts(
    data: Path, lists: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrutiny, "sources_here", lambda: [str(lists["own"]), str(lists["other"])])
    run = write_run(tmp_path / "run", VICTIM, write_scaled(tmp_path / "scaled", 1000), data)
    folder = tmp_path / "out"
    record, found = scrutinise(run, data, lists, folder)
    assert list(found.variants) == ["margin", "words", "replay", "random"]
    assert set(found.left_out) == {"temperature"}
    plain, sets = broken(folder), {name: broken(folder, f"table.{name}") for name in found.variants}
    assert found.under_scrutiny.correct == EXAMPLES - len(plain.union(*sets.values()))
    chances = []
    for name, variant in found.variants.items():
        only_variant, only_plain = len(sets[name] - plain), len(plain - sets[name])
        assert (variant.only_variant, variant.only_plain) == (only_variant, only_plain)
        assert variant.under_attack == Accuracy.of(EXAMPLES - len(sets[name]), EXAMPLES)
        # The binomial tail, term by term.
        both = only_variant + only_plain
        tail = sum(math.comb(both, count) for count in range(only_variant, both + 1)) / 2**both
        assert variant.p == pytest.approx(tail)
        chances.append(tail)
    expected = stats.false_discovery_control  # Benjamini and Hochberg's is never above Holm's
    adjusted = [variant.adjusted_p for variant in found.variants.values()]
    assert all(ours >= theirs - 1e-12 for ours, theirs in zip(adjusted, expected(chances), strict=True))
    # What is replayed broke the dense model, which is the untouched one.
    header, examples = read_journal(folder / "table.other-model.jsonl")
    finals = {item.texts: item.final for item in examples if item.status == "succeeded"}
    assert "score" not in header
    for item in read_journal(folder / "table.replay.jsonl")[1]:
        if item.status == "succeeded":
            assert item.final == finals[item.texts]
    # Scaled logits err where the others do: each text breaks this model, too.
    assert sets["replay"] == {item.index for item in examples if item.status != "failed"}
    assert record.scrutiny == AttackReport.load(folder).attacks["table"].scrutiny


def write_run(folder: Path, dense: Path, model: Path, data: Path) -> Path:
    """The folder of a run as one leaves it that has trained both models."""
    options = RunConfig.build({"model": str(dense), "train_file": data, "max_length": 32})
    run = RunFolder(folder, {"command": "run"}, options.to_dict())
    with run.claimed(load_data(options).fingerprint, files_digest(options.model)):
        for name, source in (("dense", dense), ("model", model)):
            shutil.copytree(source, folder / name)
    return folder


def test_texts_that_a_run_has_found_are_not_looked_for_again(
    data: Path, lists: dict[str, Path], tmp_path: Path
) -> None:
    few, scaled = {"examples": FEW}, write_scaled(tmp_path / "scaled", 1000)
    run, again = (write_run(tmp_path / name, VICTIM, scaled, data) for name in ("run", "again"))
    first = scrutinise(run, data, lists, tmp_path / "first", **few)[1]
    (again / "attacks").mkdir()
    shutil.copy(tmp_path / "first" / "table.other-model.jsonl", again / "attacks" / "dense-table.jsonl")
    second = scrutinise(again, data, lists, tmp_path / "second", **few)[1]
    assert not (tmp_path / "second" / "table.other-model.jsonl").exists()
    assert second.variants == first.variants
    assert second.costs < first.costs


def test_more_than_two_classes_are_attacked_at_the_fitted_temperature(
    lists: dict[str, Path], tmp_path: Path
) -> None:
    import models

    names = ["anger", "calm", "joy"]
    config = {
        "labels": 3,
        "id2label": dict(enumerate(names)),
        "label2id": {n: i for i, n in enumerate(names)},
    }
    model = models.classifier("bert", **config)
    tokenizer = AutoTokenizer.from_pretrained(VICTIM)
    model.resize_token_embeddings(len(tokenizer))
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    texts = sentences()[0][:60]
    rows = {"text": [*texts], "label": [names[number % 3] for number in range(len(texts))]}
    record, found = scrutinise(
        tmp_path / "model",
        write_csv(tmp_path / "three.csv", rows),
        lists,
        tmp_path / "out",
        examples=12,
        candidates=1,
    )
    assert set(found.variants) == {"margin", "temperature", "random"}
    assert found.temperature is not None
    assert found.variants["temperature"].settings["temperature"] == found.temperature.value
    assert found.temperature.texts == 48
    assert record.clean.correct > 0


# --- The folder --------------------------------------------------------------------------------------------


class Stops(Observer):
    """Interrupts after some examples."""

    def __init__(self, after: int) -> None:
        self._left = after

    def attacked(self, done: Sequence[AttackedExample], total: int) -> None:
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt


def journals(folder: Path) -> dict[str, list[bytes]]:
    return {path.name: sorted(path.read_bytes().splitlines()) for path in folder.glob("*.jsonl")}


def test_scrutiny_is_recorded_beside_the_plain_numbers_and_goes_on(
    data: Path, lists: dict[str, Path], tmp_path: Path
) -> None:
    place, folder = Data(test_file=data, max_length=32), tmp_path / "out"

    def run(output: Path, wanted: bool = True, observer: Observer | None = None) -> AttackRecord:
        options = config(lists, output, examples=FEW, scrutiny=wanted)
        return attack(str(VICTIM), place, options, observer).attacks["table"]

    plain = run(folder, wanted=False)
    assert plain.scrutiny is None
    before = (folder / "table.jsonl").read_bytes()
    whole = run(folder)
    assert replace(whole, scrutiny=None) == plain
    assert whole.scrutiny is not None
    # What was found stays, and the plain attack is not repeated.
    assert run(folder, wanted=False) == whole == AttackReport.load(folder).attacks["table"]
    assert (folder / "table.jsonl").read_bytes() == before
    # Interrupted within the plain attack, a variant, and the last one.
    for after in (3, FEW, 3 * FEW):
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "again", observer=Stops(after))
    assert run(tmp_path / "again") == whole
    assert journals(tmp_path / "again") == journals(folder)


def test_records_of_earlier_versions_still_load(
    honest: tuple[Path, AttackRecord, ScrutinyRecord], tmp_path: Path
) -> None:
    content = json.loads((honest[0] / "attack.json").read_text(encoding="utf-8"))
    for record in content["attacks"].values():
        del record["scrutiny"]
    del content["config"]["scrutiny"]
    (tmp_path / "attack.json").write_text(json.dumps(content), encoding="utf-8")
    assert AttackReport.load(tmp_path).attacks["table"].scrutiny is None


def test_the_header_names_a_score_only_if_it_is_not_the_default_one(
    honest: tuple[Path, AttackRecord, ScrutinyRecord],
) -> None:
    headers = {path.name: read_journal(path)[0] for path in honest[0].glob("*.jsonl")}
    assert "score" not in headers.pop("table.jsonl")
    assert set(headers) == {*(f"table.{name}.jsonl" for name in ("margin", "random", "k1", "k2"))}
    assert {header["score"] for header in headers.values()} == {"logit margin"}


def test_the_command_says_so_on_the_screen_and_the_pages(
    data: Path, lists: dict[str, Path], tmp_path: Path
) -> None:
    folder, model = tmp_path / "out", write_scaled(tmp_path / "model", 1000)
    options = ("--attack", "table", "--examples", EXAMPLES, "--neighbours", lists["own"], "--max-length", 32)
    outcome = call("attack", model, "--test-file", data, "--output", folder, *options, "--scrutiny")
    assert (outcome.code, outcome.err) == (0, "")
    record = AttackReport.load(folder).attacks["table"]
    assert record.scrutiny is not None
    assert record.scrutiny.finding is not None
    assert f"Beware: {record.scrutiny.finding}" in outcome.out
    assert re.search(
        r"all of these +│ +" + re.escape(f"{100 * record.scrutiny.under_scrutiny.value:.1f}"), outcome.out
    )
    for page in ("examples.html", "scrutiny.html"):
        assert record.scrutiny.finding in (folder / page).read_text(encoding="utf-8")
    assert (folder / "scrutiny.html").read_text(encoding="utf-8").count("<svg") == 2
    assert 'href="scrutiny.html"' in (folder / "examples.html").read_text(encoding="utf-8")


def test_the_card_of_a_run_tells_of_each_scrutiny_unless_someone_has_written_in_it(
    finished: tuple[Path, AttackedExample], lists: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    card = run / "model" / "README.md"
    before = card.read_text(encoding="utf-8")

    def scrutinised(examples: int, seed: int = 0) -> tuple[str, str]:
        options = ("--attack", "table", "--examples", examples, "--neighbours", lists["own"], "--scrutiny")
        output = tmp_path / f"{examples}-{seed}"
        outcome = call("attack", run, *options, "--seed", seed, "--output", output)
        assert (outcome.code, outcome.err) == (0, "")
        report = AttackReport.load(output)
        record = report.attacks["table"]
        assert record.scrutiny is not None
        told = record.scrutiny.describe(record.under_attack)
        words = f"{record.settings['candidates']} candidates of {record.settings['neighbours']}"
        of = f"(sha256 {report.data_fingerprint[:8]}, seed {seed}, {words})"
        return outcome.out, f"- table on {examples} examples of reviews.csv {of}: {told}"

    assert "Scrutiny" not in before
    first = scrutinised(FEW)[1]
    second = scrutinised(FEW, seed=1)[1]
    assert first != second
    after = card.read_text(encoding="utf-8")
    assert f"\n### Scrutiny\n\n{first}\n{second}\n" in after
    assert after.replace(f"\n### Scrutiny\n\n{first}\n{second}\n", "") == before
    card.write_text(after + "Mine.\n", encoding="utf-8")
    said = scrutinised(3 * FEW)[0]
    assert card.read_text(encoding="utf-8") == after + "Mine.\n"
    assert "because the card was edited" in " ".join(said.split())


# --- Curves ------------------------------------------------------------------------------------------------


def example(index: int, status: Any, queries: int, **changes: Any) -> AttackedExample:
    text = (f"text {index}",)
    made = AttackedExample(index, 0, text, status, queries, text, 2, 0, 0, 0.9, 0.2, None)
    return replace(made, **changes)


def test_the_curve_over_queries_is_a_hand_count() -> None:
    statuses = [
        ("failed", 9),
        ("succeeded", 4),
        ("succeeded", 7),
        ("skipped", 1),
        ("succeeded", 4),
        ("failed", 3),
    ]
    found = CurveRecord.by_queries([example(i, *pair) for i, pair in enumerate(statuses)])
    assert found == CurveRecord(allowed=[1, 4, 7], right=[5, 3, 2], total=6)
    assert CurveRecord.by_queries([example(0, "skipped", 1)]) == CurveRecord([1], [0], 1)


def test_curves_of_an_attack(honest: tuple[Path, AttackRecord, ScrutinyRecord]) -> None:
    folder, record, found = honest
    assert set(found.by_queries) == {"plain", "margin", "random"}
    for name, curve in found.by_queries.items():
        examples = read_journal(folder / ("table.jsonl" if name == "plain" else f"table.{name}.jsonl"))[1]
        assert curve.right[0] == record.clean.correct
        assert curve.right == sorted(curve.right, reverse=True)
        for most, right in zip(curve.allowed, curve.right, strict=True):
            lost = [
                i
                for i in examples
                if i.status == "skipped" or (i.status == "succeeded" and i.queries <= most)
            ]
            assert right == EXAMPLES - len(lost)
        assert curve.right[-1] == sum(item.status == "failed" for item in examples)
    by_candidates = found.by_candidates
    assert by_candidates is not None
    assert by_candidates.allowed == [1, 2, 4]
    for count, right in zip((1, 2), by_candidates.right, strict=False):
        header = read_journal(folder / f"table.k{count}.jsonl")[0]
        assert header["candidates"] == count
        assert right == EXAMPLES - len(broken(folder, f"table.k{count}"))
    assert by_candidates.right[-1] == found.variants["margin"].under_attack.correct


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        *((1, []), (2, [1]), (3, [1, 2]), (4, [1, 2]), (5, [1, 2, 4]), (48, [1, 2, 4, 8, 16, 32])),
        *((50, [1, 2, 4, 8, 16, 32]), (64, [1, 2, 4, 8, 16, 32]), (65, [1, 2, 4, 8, 16, 32, 64])),
    ],
)
def test_candidates_are_doubled_up_to_the_attacks_own(most: int, expected: list[int]) -> None:
    assert fewer_candidates(most) == expected


def test_the_costs_are_the_queries_of_all_journals(honest: tuple[Path, AttackRecord, ScrutinyRecord]) -> None:
    folder, _, found = honest
    queries = {
        path.name: sum(item.queries for item in read_journal(path)[1]) for path in folder.glob("*.jsonl")
    }
    plain = queries.pop("table.jsonl")
    assert found.costs == pytest.approx(sum(queries.values()) / plain)


# --- Other words -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plain", "trained", "here", "expected"),
    [
        ("minilm", (), ["minilm"], None),
        ("minilm", ("minilm",), ["minilm"], None),
        ("minilm", (), ["wordnet", "minilm"], "wordnet"),
        ("wordnet", (), ["wordnet", "minilm"], "minilm"),
        ("wordnet", ("wordnet",), ["wordnet", "minilm"], "minilm"),
        ("wordnet", ("minilm",), ["wordnet", "minilm"], None),
        ("minilm", ("wordnet",), ["wordnet", "minilm"], None),
        ("minilm", ("wordnet",), ["counter-fitted", "wordnet", "minilm"], "counter-fitted"),
        ("counter-fitted", ("counter-fitted",), ["counter-fitted", "wordnet", "minilm"], "wordnet"),
        ("counter-fitted", ("wordnet",), ["counter-fitted", "wordnet", "minilm"], "minilm"),
        ("/lists/own.txt", (), ["wordnet", "minilm"], "wordnet"),
        ("/lists/own.txt", ("wordnet",), ["wordnet", "minilm"], "minilm"),
        ("/lists/own.txt", ("minilm",), ["minilm"], None),
        ("minilm", ("wordnet", "minilm"), ["counter-fitted", "wordnet", "minilm"], "counter-fitted"),
        ("minilm", ("wordnet", "counter-fitted"), ["counter-fitted", "wordnet", "minilm"], None),
    ],
)
def test_other_words_are_neither_the_attacks_nor_the_trainings(
    plain: str, trained: tuple[str, ...], here: list[str], expected: str | None
) -> None:
    found, why = other_words(plain, trained, here)
    assert found == expected
    assert (why == "") == (found is not None)
    if found is None:
        assert plain in why
        assert ("that the training did not use" in why) == (bool(trained) and plain not in trained)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"method": "finetune"}, ()),
        ({"method": "finetune", "adversary": "wordswap", "neighbours": "minilm"}, ("minilm",)),
        ({"method": "finetune", "adversary": "wordswap", "neighbours": "lists.parquet"}, ("lists.parquet",)),
        ({"method": "finetune", "adversary": "freelb", "neighbours": "minilm"}, ()),
        ({"method": "finetune", "adversary": "wordswap"}, ("the default",)),
        ({"method": "finetune", "noise": "learned", "neighbours": "minilm"}, ("minilm",)),
        ({"method": "finetune", "noise": "learned,neighbours=a.csv+wordnet"}, ("a.csv", "wordnet")),
        (
            {"method": "finetune", "noise": "random,neighbours=wordnet", "adversary": "wordswap"},
            ("the default", "wordnet"),
        ),
        ({"method": "earlyrobust-noise"}, ("the default",)),
    ],
    ids=str,
)
def test_a_run_tells_which_words_it_swapped(
    options: dict[str, Any],
    expected: tuple[str, ...],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recipe, "sources_here", lambda: ["the default", "another"])
    run = write_run(tmp_path / "run", VICTIM, VICTIM, data)
    config = RunConfig.build({"model": str(VICTIM), "train_file": data, **options})
    (run / "config.yaml").write_text(json.dumps(config.to_dict()), encoding="utf-8")
    for model in (run, run / "model", run / "dense"):
        assert scrutiny._words_of_training(str(model)) == expected
    assert scrutiny._words_of_training(str(VICTIM)) == ()


# --- Scores ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_log_odds_are_those_of_the_softmax(seed: int) -> None:
    logits = torch.tensor(np.random.default_rng(seed).normal(size=(6, 4)) * 3)
    for temperature in (0.5, 1.0, 7.0):
        score = LogOdds(temperature)
        exact = torch.softmax(logits / temperature, dim=1).numpy()
        for row, answer in zip(exact, score.answers(logits), strict=True):
            for label, p in enumerate(row):
                assert score.of(answer, label) == pytest.approx(math.log((1 - p) / p), abs=1e-9)


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1.0, 1e3, 1e6])
def test_scores_of_logits_order_texts_whatever_their_scale(factor: float) -> None:
    logits = torch.tensor(np.random.default_rng(0).normal(size=(50, 2)), dtype=torch.float32)
    order = np.argsort([LOGIT_MARGIN.of(answer, 1) for answer in LOGIT_MARGIN.answers(logits)])
    probabilities = torch.softmax(logits.double(), dim=1)[:, 1].numpy()
    assert order.tolist() == np.argsort(1 - probabilities).tolist()
    for score in (LOGIT_MARGIN, LogOdds(1.0)):
        scaled = [score.of(answer, 1) for answer in score.answers(logits * factor)]
        assert np.argsort(scaled).tolist() == order.tolist()
        assert [value > 0 for value in scaled] == [value < 0.5 for value in probabilities]


def test_the_default_score_is_what_it_was() -> None:
    logits = torch.tensor([[1.0, -2.0, 0.5], [1000.0, 0.0, 1.0]])
    expected = torch.softmax(logits, dim=1).numpy()
    for answer, row in zip(PROBABILITY.answers(logits), expected, strict=True):
        assert answer.dtype == np.float32
        assert [PROBABILITY.of(answer, label) for label in range(3)] == [float(1 - p) for p in row]
        assert [PROBABILITY.probability(answer, label) for label in range(3)] == row.tolist()


@pytest.mark.parametrize("factor", [1e-3, 0.5, 1.0, 4.0, 1e3, 1e6])
def test_the_temperature_is_that_of_a_grid(factor: float) -> None:
    draw = np.random.default_rng(3)
    exact = draw.normal(size=(400, 3)) * 2
    # Labels drawn from the softmax itself: 1 is the temperature that fits, up to chance.
    labels = np.array([draw.choice(3, p=row) for row in np.exp(exact) / np.exp(exact).sum(1, keepdims=True)])
    found = fit_temperature((exact * factor).astype(np.float32), labels)

    def loss(temperature: float) -> float:
        logits = torch.tensor(exact * factor / temperature)
        return float(torch.nn.functional.cross_entropy(logits, torch.tensor(labels)))

    grid = min(np.geomspace(0.5, 2, 2001) * factor, key=loss)
    assert found.value == pytest.approx(grid, rel=0.01)
    assert found.value == pytest.approx(factor, rel=0.15)
    assert found.loss_after == pytest.approx(loss(found.value), abs=1e-5)
    assert found.loss_before == pytest.approx(loss(1.0), rel=1e-4)
    assert found.texts == 400


def test_the_temperature_is_fitted_on_texts_that_are_not_attacked() -> None:
    from datasets import Dataset

    texts = [f"text {number % 70}" for number in range(80)]  # ten texts stand there twice
    rows = Dataset.from_dict({"text": texts, "label": [number % 2 for number in range(80)]})
    others = scrutiny.held_out(rows, 30, 4, 2)
    attacked = {texts[index] for index in scrutiny.sample_examples(rows, 30, 4, 2)}
    assert {texts[index] for index in others}.isdisjoint(attacked)
    assert sorted(others) == [index for index, text in enumerate(texts) if text not in attacked]
    assert others == scrutiny.held_out(rows, 30, 4, 2) != sorted(others)


# --- Random substitutions ----------------------------------------------------------------------------------


def by_table(**table: str) -> WordSwapAttack:
    return WordSwapAttack(
        swaps=Choices(**table), constraints=[], stop_words=frozenset({"the"}), ranking="delete"
    )


def outcome(made: Any, scorer: Scorer, text: str, seed: int = 0) -> AttackedExample:
    (found,) = run_attacks([made.attack(Example((text,), 0, seed), scorer)], Server())
    return found


TABLE = {"good": "fine nice", "film": "movie", "warm": "hot", "the": "a"}


def only_all_three(text: str) -> float:
    """A victim that shows the same score for all texts until three words have changed at once."""
    return 0.9 if {"movie", "hot"} <= set(words_of(text)) and "good" not in words_of(text) else 0.1


@pytest.mark.parametrize("seed", range(8))
def test_random_substitutions_break_what_a_greedy_attack_cannot_see_through(seed: int) -> None:
    text = "the good film is warm"
    assert outcome(by_table(**TABLE), Scorer(only_all_three), text).status == "failed"
    scorer = Scorer(only_all_three)
    found = outcome(RandomSubstitutions(by_table(**TABLE), {}), scorer, text, seed)
    assert found.status == "succeeded"
    assert found.words_changed == 3
    assert found.final[0].split()[0] == "the"  # a stop word
    assert found == outcome(RandomSubstitutions(by_table(**TABLE), {}), Scorer(only_all_three), text, seed)


@pytest.mark.parametrize(("plain", "allowed"), [(None, LEAST_QUERIES), (3, LEAST_QUERIES), (90, 90)])
def test_random_substitutions_ask_as_often_as_the_plain_attack(plain: int | None, allowed: int) -> None:
    text = "the good film is warm"
    took = {} if plain is None else {((text,), 0): plain, (("another",), 0): 500}
    found = outcome(RandomSubstitutions(by_table(**TABLE), took), Scorer(lambda _: 0.1), text)
    assert (found.status, found.queries, found.final) == ("failed", allowed, (text,))


def test_random_substitutions_obey_the_constraints() -> None:
    from earlyrobust.attacks.constraints import WordLimit

    made = WordSwapAttack(
        swaps=Choices(**TABLE), constraints=[WordLimit(0.2)], stop_words=frozenset(), ranking="delete"
    )
    scorer = Scorer(lambda _: 0.1)
    plain = ["the", "good", "film", "is", "warm"]
    outcome(RandomSubstitutions(made, {}), scorer, " ".join(plain))
    changed = [sum(old != new for old, new in zip(plain, text.split(), strict=True)) for text in scorer.asked]
    assert set(changed) == {0, 1}
    assert {word for text in scorer.asked for word in text.split()} >= {"a", "movie", "hot", "fine", "nice"}


def test_nothing_to_replace_is_one_query() -> None:
    found = outcome(RandomSubstitutions(by_table(), {}), Scorer(lambda _: 0.1), "the good film")
    assert (found.status, found.queries) == ("failed", 1)


# --- Replay ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], ("failed", 1)),
        (["good movie"], ("failed", 2)),
        (["bad movie"], ("succeeded", 2)),
        (["good movie", "bad film", "bad movie"], ("succeeded", 3)),
    ],
)
def test_a_replay_asks_until_the_model_errs(texts: list[str], expected: tuple[str, int]) -> None:
    replayed = {(("good film",), 0): [(text,) for text in texts], (("other",), 0): [("bad",)]}
    scorer = Scorer(lambda text: 0.9 if "bad" in text else 0.1)
    found = outcome(Replay(replayed, {}, PROBABILITY), scorer, "good film")
    assert (found.status, found.queries) == expected
    assert found.words_changed == {"bad movie": 2, "bad film": 1}.get(found.final[0], 0)
    assert outcome(Replay(replayed, {}, PROBABILITY), scorer, "bad film").status == "skipped"


def predicted(model: Path, texts: Sequence[str]) -> list[int]:
    return list(logits_of(model, texts).argmax(1).tolist())


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The victim with other words: some of its embeddings are others'."""
    folder = tmp_path_factory.mktemp("another") / "model"
    model = AutoModelForSequenceClassification.from_pretrained(VICTIM)
    table = model.get_input_embeddings().weight
    with torch.no_grad():
        table[::3] = table[::3].flip(0)
    model.config.id2label = {0: "bad", 1: "good"}
    model.config.label2id = {"bad": 0, "good": 1}
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(VICTIM).save_pretrained(folder)
    return folder


def test_the_command_replays_a_journal_and_counts_by_hand(
    honest: tuple[Path, AttackRecord, ScrutinyRecord], another: Path, tmp_path: Path
) -> None:
    journal = honest[0] / "table.jsonl"
    options = ("--labels", "bad,good", "--output", tmp_path / "out")
    outcome = call("replay", journal, another, *options)
    assert (outcome.code, outcome.err) == (0, "")
    found = [item for item in read_journal(journal)[1] if item.status == "succeeded"]
    before = predicted(another, [item.texts[0] for item in found])
    after = predicted(another, [item.final[0] for item in found])
    right = [old == item.label for old, item in zip(before, found, strict=True)]
    lost = [was and new != item.label for was, new, item in zip(right, after, found, strict=True)]
    report = ReplayReport.load(tmp_path / "out")
    assert report.texts == len(found)
    assert report.clean == Accuracy.of(sum(right), len(found))
    assert report.transferred == Accuracy.of(sum(lost), sum(right))
    assert report.under_replay == Accuracy.of(sum(right) - sum(lost), len(found))
    assert 0 < sum(lost) < sum(right) < len(found)
    assert f"breaks {sum(lost)} of these {sum(right)}: {100 * sum(lost) / sum(right):.1f} (" in outcome.out
    # Again it is the same; on another model it is refused.
    first = (tmp_path / "out" / "replay.json").read_bytes()
    assert call("replay", journal, another, *options).code == 0
    refused = call("replay", journal, VICTIM, "--output", tmp_path / "out")
    assert refused.code == 2
    assert "holds the replay of" in refused.err
    assert (tmp_path / "out" / "replay.json").read_bytes() == first


def test_every_text_breaks_the_model_that_it_broke(
    honest: tuple[Path, AttackRecord, ScrutinyRecord],
) -> None:
    report = replay(honest[0] / "table.jsonl", str(VICTIM), max_length=32)
    assert report.clean.correct == report.texts == report.transferred.correct  # type: ignore[union-attr]
    assert report.under_replay.correct == 0


@pytest.mark.parametrize(
    ("record", "where"),
    [
        ({"label_names": ["bad", "good"]}, "attacks/attack.json"),
        ({"data": {"label_names": ["bad", "good"]}}, "result.json"),
        ({"labels": ["bad", "good"]}, "export.json"),
        ({"labels": []}, "export.json"),
    ],
)
def test_the_classes_of_a_journal_have_the_names_in_the_record_beside_it(
    record: dict[str, Any], where: str, tmp_path: Path
) -> None:
    (tmp_path / "attacks").mkdir()
    (tmp_path / where).write_text(json.dumps(record))
    broken = [replace(example(0, "succeeded", 3), label=1)]
    expected = ["0", "1"] if record.get("labels") == [] else ["bad", "good"]
    assert replaying._names_of(tmp_path / "attacks" / "own.jsonl", broken) == expected


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("nothing.jsonl", r"There is no journal '.*': correct its path"),
        ("rows.jsonl", "is not the journal of an attack"),
        ("empty.jsonl", "is not the journal of an attack"),
        ("failed.jsonl", "holds no text that broke its model"),
        ("folder", "cannot be read"),
    ],
)
def test_a_journal_that_cannot_be_replayed(name: str, complaint: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    lines = [{"journal": 1}, asdict(example(0, "failed", 3)), asdict(example(1, "skipped", 1))]
    (tmp_path / "failed.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "rows.jsonl").write_text('{"text": "fine", "label": 1}\n')
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises((DataError, OutputError), match=complaint) as error:
        replay(tmp_path / name, str(VICTIM))
    assert "delete" not in str(error.value)


# --- Statistics --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", [(0, 0), (1, 0), (0, 5), (5, 0), (6, 2), (20, 3)], ids=str)
def test_mcnemar_is_the_tail_of_a_fair_coin(pair: tuple[int, int]) -> None:
    more, fewer = pair
    tail = 1.0 if more == 0 else float(stats.binom.sf(more - 1, more + fewer, 0.5))
    assert breaks_more_p(more, fewer) == pytest.approx(tail)
