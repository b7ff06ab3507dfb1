"""Comparisons: every arm under every seed, each run once; what stops or spoils a cell costs no other one."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from conftest import call, write_reviews
from tiny_encoder import write_encoder
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from earlyrobust import pipeline
from earlyrobust.analysis.comparison import Comparison
from earlyrobust.analysis.summary import summarise
from earlyrobust.errors import ConfigError, OutputError
from earlyrobust.experiments import compare
from earlyrobust.experiments.cells import plan_cells
from earlyrobust.experiments.launchers import LAUNCHERS, base
from earlyrobust.journal import read_journal
from earlyrobust.options import CompareConfig, RunConfig
from earlyrobust.options.comparison import ARM_OPTIONS
from earlyrobust.pipeline import checkpointing
from earlyrobust.results import COMPARISON_NAME, CellRecord, ComparisonRecord, RunRecord
from earlyrobust.storage import locked
from earlyrobust.workspace.observer import Observer

# What all cells share. A number of threads of their own makes them the same in every process.
BUDGET: dict[str, Any] = {
    **{"epochs": 1, "batch_size": 8, "learning_rate": 1e-3, "search_adversary": "freelb,steps=2"},
    **{"miniepoch": 0.1, "miniepoch_min_steps": 1, "attack": (), "cell_cpus": 1},
}
METHODS = ("finetune", "earlyrobust", "robust-ticket")
# Another name for the same run: these are the patience and the γ of every search.
TWIN: dict[str, Any] = {"twin": {"method": "earlyrobust", "patience": 5, "gamma": 0.1}}
GRID: dict[str, Any] = {"methods": ",".join(METHODS), "arms": TWIN, "seeds": 2}
ALL_CELLS, ALL_RUNS = 8, 6

Plan = Callable[..., CompareConfig]


class OnStep(TrainerCallback):  # type: ignore[misc]
    def __init__(self, happen: Callable[[], None]) -> None:
        self._happen = happen

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._happen()


class Listener(Observer):
    """Keeps what it is told, and interrupts at chosen moments, counted in stages and steps of training."""

    def __init__(self, *moments: int) -> None:
        self._moments = moments
        self.count = 0
        self.titles: list[str] = []
        self.notes: list[str] = []

    def _happen(self) -> None:
        self.count += 1
        if self.count in self._moments:
            raise KeyboardInterrupt

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        self.titles.append(title)
        self._happen()
        yield

    def callbacks(self) -> list[TrainerCallback]:
        return [OnStep(self._happen)]

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Runs outside of a comparison compute as its cells do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reviews(tmp_path_factory.mktemp("few") / "few.csv", 60)


@pytest.fixture(scope="module")
def options(encoder: Path, few: Path) -> dict[str, Any]:
    return {**BUDGET, **GRID, "model": str(encoder), "train_file": str(few)}


@pytest.fixture(scope="module")
def plan(options: dict[str, Any]) -> Plan:
    return lambda output, **changes: CompareConfig.build({**options, "output": output, **changes})


@pytest.fixture(scope="module")
def whole(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path, Listener]:
    """A comparison that nothing interrupted."""
    folder, listener = tmp_path_factory.mktemp("whole") / "grid", Listener()
    return compare(plan(folder), listener), folder, listener


@pytest.fixture
def grid(whole: tuple[Comparison, Path, Listener], tmp_path: Path) -> Path:
    """The same comparison in a folder that may be changed."""
    return shutil.copytree(whole[1], tmp_path / "grid")


def results(comparison: Comparison) -> dict[tuple[str, int], RunRecord]:
    """What came of every cell, but for times, places, and how often was logged."""
    return {
        (arm, seed): dataclasses.replace(
            run,
            seconds={},
            speed=None,
            training={},
            config={**run.config, "output": None, "train_file": None},
        )
        for arm, runs in comparison.runs.items()
        for seed, run in runs.items()
    }


def weights(folder: Path) -> dict[str, bytes]:
    files = [*folder.glob("cells/*/*/*.safetensors"), *folder.glob("cells/*/ticket/ticket.json")]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def finished(folder: Path) -> dict[str, int]:
    """When the record of each run was written, by the name of its folder."""
    return {file.parent.name: file.stat().st_mtime_ns for file in folder.rglob("result.json")}


def snapshot(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def write_yaml(path: Path, options: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump({**options, "attack": list(options.get("attack", ()))}), encoding="utf-8")
    return path


def failed(comparison: Comparison) -> dict[tuple[str, int], CellRecord]:
    return {(cell.arm, cell.seed): cell for cell in comparison.record.cells if cell.error is not None}


# --- what a comparison leaves ------------------------------------------------------------------------------


def test_every_cell_is_a_run_and_the_same_run_is_made_once(whole: tuple[Comparison, Path, Listener]) -> None:
    comparison, folder, listener = whole
    assert {path.name for path in folder.iterdir()} == {"comparison.json", "cells"}
    record = ComparisonRecord.load(folder)
    assert record == comparison.record
    # All arms under the first seed come first, so that a comparison that is stopped has compared something.
    assert [(cell.arm, cell.seed) for cell in record.cells] == [
        (arm, seed) for seed in (0, 1) for arm in (*METHODS, "twin")
    ]
    assert len({cell.folder for cell in record.cells}) == ALL_RUNS == listener.titles.count("Evaluating")
    assert comparison.is_whole
    assert not failed(comparison)
    for cell in record.cells:
        method = TWIN[cell.arm]["method"] if cell.arm in TWIN else cell.arm
        run = comparison.runs[cell.arm][cell.seed]
        assert (run.method, run.config["seed"]) == (method, cell.seed)
        assert (folder / cell.folder).parent == folder / "cells"
        assert (folder / cell.folder / "dense").exists() == (method == "robust-ticket")
        assert run.dense is None
    assert comparison.runs["twin"] == comparison.runs["earlyrobust"]
    assert len({run.config["output"] for runs in comparison.runs.values() for run in runs.values()}) == (
        ALL_RUNS
    )


def test_nothing_is_called_finished_before_it_has_run(whole: tuple[Comparison, Path, Listener]) -> None:
    assert not [note for note in whole[2].notes if "finished" in note]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dense", [False, True])
def test_a_cell_is_the_run_that_its_options_make_alone(
    method: str,
    dense: bool,
    whole: tuple[Comparison, Path, Listener],
    options: dict[str, Any],
    tmp_path: Path,
) -> None:
    own = {name: value for name, value in options.items() if name in RunConfig.model_fields}
    config = RunConfig.build({**own, "method": method, "seed": 1, "output": tmp_path / "run", "dense": dense})
    alone, cell = pipeline.run(config), whole[0].runs[method][1]
    for part in ("model", "ticket", "weights", "search", "data", "ticket_origin"):
        assert getattr(alone, part) == getattr(cell, part), part
    (folder,) = whole[1].glob(f"cells/{method}-seed1-*")
    same = "model/model.safetensors"
    assert (tmp_path / "run" / same).read_bytes() == (folder / same).read_bytes()


def test_a_cell_computes_with_its_threads_and_gives_them_back(plan: Plan, tmp_path: Path) -> None:
    torch.set_num_threads(2)
    try:
        runs = compare(plan(tmp_path, methods="finetune", arms={}, seeds=1)).runs
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert runs["finetune"][0].environment.threads == 1


@pytest.mark.slow
def test_arms_are_attacked_with_the_same_examples_and_seeds_with_others(
    plan: Plan, tmp_path: Path, encoder: Path
) -> None:
    data = write_reviews(tmp_path / "more.csv", 100)
    changes = {"methods": "finetune,pgd", "arms": {}, "train_file": data, "neighbours": str(encoder)}
    comparison = compare(plan(tmp_path / "grid", **changes, attack="textfooler", examples=4))
    drawn = {}
    for cell in comparison.record.cells:
        (journal,) = (tmp_path / "grid" / cell.folder / "attacks").glob("*.jsonl")
        drawn[cell.arm, cell.seed] = sorted(example.texts for example in read_journal(journal)[1])
    assert [len(texts) for texts in drawn.values()] == [4] * 4
    assert drawn["finetune", 0] == drawn["pgd", 0]
    assert drawn["finetune", 1] == drawn["pgd", 1]
    assert drawn["finetune", 0] != drawn["finetune", 1]


# --- going on, and adding to it ----------------------------------------------------------------------------


def test_the_same_comparison_again_runs_nothing(
    grid: Path, plan: Plan, whole: tuple[Comparison, Path, Listener]
) -> None:
    before, listener = finished(grid), Listener()
    assert results(compare(plan(grid), listener)) == results(whole[0])
    assert finished(grid) == before
    assert listener.titles == []
    assert ["finished already" in note for note in listener.notes] == [True]


def test_a_finished_comparison_of_a_file_that_changed_is_not_shown_for_it(
    grid: Path, plan: Plan, few: Path
) -> None:
    content, before = few.read_text(encoding="utf-8"), finished(grid)
    try:
        few.write_text(f"{content}one more,positive\n", encoding="utf-8")
        with pytest.raises(OutputError, match="used other data than the current data"):
            compare(plan(grid))
    finally:
        few.write_text(content, encoding="utf-8")
    assert finished(grid) == before


def test_cells_that_came_without_their_comparison_are_taken_over(
    grid: Path, plan: Plan, whole: tuple[Comparison, Path, Listener]
) -> None:
    before = finished(grid)
    (grid / "comparison.json").unlink()
    assert results(compare(plan(grid))) == results(whole[0])
    assert finished(grid) == before


@pytest.mark.parametrize(
    ("changes", "new"),
    [
        ({"methods": (*METHODS, "freeat")}, {"freeat-seed0", "freeat-seed1"}),
        ({"arms": {**TWIN, "small": {"method": "earlyrobust", "heads": 0.5}}, "baseline": "small"}, None),
        ({"seeds": 3}, {f"{method}-seed2" for method in METHODS}),
    ],
    ids=["method", "arm", "seed"],
)
def test_what_is_added_is_all_that_runs(
    changes: dict[str, Any],
    new: set[str] | None,
    grid: Path,
    plan: Plan,
    whole: tuple[Comparison, Path, Listener],
) -> None:
    before, listener = finished(grid), Listener()
    comparison = compare(plan(grid, **changes), listener)
    after = finished(grid)
    assert {name: after[name] for name in before} == before
    added = {name.rsplit("-", 1)[0] for name in after if name not in before}
    assert added == (new or {"earlyrobust-seed0", "earlyrobust-seed1"})
    assert listener.titles.count("Evaluating") == len(after) - len(before) == len(new or (0, 1))
    assert comparison.is_whole
    assert results(comparison).items() > results(whole[0]).items()


@pytest.mark.parametrize(
    "changes",
    [
        {"token_budget": 1000, "in_flight": 2},
        {"cell_cpus": 2, "cell_gpus": 0.5},
        {"baseline": "twin", "methods": ",".join(reversed(METHODS))},
    ],
    ids=lambda changes: " ".join(changes),
)
def test_what_changes_no_number_may_be_another(changes: dict[str, Any], grid: Path, plan: Plan) -> None:
    before = finished(grid)
    comparison = compare(plan(grid, **changes))
    assert comparison.is_whole
    assert finished(grid) == before
    assert comparison.record.baseline == changes.get("baseline", "finetune")


@pytest.mark.parametrize(
    "changes",
    [
        {"methods": METHODS[:2]},
        {"arms": {}},
        {"arms": {"twin": {**TWIN["twin"], "gamma": 0.2}}},
        {"seeds": 1},
        {"seed": 1},
        {"epochs": 2},
        {"bf16": True},
        {"train_samples": 40},
        {"attack": "textfooler"},
        {"attack_split": "selection"},
        {"gamma": 0.2},
    ],
    ids=str,
)
def test_another_comparison_leaves_a_folder_as_it_is(changes: dict[str, Any], grid: Path, plan: Plan) -> None:
    before, listener = snapshot(grid), Listener()
    with pytest.raises(OutputError, match="another comparison") as error:
        compare(plan(grid, **changes), listener)
    name = next(iter(changes))
    named = {"methods": "arm", "arms": "arm twin", "seeds": "seeds", "seed": "seeds"}
    assert f"{named.get(name, name)}" in str(error.value).replace("-", "_")
    assert snapshot(grid) == before
    assert listener.count == 0


@pytest.mark.parametrize("content", ["other files", "a run", "a damaged record"])
def test_a_folder_of_something_else_is_left_as_it_is(content: str, grid: Path, plan: Plan) -> None:
    folder = grid
    if content == "other files":
        (grid / "comparison.json").rename(grid / "notes.json")
    elif content == "a run":
        folder = next(grid.glob("cells/finetune-seed0-*"))
    else:
        (grid / "comparison.json").write_text('{"schema_version": 1, "arms": []}', encoding="utf-8")
    before = snapshot(grid)
    with pytest.raises(OutputError, match=str(folder)):
        compare(plan(folder))
    assert snapshot(grid) == before


def test_two_comparisons_in_one_folder_do_not_spoil_one_another(grid: Path, plan: Plan) -> None:
    before = snapshot(grid)
    with locked(grid), pytest.raises(OutputError, match="Another command is at work"):
        compare(plan(grid))
    assert snapshot(grid) == before


def test_what_killed_cells_left_is_removed(grid: Path, plan: Plan) -> None:
    before = snapshot(grid)
    (next(grid.glob("cells/finetune-seed0-*")) / "searched").mkdir()
    compare(plan(grid))
    assert snapshot(grid) == before


def test_comparisons_share_the_cells_that_they_have_in_common(
    grid: Path, plan: Plan, tmp_path: Path, whole: tuple[Comparison, Path, Listener]
) -> None:
    before = finished(grid)
    other = compare(plan(tmp_path / "a" / "b", methods="robust-ticket,freeat", arms={}, cells=grid / "cells"))
    after = finished(grid)
    assert {name: after[name] for name in before} == before
    assert len(after) == ALL_RUNS + 2
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["comparison.json"]
    assert results(other)["robust-ticket", 1] == results(whole[0])["robust-ticket", 1]
    # They may be moved together.
    for name in ("a", "grid"):
        shutil.move(tmp_path / name, tmp_path / "elsewhere" / name)
    assert Comparison.load(tmp_path / "elsewhere" / "a" / "b") == other


@pytest.mark.parametrize("option", ARM_OPTIONS)
def test_every_option_of_an_arm_makes_it_another_run(option: str, plan: Plan, tmp_path: Path) -> None:
    from test_config import SAMPLES

    base, arm = {"method": "earlyrobust"}, {"method": "earlyrobust", option: SAMPLES[option]}
    config = plan(tmp_path / "grid", methods="", arms={"base": base, "arm": arm}, seeds=1)
    cells = plan_cells(config)
    assert getattr(cells[1].config, option) == SAMPLES[option]
    assert cells[0].folder != cells[1].folder
    assert not (tmp_path / "grid").exists()


# --- what goes wrong in a cell -----------------------------------------------------------------------------


def test_a_cell_that_fails_is_told_and_stops_no_other(options: dict[str, Any], tmp_path: Path) -> None:
    wild = {"method": "earlyrobust", "learning_rate": 1e30}
    arms = {"methods": "finetune", "arms": {"wild": wild, "twin of wild": wild}}
    file = write_yaml(tmp_path / "arms.yaml", {**options, **arms})
    command = ("compare", "--config", file, "--output", tmp_path / "grid")
    for _ in range(2):
        outcome = call(*command)
        assert outcome.code == 1, outcome
        assert outcome.err == ""
        comparison = Comparison.load(tmp_path / "grid")
        assert set(failed(comparison)) == {(arm, seed) for arm in ("wild", "twin of wild") for seed in (0, 1)}
        for cell in failed(comparison).values():
            assert "its loss is nan at step" in str(cell.error)
            assert cell.trace is None
            assert str(cell.error) in outcome.out
        assert set(comparison.runs["finetune"]) == {0, 1}
        assert not comparison.is_whole
        assert (tmp_path / "grid" / "report.html").exists()
    assert comparison.record.command == "earlyrobust " + " ".join(map(str, command))


def test_a_comparison_of_failures_alone_is_told_too(options: dict[str, Any], tmp_path: Path) -> None:
    changes = {"methods": "earlyrobust", "arms": {}, "learning_rate": 1e30}
    file = write_yaml(tmp_path / "arms.yaml", {**options, **changes})
    outcome = call("compare", "--config", file, "--output", tmp_path / "grid")
    assert outcome.code == 1, outcome
    assert "diverged" in outcome.out
    assert len(failed(Comparison.load(tmp_path / "grid"))) == 2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"train_file": "missing.csv"}, "missing.csv"),
        ({"attack": ["textfoler"]}, "textfoler"),
        ({"attack": ["textfooler"], "neighbours": "missing.parquet"}, "missing.parquet"),
    ],
)
def test_what_no_cell_could_do_without_is_refused_at_once(
    options: dict[str, Any], changes: dict[str, Any], says: str, tmp_path: Path
) -> None:
    file = write_yaml(tmp_path / "arms.yaml", {**options, **changes})
    outcome = call("compare", "--config", file, "--output", tmp_path / "grid")
    assert outcome.code == 2, outcome
    assert says in outcome.err
    assert not (tmp_path / "grid").exists()


def test_an_unforeseen_failure_has_a_trace_and_is_gone_with_its_cause(
    grid: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(config: RunConfig, observer: Observer | None) -> RunRecord:
        if config.method == "freeat" and config.seed == 1:
            raise ValueError("a number is odd")
        return pipeline.run(config, observer)

    config = plan(grid, methods=(*METHODS, "freeat"))
    listener = Listener()
    with monkeypatch.context() as patch:
        patch.setattr(base, "run", odd)
        comparison = compare(config, listener)
    assert set(failed(comparison)) == {("freeat", 1)}
    cell = failed(comparison)["freeat", 1]
    assert cell.error == "ValueError: a number is odd"
    assert str(cell.trace).startswith("Traceback")
    assert "in odd" in str(cell.trace)
    assert any(note.startswith("Failed: freeat, seed 1") and "odd" in note for note in listener.notes)
    assert set(comparison.runs["freeat"]) == {0}

    before, listener = finished(grid), Listener()
    comparison = compare(config, listener)
    assert comparison.is_whole
    assert not failed(comparison)
    assert not [cell for cell in comparison.record.cells if cell.trace]
    assert listener.titles.count("Evaluating") == 1
    assert {name: when for name, when in finished(grid).items() if name in before} == before


def test_cells_of_other_data_are_told(plan: Plan, tmp_path: Path) -> None:
    data = write_reviews(tmp_path / "own.csv", 60)
    changes = {"train_file": data, "arms": {}, "seeds": 1}
    compare(plan(tmp_path / "grid", methods="finetune", **changes))
    write_reviews(data, 60, seed=9)
    comparison = compare(plan(tmp_path / "grid", methods="finetune,pgd", **changes))
    assert set(failed(comparison)) == {("finetune", 0)}
    assert "other data" in str(failed(comparison)["finetune", 0].error)
    assert not comparison.is_whole
    assert not comparison.runs["finetune"]

    # The sentence says what to do.
    (stale,) = (tmp_path / "grid").glob("cells/finetune-*")
    assert str(stale) in str(failed(comparison)["finetune", 0].error)
    shutil.rmtree(stale)
    comparison = compare(plan(tmp_path / "grid", methods="finetune,pgd", **changes))
    assert comparison.is_whole
    assert len({run.data.fingerprint for runs in comparison.runs.values() for run in runs.values()}) == 1


@pytest.mark.parametrize("changed", ["data", "model"])
def test_a_seed_of_other_data_or_another_model_is_told(
    changed: str, plan: Plan, tmp_path: Path, encoder: Path
) -> None:
    data = write_reviews(tmp_path / "own.csv", 60)
    model = Path(shutil.copytree(encoder, tmp_path / "encoder"))
    changes = {"methods": "finetune", "train_file": data, "model": str(model), "arms": {}}
    compare(plan(tmp_path / "grid", seeds=1, **changes))
    if changed == "data":
        write_reviews(data, 60, seed=9)
    else:
        write_encoder(model, seed=9)
    comparison = compare(plan(tmp_path / "grid", seeds=2, **changes))
    assert set(failed(comparison)) == {("finetune", 0)}
    assert f"other {changed} than the current {changed}" in str(failed(comparison)["finetune", 0].error)


def test_a_changed_encoder_is_told_though_nothing_waits(plan: Plan, tmp_path: Path, encoder: Path) -> None:
    model = Path(shutil.copytree(encoder, tmp_path / "encoder"))
    config = plan(tmp_path / "grid", methods="finetune", arms={}, seeds=1, model=str(model))
    compare(config)
    shutil.move(model, tmp_path / "away")
    assert compare(config).is_whole  # An encoder that is not here is no reason to hide results.
    write_encoder(model, seed=9)
    comparison = compare(config)
    assert "used another model than the current model" in str(failed(comparison)["finetune", 0].error)
    assert not comparison.is_whole
    shutil.rmtree(model)
    shutil.move(tmp_path / "away", model)
    assert compare(config).is_whole


def test_cells_that_were_attacked_with_other_resources_are_told(plan: Plan, tmp_path: Path) -> None:
    lists = tmp_path / "lists.csv"
    changes = {"arms": {}, "seeds": 1, "attack": "pwws", "neighbours": str(lists), "examples": 2}
    alone = plan(tmp_path / "grid", methods="finetune", **changes)
    both = plan(tmp_path / "grid", methods="finetune,pgd", **changes)
    lists.write_text("film,movie\n", encoding="utf-8")
    compare(alone)
    lists.write_text("film,picture\n", encoding="utf-8")
    for _ in range(2):  # The second time nothing waits.
        comparison = compare(both)
        assert set(failed(comparison)) == {("finetune", 0)}
        sentence = str(failed(comparison)["finetune", 0].error)
        assert re.search(
            r"pwws .* neighbours neighbour lists lists\.csv \(.*\), .* now: delete '.*'", sentence
        )
    lists.write_text("film,movie\n", encoding="utf-8")
    assert set(failed(compare(both))) == {("pgd", 0)}
    # Without the file, it is not known which of the two is right. The page compares them only before attacks.
    lists.unlink()
    comparison = compare(both)
    assert not failed(comparison)
    assert set(summarise(comparison)[1].differences) == {"Clean%", "Clean%, attacked"}


def test_a_path_may_be_spelled_in_several_ways_and_from_any_folder(
    plan: Plan, tmp_path: Path, encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_reviews(tmp_path / "own.csv", 60)
    shutil.copytree(encoder, tmp_path / "encoder")
    (tmp_path / "elsewhere").mkdir()
    spelled = [
        (".", "own.csv", "./encoder"),
        (".", str(tmp_path / "own.csv"), "encoder"),
        ("elsewhere", "../own.csv", "../encoder"),
        ("elsewhere", str(tmp_path / "own.csv"), str(tmp_path / "encoder")),
    ]
    before: dict[str, int] = {}
    for place, data, model in spelled:
        monkeypatch.chdir(tmp_path / place)
        arms = {"mine": {"method": "finetune", "epochs": 1.5, "model": model}}
        changes = {"methods": "finetune", "arms": arms, "seeds": 1, "train_file": data, "model": model}
        assert compare(plan(tmp_path / "grid", **changes)).is_whole
        before = before or finished(tmp_path / "grid")
        assert finished(tmp_path / "grid") == before
        assert len(before) == 2

    # Earlier versions wrote paths as they were given, and no method of an arm without one.
    monkeypatch.chdir(tmp_path)
    record = json.loads((tmp_path / "grid" / COMPARISON_NAME).read_text(encoding="utf-8"))
    record["config"] |= {"train_file": "own.csv", "model": "encoder"}
    (tmp_path / "grid" / COMPARISON_NAME).write_text(json.dumps(record), encoding="utf-8")
    changes |= {"train_file": str(tmp_path / "own.csv"), "model": str(tmp_path / "encoder")}
    assert compare(plan(tmp_path / "grid", **changes)).is_whole
    assert finished(tmp_path / "grid") == before

    # Another file of the same relative path is another file.
    monkeypatch.chdir(tmp_path / "elsewhere")
    write_reviews(tmp_path / "elsewhere" / "own.csv", 60, seed=9)
    with pytest.raises(OutputError, match=r"--train-file is .*own\.csv there and .*own\.csv here"):
        compare(plan(tmp_path / "grid", **changes | {"train_file": "own.csv"}))


# --- wrong options -----------------------------------------------------------------------------------------

# What the file says besides the budget, and what the message must name.
MISTAKES: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ("--methods",)),
    ({"methods": "finetune,nope"}, ("'nope'",)),
    ({"methods": 3}, ("--methods",)),
    ({"method": "pgd", "methods": "pgd"}, ("'method'",)),
    ({"dense": True, "methods": "pgd"}, ("'dense'",)),
    ({"methods": "pgd", "nurons": 0.3}, ("'nurons'",)),
    ({"arms": "pgd"}, ("--arms",)),
    ({"arms": {"mine": "pgd"}}, ("--arms",)),
    ({"arms": {"mine": {"method": "nope"}}}, ("'mine'", "'nope'")),
    ({"arms": {"mine": {"method": "pgd", "nurons": 0.3}}}, ("'mine'", "'nurons'")),
    ({"arms": {"mine": {"method": "pgd", "adversary": "freelbb"}}}, ("'mine'", "'freelbb'")),
    ({"arms": {"mine": {"method": "pgd", "adversary": "pgd,stepps=2"}}}, ("'mine'", "stepps")),
    ({"arms": {"mine": {"method": "earlyrobust", "search": "nowhere"}}}, ("'mine'", "'nowhere'")),
    ({"arms": {"mine": {"method": "earlyrobust", "heads": 2}}}, ("'mine'", "--heads")),
    *(({"arms": {"pgd": value}}, ("'pgd'", "{method: pgd}")) for value in (False, [], 0, "", [1])),
    ({"arms": {"pgd": {"method": "freelb"}}}, ("'pgd'", "'freelb'")),
    ({"arms": {"mine": {"method": "pgd", "epochs": None}}}, ("'mine'", "'epochs'")),
    ({"arms": {"mine": {"method": None}}}, ("'mine'", "'method'")),
    ({"arms": {"mine": {"learning-rate": 1e-3, "learning_rate": 2e-3}}}, ("'mine'", "'-'", "'_'")),
    ({"arms": {"mine": {1: 2}}}, ("'mine'", "'1'")),
    *(({"arms": {name: {"method": "pgd"}}}, (repr(name),)) for name in ("", "a/b", "a\nb", "x" * 61)),
    ({"methods": "pgd", "adversary": "freelbb"}, ("'freelbb'",)),
    ({"methods": "pgd", "baseline": "finetune"}, ("'finetune'", "pgd")),
    ({"methods": "pgd", "seeds": 0}, ("--seeds",)),
    ({"methods": "pgd", "seeds": 101}, ("--seeds",)),
    ({"methods": "pgd", "seed": 2**32 - 1, "seeds": 2}, ("--seed",)),
    ({"methods": "pgd", "cell_cpus": 0}, ("--cell-cpus",)),
    ({"methods": "pgd", "cell_gpus": -1}, ("--cell-gpus",)),
    ({"methods": "pgd", "launcher": "slurm"}, ("'slurm'", "local, ray")),
    *(({"methods": "pgd", "output": place}, (place,)) for place in ("file", "file/inside", "foreign")),
]


@pytest.mark.parametrize(("mistake", "named"), MISTAKES, ids=[str(mistake) for mistake, _ in MISTAKES])
def test_a_mistake_is_named_and_leaves_no_trace(
    mistake: dict[str, Any],
    named: tuple[str, ...],
    options: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    budget = {name: value for name, value in options.items() if name not in GRID}
    write_yaml(Path("mistake.yaml"), {**budget, "output": "out", **mistake})
    Path("file").write_text("mine", encoding="utf-8")
    Path("foreign").mkdir()
    Path("foreign/notes.txt").write_text("mine", encoding="utf-8")
    before = snapshot(tmp_path)
    outcome = call("compare", "--config", "mistake.yaml")
    assert outcome.code == 2, outcome
    assert outcome.err.startswith("Error: ")
    assert outcome.err.endswith(".\n")
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.out + outcome.err
    assert all(name in outcome.err for name in named), outcome.err
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("option", sorted(set(CompareConfig.model_fields) - set(ARM_OPTIONS)))
def test_an_arm_cannot_set_what_all_share(option: str, plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"The arm 'mine' sets '{option}'"):
        plan(tmp_path / "grid", arms={"mine": {"method": "pgd", option: 1}})


def test_options_of_arms_are_told_once_and_known_to_runs() -> None:
    assert sorted(ARM_OPTIONS) == sorted(set(ARM_OPTIONS) & set(RunConfig.model_fields))


def test_an_empty_arm_with_the_name_of_a_method_is_this_method(plan: Plan, tmp_path: Path) -> None:
    arms = {"finetune": None, "pgd": {"epochs": 2}, "mine": None}
    cells = plan_cells(plan(tmp_path, methods="", arms=arms, seeds=1))
    assert {cell.arm: cell.config.method for cell in cells} == {
        **{"finetune": "finetune", "pgd": "pgd"},
        **{"mine": RunConfig.model_fields["method"].default},
    }


def test_an_arm_may_be_written_with_the_names_of_flags(plan: Plan, tmp_path: Path) -> None:
    texts = ("{method: pgd, learning_rate: 0.1}", "{method: pgd, learning-rate: 0.1}")
    first, second = (plan_cells(plan(tmp_path, arms={"mine": yaml.safe_load(text)})) for text in texts)
    assert first == second


# --- interrupted -------------------------------------------------------------------------------------------


def test_an_interrupted_comparison_ends_as_if_it_had_not_been(
    plan: Plan,
    tmp_path: Path,
    whole: tuple[Comparison, Path, Listener],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpointing, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    monkeypatch.setattr(checkpointing, "STEPS_BETWEEN_LOGS", 1)
    draw, third = random.Random(1), whole[2].count // 6
    listener = Listener(*(third * part + draw.randrange(third) for part in range(3)))
    config, done = plan(tmp_path / "grid", seeds=1), []
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            compare(config, listener)
        record = ComparisonRecord.load(tmp_path / "grid")
        assert len(record.cells) == ALL_CELLS / 2
        assert not [cell for cell in record.cells if cell.error is not None]
        done.append(len(finished(tmp_path / "grid")))
    assert done == [0, 1, 2]  # each in another cell
    comparison = compare(config, listener)
    expected = {cell: result for cell, result in results(whole[0]).items() if cell[1] == 0}
    assert results(comparison) == expected
    assert weights(tmp_path / "grid") == {
        name: content for name, content in weights(whole[1]).items() if "-seed0-" in name
    }
    assert not list((tmp_path / "grid").rglob("checkpoints"))


def test_an_interrupted_command_says_that_it_goes_on(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(config: RunConfig, observer: Observer | None) -> RunRecord:
        raise KeyboardInterrupt

    monkeypatch.setattr(base, "run", interrupted)
    file = write_yaml(tmp_path / "grid.yaml", options)
    outcome = call("compare", "--config", file, "--output", tmp_path / "grid")
    assert outcome.code == 130
    assert f"kept in {tmp_path / 'grid'}; the same command continues" in outcome.out
    assert not Comparison.load(tmp_path / "grid").is_whole


@pytest.mark.parametrize("name", ["comparison.json", "progress.json", "config.yaml", "result.json"])
def test_a_comparison_killed_while_it_writes_a_file_goes_on(
    name: str,
    plan: Plan,
    tmp_path: Path,
    whole: tuple[Comparison, Path, Listener],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def die(self: Path, target: Path) -> Path:
        if Path(target).name == name:
            raise KeyboardInterrupt
        return replace(self, target)

    replace = Path.replace
    config = plan(tmp_path / "grid", methods="finetune", arms={}, seeds=1)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", die)
        patch.setattr(Path, "unlink", lambda self, missing_ok=False: None)  # a killed process tidies nothing
        with pytest.raises(KeyboardInterrupt):
            compare(config)
    comparison = compare(config)
    assert [cell.error for cell in comparison.record.cells] == [None]
    assert results(comparison)["finetune", 0] == results(whole[0])["finetune", 0]


@pytest.mark.slow
def test_a_comparison_killed_three_times_ends_as_if_it_had_not_been(
    options: dict[str, Any], tmp_path: Path, whole: tuple[Comparison, Path, Listener]
) -> None:
    folder, file = tmp_path / "grid", write_yaml(tmp_path / "grid.yaml", options)
    command = ("compare", "--config", str(file), "--output", str(folder))
    program = (
        "from earlyrobust.pipeline import checkpointing, precision; precision.time_in_bf16 = lambda: 1.0; "
        "checkpointing.SECONDS_BETWEEN_CHECKPOINTS = 0; checkpointing.STEPS_BETWEEN_LOGS = 1; "
        "from earlyrobust.cli import main; main()"
    )

    def done() -> int:
        """Stages that are finished: one of fine-tuning, two of a ticket, three of one over weights."""
        progress = [json.loads(path.read_text()) for path in folder.glob("cells/*/progress.json")]
        return sum(len(run["seconds"]) for run in progress)

    for moment in sorted(random.Random(5).sample(range(1, 2 * (1 + 2 + 3)), 3)):
        with (tmp_path / "output.txt").open("a") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", program, *command], stdout=output, stderr=output
            )
        while done() < moment and process.poll() is None:
            time.sleep(0.002)
        process.kill()
        assert process.wait() == -signal.SIGKILL, (tmp_path / "output.txt").read_text()
        assert len(finished(folder)) < ALL_RUNS
    outcome = call(*command)
    assert outcome.code == 0, outcome
    assert results(Comparison.load(folder)) == results(whole[0])
    assert weights(folder) == weights(whole[1])


# --- on Ray ------------------------------------------------------------------------------------------------


@pytest.fixture
def _cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two cores of this machine, whatever other clusters there are and however many cores."""
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", "local")
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", '{"CPU": 2, "GPU": 0}')


