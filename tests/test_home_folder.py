"""A `~` at the beginning of a path is the home folder, wherever the path comes from, and no folder `./~`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
import yaml
from conftest import call, write_reviews
from typer.models import ArgumentInfo

from earlyrobust import fit
from earlyrobust.cli import COMMANDS
from earlyrobust.cli.options import expanded
from earlyrobust.options import CompareConfig, RunConfig
from earlyrobust.options.benchmark import BenchmarkConfig
from earlyrobust.options.export import ExportConfig
from earlyrobust.options.places import at_home
from earlyrobust.options.test_data import TestData as Data
from earlyrobust.results import RunRecord
from earlyrobust.workspace.identity import anchored

PLACES = ("train_file", "test_file", "data_dir", "nltk_data", "output")
NAMES = ("model", "neighbours", "sentence_encoder", "masked_lm")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder beside the working folder."""
    for name in ("home", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


@pytest.mark.parametrize("name", [*PLACES, *NAMES])
def test_options_expand_it(name: str, home: Path) -> None:
    (home / "options.yaml").write_text(yaml.safe_dump({name: "~/a/b"}), encoding="utf-8")
    for config in (RunConfig.parse({name: "~/a/b"}), RunConfig.parse({}, home / "options.yaml")):
        assert str(getattr(config, name)) == str(home / "a" / "b")


@pytest.mark.parametrize("value", ["user/model", "minilm", "a~/b", "wordnet"])
def test_names_stay_as_they_are(value: str) -> None:
    for name in NAMES:
        assert getattr(RunConfig.parse({name: value}), name) == value
    assert at_home(value) == value


def test_every_set_of_options_expands_it(home: Path) -> None:
    assert Data(test_file="~/t.csv", data_dir="~/d").test_file == home / "t.csv"  # type: ignore[arg-type]
    assert ExportConfig.parse({"to": "dense", "output": "~/e"}).output == home / "e"
    assert BenchmarkConfig.parse({"output": "~/b"}).output == home / "b"
    assert CompareConfig.parse({"cells": "~/c"}).cells == home / "c"


def test_the_lists_of_noise_expand_it(home: Path) -> None:
    noise = "learned,rate=0.5,neighbours=~/a.csv+wordnet+ ~/b.csv"
    expected = f"learned,rate=0.5,neighbours={home}/a.csv+wordnet+{home}/b.csv"
    assert RunConfig.parse({"noise": noise}).noise == expected
    arms = {"one": {"noise": noise, "model": "~/encoder", "batch-size": 4}, "two": {"model": "user/model"}}
    assert CompareConfig.parse({"arms": arms}).arms == {
        "one": {"noise": expected, "model": str(home / "encoder"), "batch_size": 4},
        "two": {"model": "user/model"},
    }


def test_nothing_expands_it_later(home: Path) -> None:
    """What is written down is what was read."""
    (home / "own.csv").touch()
    assert anchored({"train_file": "~/own.csv"})["train_file"] == str(Path.cwd() / "~" / "own.csv")
    assert anchored({"model": "~/own.csv"})["model"] == "~/own.csv"


def parameters() -> Iterator[tuple[str, Any, Any]]:
    """The parameters of all commands: their names, their types, and how Typer reads them."""
    for name, module in COMMANDS.items():
        home = import_module(f"earlyrobust.cli.{module}")
        app = getattr(home, "app", None)
        functions = (
            [getattr(home, module)] if app is None else [one.callback for one in app.registered_commands]
        )
        for function in functions:
            for parameter in inspect.signature(function, eval_str=True).parameters.values():
                if get_origin(parameter.annotation) is Annotated:
                    yield f"{name} {parameter.name}", *get_args(parameter.annotation)


def test_every_path_of_a_command_expands_it(home: Path) -> None:
    found = {
        name: read
        for name, kind, read in parameters()
        if Path in (kind, *get_args(kind))
        or (name.split()[1] in ("model", "models") and isinstance(read, ArgumentInfo))
    }
    assert {"predict file", "evaluate output", "run config", "ticket tickets", "benchmark models"} <= set(
        found
    )
    assert [name for name, read in found.items() if read.callback is not expanded] == []
    assert expanded(["~/a", "user/model"]) == [str(home / "a"), "user/model"]
    assert expanded(Path("~/a")) == home / "a"
    assert expanded(None) is None


def test_a_run_reads_and_writes_at_home(home: Path, encoder: Path) -> None:
    write_reviews(home / "own.csv", 80)
    Path("~").mkdir()
    write_reviews(Path.cwd() / "~" / "own.csv", 90)
    (home / "encoder").symlink_to(encoder)
    (home / "run.yaml").write_text("train_file: ~/own.csv\nmodel: ~/encoder\nepochs: 1\n", encoding="utf-8")
    options = ("--method=finetune", "--no-attack")
    done = call("run", "--config=~/run.yaml", "--output=~/runs/a", *options)
    assert done.code == 0, done.err
    record = RunRecord.load(home / "runs" / "a")
    assert sum(record.data.sizes.values()) == 80
    written = yaml.safe_load((home / "runs" / "a" / "config.yaml").read_text(encoding="utf-8"))
    assert (written["train_file"], written["model"]) == (str(home / "own.csv"), str(home / "encoder"))
    done = call("evaluate", "~/runs/a", "--output=~/e")
    assert done.code == 0, done.err
    assert (home / "e" / "evaluation.json").is_file()
    assert [path.name for path in Path.cwd().rglob("*")] == ["~", "own.csv"]


def test_fit_expands_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All its paths mean the same place as the options that they become."""
    write_reviews(home / "own.csv", 80)
    seen: list[RunConfig] = []

    def stop(config: RunConfig, *_: Any) -> None:
        seen.append(config)
        raise KeyboardInterrupt

    monkeypatch.setattr("earlyrobust.pipeline.fitting.run", stop)
    with pytest.raises(KeyboardInterrupt):
        fit("~/encoder", train_dataset="~/own.csv", output="~/fit")
    table = {"text": ["a", "b"] * 20, "label": ["x", "y"] * 20}
    with pytest.raises(KeyboardInterrupt):
        fit("~/encoder", train_dataset=table, output="~/fit2")
    assert (seen[0].train_file, seen[0].output, seen[0].model) == (
        *(home / "own.csv", home / "fit"),
        str(home / "encoder"),
    )
    assert seen[1].train_file == home / "fit2" / "inputs" / "train.parquet"
    assert seen[1].train_file.is_file()
