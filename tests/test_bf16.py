"""The choice of bfloat16: by the options, by what a run was begun with, or by a measurement."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conftest import call

from earlyrobust.encoders import time_in_bf16
from earlyrobust.pipeline import precision
from earlyrobust.results import RunRecord


@pytest.fixture
def run(encoder: Path, reviews: Path, tmp_path: Path) -> Any:
    options = ("--method", "finetune", "--no-attack", "--epochs", "0.2", "--batch-size", 8)

    def start(*more: object) -> Any:
        return call(
            *(
                "run",
                "--model",
                encoder,
                "--train-file",
                reviews,
                "--output",
                tmp_path / "run",
                *options,
                *more,
            )
        )

    return start


def device(monkeypatch: pytest.MonkeyPatch, *, knows: bool, ratio: float) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda: knows)
    monkeypatch.setattr(precision, "time_in_bf16", lambda: ratio)


@pytest.mark.parametrize(
    ("knows", "ratio", "options", "chosen"),
    [
        (True, 0.4, (), True),
        (True, 0.9, (), False),
        (False, 0.4, (), False),
        (True, 0.4, ("--no-bf16",), False),
        (False, 5.0, ("--bf16",), True),
    ],
)
def test_it_is_chosen_where_it_pays(
    run: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    knows: bool,
    ratio: float,
    options: Any,
    chosen: bool,
) -> None:
    device(monkeypatch, knows=knows, ratio=ratio)
    done = run(*options)
    assert done.code == 0, done.err
    record = RunRecord.load(tmp_path / "run")
    assert record.config["bf16"] is chosen
    by_itself = chosen and not options
    told = "The training computes in bfloat16: products of matrices take 0.40 of the time of float32 here."
    assert (told in done.out) is by_itself
    assert any("computes in bfloat16" in choice for choice in record.choices) is by_itself
    assert ("does not support bfloat16" in done.out) is (options == ("--bf16",))


def test_a_run_goes_on_in_the_numbers_that_it_was_begun_in(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device(monkeypatch, knows=True, ratio=0.4)
    assert run().code == 0
    before = RunRecord.load(tmp_path / "run")
    (tmp_path / "run" / "result.json").unlink()
    device(monkeypatch, knows=True, ratio=2.0)
    again = run()
    assert again.code == 0
    assert "take 0.40 of the time of float32" in again.out
    record = RunRecord.load(tmp_path / "run")
    assert record.config["bf16"] is True
    assert record.choices == before.choices  # with the measurement of its beginning
    assert run().code == 0  # finished
    other = run("--no-bf16")
    assert other.code == 2
    assert "was begun with bfloat16: choose another --output" in other.err


def test_a_run_of_an_earlier_version_is_one_in_float32(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier versions wrote `bf16: false` where nothing was asked for."""
    import json

    device(monkeypatch, knows=True, ratio=0.4)
    assert run("--no-bf16").code == 0
    progress = tmp_path / "run" / "progress.json"
    content = json.loads(progress.read_text(encoding="utf-8"))
    del content["bf16"]
    progress.write_text(json.dumps(content), encoding="utf-8")
    done = run()
    assert done.code == 0, done.err
    assert "is finished already" in done.out


def test_the_measurement_is_a_ratio() -> None:
    assert 0.01 < time_in_bf16() < 1000
