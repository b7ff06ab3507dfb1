"""An edited class of the user's own continues no old run, journal or comparison, and shows no old results."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import QUICK, call
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from earlyrobust import evaluate_under_attack
from earlyrobust.adversarial import FreeLB
from earlyrobust.attacks import DeepWordBug
from earlyrobust.errors import OutputError
from earlyrobust.experiments import compare
from earlyrobust.extensions import code_named, code_of
from earlyrobust.journal import HASH
from earlyrobust.options.comparison import CompareConfig
from earlyrobust.results import RunRecord
from earlyrobust.workspace.folder import PROGRESS_NAME, RunFolder

ATTACK = """
from earlyrobust.attacks import DeepWordBug
class Typos(DeepWordBug):
    name = "typos"
"""
ADVERSARY = """
from earlyrobust.adversarial import FreeLB
class Mine(FreeLB):
    pass
"""

Edit = Callable[[str], None]


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edit]:
    """Writes the module `own`, in whose folder commands run, as a new process reads it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(code: str) -> None:
        (tmp_path / "own.py").write_text(code, encoding="utf-8")
        sys.modules.pop("own", None)
        importlib.invalidate_caches()

    yield write
    sys.modules.pop("own", None)


def test_only_classes_from_outside_have_a_hash_of_their_code(edit: Edit) -> None:
    edit(ATTACK + "class Inner(Typos): pass")
    assert code_of(DeepWordBug) is code_of(FreeLB) is None
    assert code_named("attack", "textfooler") is code_named("attack", "nowhere:Typos") is None
    assert code_named("attack", "own:Missing") is None
    first = code_named("attack", "own:Typos")
    assert first is not None
    assert first == code_named("attack", "own:Inner")
    edit(ATTACK + "    # a comment")
    assert code_named("attack", "own:Typos") not in (first, None)


def test_the_code_of_a_base_class_counts_too(edit: Edit, tmp_path: Path) -> None:
    (tmp_path / "base_of_own.py").write_text(ATTACK, encoding="utf-8")
    edit("from base_of_own import Typos\nclass Own(Typos): pass")
    first = code_named("attack", "own:Own")
    (tmp_path / "base_of_own.py").write_text(ATTACK + "# edited", encoding="utf-8")
    assert code_named("attack", "own:Own") != first
    sys.modules.pop("base_of_own")


def test_a_class_of_a_notebook_has_no_hash() -> None:
    assert code_of(type("Own", (DeepWordBug,), {"__module__": "module_without_file"})) is None


@pytest.mark.parametrize("option", ["adversary", "search_adversary"])
def test_a_run_with_an_edited_adversary_is_refused(option: str, edit: Edit, tmp_path: Path) -> None:
    def begin() -> RunFolder:
        return RunFolder(tmp_path / "run", {"command": "run"}, {option: "own:Mine,steps=2", "seed": 0})

    edit(ADVERSARY)
    with begin().claimed("data"):
        pass
    begin()
    edit(ADVERSARY + "    # edited")
    with pytest.raises(
        OutputError, match=r"^The code of 'own:Mine' has changed since the run in .*/run' was"
    ):
        begin()
    edit(ADVERSARY)
    begin()


def test_the_folder_of_an_earlier_version_goes_on_and_keeps_the_hash_from_then_on(
    edit: Edit, tmp_path: Path
) -> None:
    def begin() -> RunFolder:
        return RunFolder(tmp_path / "run", {"command": "run"}, {"attack": ["own:Typos", "pwws"], "seed": 0})

    edit(ATTACK)
    with begin().claimed("data"):
        pass
    place = tmp_path / "run" / PROGRESS_NAME
    progress = json.loads(place.read_text(encoding="utf-8"))
    assert list(progress.pop("code")) == ["own:Typos"]
    place.write_text(json.dumps(progress), encoding="utf-8")
    edit(ATTACK + "    # edited")
    with begin().claimed("data"):
        pass
    edit(ATTACK)
    with pytest.raises(OutputError, match="'own:Typos' has changed"):
        begin()


def test_a_finished_attack_with_an_edited_class_is_refused(
    edit: Edit, classifier: Path, trained_on: Path, tmp_path: Path
) -> None:
    edit(ATTACK)
    command = ("attack", classifier, "--test-file", trained_on, "--attack", "own:Typos", "--examples", 4)
    done = call(*command, "--output", tmp_path / "out")
    assert done.code == 0, done.err
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    edit(ATTACK + "    other = 1")
    done = call(*command, "--output", tmp_path / "out")
    assert (done.code, done.err.count("\n")) == (2, 1), done.err
    assert "The code of 'own:Typos' has changed since the run" in done.err
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_journal_of_an_edited_class_is_refused_and_one_without_the_hash_goes_on(
    edit: Edit, classifier: Path, tmp_path: Path
) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(classifier)
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    rows = Dataset.from_dict({"text": ["a warm film", "a dull mess"], "label": [0, 1]})
    journal = tmp_path / "typos.jsonl"

    def attack(code: str) -> None:
        edit(code)
        attack = importlib.import_module("own").Typos()
        evaluate_under_attack(model, tokenizer, rows, attack, journal=journal)

    attack(ATTACK)
    attack(ATTACK)
    with pytest.raises(OutputError, match=r"another attack \(it differs in code_fingerprint\)"):
        attack(ATTACK + "    other = 1")
    header, *examples = journal.read_text(encoding="utf-8").splitlines()
    old = {name: value for name, value in json.loads(header).items() if name != f"code{HASH}"}
    journal.write_text("\n".join([json.dumps(old), examples[0], ""]), encoding="utf-8")
    attack(ATTACK + "    other = 1")
    assert len(journal.read_text(encoding="utf-8").splitlines()) == 3


def test_a_run_and_a_comparison_do_not_show_results_of_an_edited_class(
    edit: Edit, encoder: Path, reviews: Path, tmp_path: Path
) -> None:
    edit(ADVERSARY)
    command = ("run", "--method", "finetune", "--adversary", "own:Mine,steps=1", "--train-file", reviews)
    command = (*command, "--model", encoder, "--train-samples", 60, "--no-dense", "--no-attack", *QUICK)
    assert call(*command, "--output", tmp_path / "run").code == 0
    config = CompareConfig.build(
        {
            **{"train_file": reviews, "model": str(encoder), "train_samples": 60, "epochs": 1, "attack": ()},
            **{"arms": {"own": {"adversary": "own:Mine,steps=1", "method": "finetune"}}, "seeds": 1},
            "output": tmp_path / "grid",
        }
    )
    assert compare(config).is_whole
    RunRecord.load(tmp_path / "run")
    edit(ADVERSARY + "    # edited")
    done = call(*command, "--output", tmp_path / "run")
    assert (done.code, "The code of 'own:Mine' has changed" in done.err) == (2, True), done.err
    (cell,) = compare(config).record.cells
    assert "the code of 'own:Mine' has changed since its run: delete " in str(cell.error)
    edit(ADVERSARY)
    assert compare(config).is_whole