def workers() -> list[int]:
    """The processes that run a cell for this one."""
    found, parents = [], {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if (place / "cmdline").read_bytes().startswith(b"ray::_work"):
                found.append(int(place.name))
        except OSError:
            continue  # it has ended

    def is_ours(process: int) -> bool:
        return process == os.getpid() or (process in parents and is_ours(parents[process]))

    return [process for process in found if is_ours(process)]


@pytest.mark.slow
@pytest.mark.usefixtures("_cluster")
def test_a_cluster_runs_the_same_cells_and_outlives_a_killed_worker(plan: Plan, tmp_path: Path) -> None:
    long = {"method": "earlyrobust", "epochs": 30}
    short = {method: {"method": method} for method in ("finetune", "freeat")}
    arms = {"one": long, "other": {**long, "neurons": 0.2}, **short}
    # Workers are processes of their own, which would measure the precision.
    changes = {"methods": "", "arms": arms, "seeds": 1, "bf16": False}
    killed: dict[str, Any] = {}

    def at_work() -> list[set[str]]:
        """Stages behind each cell that has not ended."""
        begun = [path for path in tmp_path.glob("ray/cells/*") if not (path / "result.json").exists()]
        return [set(json.loads((path / "progress.json").read_text())["seconds"]) for path in begun]

    def kill() -> None:
        """Kill a worker when both long cells are past their search."""
        until = time.monotonic() + 300
        while time.monotonic() < until:
            with suppress(OSError):  # read while it changes
                if at_work() == [{"ticket"}, {"ticket"}] and len(workers()) == 2:
                    places = tmp_path.glob("ray/cells/earlyrobust-*/progress.json")
                    killed.update(
                        process=workers()[0], kept={path.parent.name: path.read_text() for path in places}
                    )
                    os.kill(killed["process"], signal.SIGKILL)
                    return
            time.sleep(0.02)

    killer, listener = threading.Thread(target=kill, daemon=True), Listener()
    killer.start()
    comparison = compare(plan(tmp_path / "ray", **changes, launcher="ray"), listener)
    assert killed
    killer.join()
    assert not Path("/proc", str(killed["process"])).exists()
    assert comparison.is_whole
    assert not failed(comparison)
    assert sum("done" in note for note in listener.notes) == 4
    # A search that was finished is not made again.
    assert len(killed["kept"]) == 2
    for name, progress in killed["kept"].items():
        run = RunRecord.load(tmp_path / "ray" / "cells" / name)
        assert run.seconds["ticket"] == json.loads(progress)["seconds"]["ticket"]
    assert results(comparison) == results(compare(plan(tmp_path / "here", **changes)))
    assert weights(tmp_path / "ray") == weights(tmp_path / "here")


@pytest.mark.slow
@pytest.mark.usefixtures("_cluster")
@pytest.mark.parametrize("option", ["cell_cpus", "cell_gpus"])
def test_a_cluster_without_room_for_a_cell_is_told(option: str, plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"asks for .*\b3 .*: lower --cell-cpus or --cell-gpus\.$"):
        compare(plan(tmp_path / "grid", launcher="ray", **{option: 3}))


def test_a_cluster_without_ray_is_refused(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else find(name))
    with pytest.raises(ConfigError, match=r"Ray is not installed: pip install .*--launcher local\.$"):
        compare(plan(tmp_path / "grid", launcher="ray"))
    assert not (tmp_path / "grid").exists()


@pytest.mark.parametrize(("count", "begin"), [(5, "1, 2, 3, 4, 5 on "), (6, "6 methods on ")])
def test_many_arms_are_counted_in_the_title(
    count: int, begin: str, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LAUNCHERS, "local", lambda *_: iter(()))
    arms = {str(1 + number): {"method": "finetune", "neurons": number / 10} for number in range(count)}
    assert compare(plan(tmp_path / "grid", methods="", arms=arms)).record.title.startswith(begin)


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9", "[::1]:9", "127.0.0.1:99999"])
def test_a_cluster_that_does_not_answer_is_told(
    address: str, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ConfigError, match=rf"at RAY_ADDRESS '{re.escape(address)}' .*correct the address"):
        compare(plan(tmp_path / "grid", launcher="ray"))


def test_a_cluster_that_does_not_let_us_in_is_told(
    plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = pytest.importorskip("ray")

    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionError("Failed to connect to Ray cluster at 10.0.0.1:6379")

    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    with pytest.raises(ConfigError, match=r"RAY_ADDRESS 'auto' \(Failed to connect .*RAY_AUTH_MODE=token"):
        compare(plan(tmp_path / "grid", launcher="ray"))


def test_an_option_that_a_later_version_adds_changes_nothing(grid: Path, plan: Plan) -> None:
    """Records of before lack it; it is None where it is not given."""
    before = {path: path.stat().st_mtime_ns for path in grid.glob("cells/*/result.json")}
    for file in (grid / COMPARISON_NAME, *grid.glob("cells/*/config.yaml")):
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if "test_samples" not in line]
        assert len(kept) == len(lines) - 1
        file.write_text("".join(kept), encoding="utf-8")
    assert compare(plan(grid)).is_whole
    assert {path: path.stat().st_mtime_ns for path in grid.glob("cells/*/result.json")} == before
