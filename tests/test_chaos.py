"""Commands that are killed at any moment, or find the disk full, end as if nothing had been when repeated."""

from __future__ import annotations

import json
import random
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import QUICK, write_reviews
from killed import Ended, Forks, forks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

# What differs between two runs that are the same: how long things took, and what was measured in time.
TIMES = {"seconds", "speed", "environment"}
# Kills of each command, forty in all; a command that ends before it is killed begins again in a new folder.
KILLS = {"search": 6, "run": 10, "finetune": 5, "attack": 5, "export": 5, "compare": 5, "reproduce": 5}


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with forks(tmp_path_factory.mktemp("worker")) as running:
        yield running


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, encoder: Path, worker: Forks) -> Path:
    """What the commands work on: data, a ticket, a run."""
    folder = tmp_path_factory.mktemp("place")
    write_reviews(folder / "reviews.csv", 120)
    write_reviews(folder / "test.csv", 40, seed=2)
    shutil.copytree(encoder, folder / "encoder")
    for name in ("search", "run"):
        assert worker.call(*command(name, folder, folder / name)).code == 0
    return folder


def command(name: str, place: Path, output: Path) -> list[object]:
    model: list[object] = ["--model", place / "encoder"]
    data: list[object] = ["--train-file", place / "reviews.csv", *model]
    attack = ("--attack", "textbugger", "--examples", "10")
    own = QUICK.index("--search-adversary")
    training, search = (
        QUICK[:own],
        QUICK[2:],
    )  # a search has no epochs of fine-tuning, and the other way round
    methods = ("--methods", "finetune,freelb,earlyrobust", "--seeds", "1")
    tested = ("--test-file", place / "test.csv")
    commands: dict[str, list[object]] = {
        "search": ["search", *data, *search],
        "run": ["run", *data, *attack, *QUICK],
        "finetune": ["finetune", "--ticket", place / "search", *data, *attack, *training],
        "attack": ["attack", place / "run", *tested, "--attack", "textfooler,textbugger", "--examples", "12"],
        "export": ["export", place / "run", "--to", "onnx-int8", "--examples", "10"],
        "compare": ["compare", *methods, "--no-attack", *data, *QUICK],
        "reproduce": ["reproduce", "figure2", "--scale", "smoke", *model],
    }
    return [*commands[name], "--output", output]


def content(folder: Path, called: Path | None = None) -> dict[str, Any]:
    """All that a command has left behind and that must be the same, by file.

    Args:
        folder: Where it is.
        called: What the folder was called when the command ran, if that was something else.
    """
    found: dict[str, Any] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        if path.suffix == ".jsonl":
            found[name] = sorted(path.read_bytes().splitlines())
        elif path.suffix == ".json":
            found[name] = _timeless(json.loads(path.read_text(encoding="utf-8")), called or folder)
        elif path.suffix in {".html", ".png", ".md", ".tex", ".csv"}:
            found[name] = None  # drawn from the records; with times in them
        else:
            found[name] = path.read_bytes()
    return found


def _timeless(value: Any, folder: Path) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(item, folder) for key, item in value.items() if key not in TIMES}
    if isinstance(value, list):
        return [_timeless(item, folder) for item in value]
    return value.replace(str(folder), "OUTPUT") if isinstance(value, str) else value


def assert_same(folder: Path, expected: dict[str, Any], called: Path | None = None) -> None:
    found = content(folder, called)
    assert set(found) == set(expected)
    assert [name for name in found if found[name] != expected[name]] == []


@pytest.mark.parametrize("name", KILLS)
def test_killed_at_any_moment_a_command_ends_as_if_it_had_not_been(
    name: str, place: Path, worker: Forks, tmp_path: Path
) -> None:
    whole = worker.call(*command(name, place, tmp_path / "whole"))
    assert whole.code == 0, whole.said
    expected = content(tmp_path / "whole")
    source = random.Random(name)
    folder, ended = tmp_path / "killed", Ended(0, "", 0)
    kills = 0
    while kills < KILLS[name]:
        ended = worker.call(*command(name, place, folder), after=source.uniform(0, whole.seconds))
        assert ended.code in (0, -signal.SIGKILL), ended.said
        kills += ended.code != 0
        if ended.code == 0:
            assert_same(folder, expected)
            shutil.rmtree(folder)
    while ended.code != 0:  # it need not be tried twice, unless the machine has trouble of its own
        ended = worker.call(*command(name, place, folder))
        assert ended.code == 0, ended.said
    assert_same(folder, expected)


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM], ids=["interrupt", "terminate"])
def test_ended_by_a_signal_a_command_says_how_to_go_on(
    by: int, place: Path, worker: Forks, tmp_path: Path
) -> None:
    arguments = command("run", place, tmp_path / "run")
    searching = tmp_path / "run" / "checkpoints" / "ticket"
    ended = worker.call(*arguments, after=0, once=searching.exists, by=by)
    assert ended.code == 128 + by, ended.said
    assert ended.said.endswith("; the same command continues.\n")
    assert "Traceback" not in ended.said
    assert worker.call(*arguments).code == 0
    assert_same(tmp_path / "run", content(place / "run"))


# An attack leaves little behind, so its disk grows by smaller steps.
@pytest.mark.parametrize(
    ("name", "growth"), [("run", 2.2), ("attack", 1.6), ("export", 2.2), ("compare", 2.2)]
)
def test_on_a_full_disk_a_command_says_so_and_goes_on_when_there_is_room(
    name: str, growth: float, place: Path, worker: Forks, tmp_path: Path
) -> None:
    small, output = tmp_path / "small", tmp_path / "small" / "output"
    small.mkdir()
    own = ["unshare", "--mount", "--map-root-user"]
    mount = f"mount -t tmpfs -o size=16k tmpfs '{small}'"
    if subprocess.run([*own, "sh", "-c", mount], capture_output=True, check=False).returncode:
        pytest.skip("no file system of a chosen size can be mounted here")
    assert worker.call(*command(name, place, tmp_path / "whole")).code == 0
    with forks(tmp_path, [*own, "sh", "-c", f'{mount} && exec "$@"', "sh"]) as cramped:
        kilobytes, told = 16.0, 0
        while (ended := cramped.call(*command(name, place, output))).code != 0:
            assert ended.code in ((1, 2) if name == "compare" else (2,)), ended.said
            assert re.search("no room left on the disk|No space left on device", ended.said), ended.said
            assert "Traceback" not in ended.said
            told += 1
            kilobytes *= growth
            cramped.shell(f"mount -o remount,size={kilobytes:.0f}k '{small}'")
        cramped.shell(f"cp -r '{output}' '{tmp_path / 'copy'}'")
    assert told >= 3
    assert_same(tmp_path / "copy", content(tmp_path / "whole"), output)
