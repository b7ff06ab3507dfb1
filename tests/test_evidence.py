"""The pages of evidence are what their records say, and the records hold nothing else."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import measured
import pytest
import questions
import questions_preset

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.data.tasks import TASKS
from earlyrobust.options.methods import METHODS
from earlyrobust.pipeline.noising import NoiseChoice

ROOT = Path(__file__).parents[1]
EVIDENCE = ROOT / "evidence"
RECORDS = sorted(folder for folder in (EVIDENCE / "records").iterdir() if folder.is_dir())
# Comparisons of methods on a task; the others time them, watch searches or try another learning rate.
COMPARED = [folder for folder in RECORDS if folder.name in TASKS]
# Methods that came after the records.
NOT_RECORDED = {"earlyrobust-noise", "fat", "flooding"}


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script that writes the page, as a module."""
    spec = importlib.util.spec_from_file_location("evidence_build", EVIDENCE / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_what_the_records_say(build: ModuleType) -> None:
    pages = build.build()
    assert {page.name for page in build.DOCS.glob("evidence*.md")} == set(pages)
    for name, text in pages.items():
        assert (build.DOCS / name).read_text(encoding="utf-8") == text, "run `python evidence/build.py`"


def test_the_front_page_is_what_the_records_say(build: ModuleType) -> None:
    readme = build.README.read_text(encoding="utf-8")
    assert readme == build.with_front(readme), "run `python evidence/build.py`"
    assert build.PICTURE.is_file()
    assert len(build.picture().axes) == 1


def test_the_page_changes_with_a_record(
    build: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages that were written by hand would not notice."""
    before = build.build()
    place = tmp_path / "records"
    shutil.copytree(EVIDENCE / "records", place)
    record = next(place.glob(f"{COMPARED[0].name}/cells/*/result.json"))
    content = json.loads(record.read_text(encoding="utf-8"))
    content["model"]["test"]["correct"] -= 100
    record.write_text(json.dumps(content), encoding="utf-8")
    for module in (build, measured, questions, questions_preset):
        monkeypatch.setattr(module, "RECORDS", place)
    assert build.build() != before


@pytest.mark.parametrize("task", ["sst2", "ag_news", "imdb", "qnli"])
def test_all_methods_and_random_tickets_are_compared(task: str, build: ModuleType) -> None:
    assert {*METHODS, questions.CHANCE} - NOT_RECORDED <= set(
        Comparison.load(EVIDENCE / "records" / task).runs
    )


@pytest.mark.parametrize("folder", COMPARED, ids=lambda folder: folder.name)
def test_a_comparison_has_what_the_questions_ask_for(folder: Path, build: ModuleType) -> None:
    comparison = Comparison.load(folder)
    assert folder.name in build.COMPARISONS
    assert len(comparison.record.seeds) >= 3
    for arm, runs in comparison.runs.items():
        assert sorted(runs) == sorted(comparison.record.seeds), arm
        assert all(len(run.model.attacks) == 3 for run in runs.values()), arm


@pytest.mark.parametrize("folder", RECORDS, ids=lambda folder: folder.name)
def test_all_arms_of_a_seed_had_the_same_texts(folder: Path) -> None:
    comparison = Comparison.load(folder)
    for seed in comparison.record.seeds:
        trained = [runs[seed] for runs in comparison.runs.values() if seed in runs]
        assert len({run.data.fingerprint for run in trained}) == 1, seed


def test_the_attacks_know_the_words_of_the_noise_but_for_the_arm_with_other_words() -> None:
    """The pages say so, and a list of neighbours is easily taken for another."""
    runs = Comparison.load(EVIDENCE / "records" / "method-sst2").runs
    for arm in (measured.NOISE, measured.OTHER_WORDS):
        assert runs[arm]
        for run in runs[arm].values():
            of_attacks = {
                attack.settings["neighbours"]
                for attack in run.model.attacks.values()
                if attack.settings.get("neighbours")
            }
            list_of_attacks = Path(run.config["neighbours"]).name
            assert len(of_attacks) == 1
            assert list_of_attacks in of_attacks.pop()
            of_noise = NoiseChoice.parse(run.config["noise"] or "learned").sources or (list_of_attacks,)
            assert (list_of_attacks in of_noise) == (arm == measured.NOISE)


@pytest.mark.parametrize("folder", [*RECORDS, EVIDENCE / "attacks"], ids=lambda folder: folder.name)
def test_records_name_no_place_on_the_machine(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            assert file.suffix == ".json"
            text = file.read_text(encoding="utf-8")
            assert not re.search(r'"(/|[A-Z]:\\\\|~)', text), file


def test_numbers_come_from_records_not_from_what_is_made_of_them() -> None:
    words = (EVIDENCE / "readings.md").read_text(encoding="utf-8")
    assert not re.search(r"\d+\.\d|\d+ ?%", re.sub(r"^#.*$", "", words, flags=re.MULTILINE))
