"""Ctrl-C in a training: a checkpoint is written first, and nothing is lost that is done."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import call
from safetensors.torch import load_file
from transformers import TrainerCallback

from earlyrobust import pipeline
from earlyrobust.options.run import RunConfig
from earlyrobust.pipeline import checkpointing
from earlyrobust.results import RunRecord
from earlyrobust.workspace.interrupts import DelayedInterrupt
from earlyrobust.workspace.observer import Observer


class Interrupts(Observer):
    """Sends a signal to this process in a step of a stage."""

    def __init__(self, stage: int, step: int, times: int = 1) -> None:
        self.stages, self.stage_of_signal, self.step, self.times = 0, stage, step, times
        self.first_steps: list[int] = []
        self.notes: list[str] = []

    def callbacks(self) -> list[TrainerCallback]:
        self.stages += 1
        watch, is_due = self, self.stages == self.stage_of_signal

        class Sender(TrainerCallback):
            def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                watch.first_steps.append(state.global_step)

            def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
                if is_due and state.global_step + 1 == watch.step:
                    for _ in range(watch.times):
                        os.kill(os.getpid(), signal.SIGINT)

        return [Sender()]

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture(autouse=True)
def _rare_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointing, "SECONDS_BETWEEN_CHECKPOINTS", 1e9)


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    """Python's own handler, also where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def options(encoder: Path, reviews: Path, folder: Path, **changes: Any) -> RunConfig:
    settings: dict[str, Any] = {
        **{"model": str(encoder), "train_file": reviews, "output": folder, "attack": ()},
        **{"epochs": 1, "batch_size": 8, "learning_rate": 1e-3, "search_adversary": "none"},
        **{"miniepoch": 0.1, "miniepoch_min_steps": 2, **changes},
    }
    return RunConfig.parse(settings).resolved()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, encoder: Path, reviews: Path) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "run"
    pipeline.run(options(encoder, reviews, folder))
    return folder


def assert_same(first: Path, second: Path) -> None:
    for stage in ("dense", "model"):
        one, other = (load_file(folder / stage / "model.safetensors") for folder in (first, second))
        assert all(torch.equal(weight, other[name]) for name, weight in one.items())
    ours, theirs = RunRecord.load(first), RunRecord.load(second)
    assert ours.training == theirs.training
    assert ours.model.test == theirs.model.test


@pytest.mark.parametrize(("stage", "step"), [(1, 3), (1, 12), (2, 5), (3, 25)])
def test_an_interrupted_training_goes_on_after_the_next_log(
    encoder: Path, reviews: Path, tmp_path: Path, whole: Path, stage: int, step: int
) -> None:
    config = options(encoder, reviews, tmp_path / "run")
    first = Interrupts(stage, step)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(config, first)
    assert [note for note in first.notes if note.startswith("Interrupted: the training writes a checkpoint.")]
    again = Interrupts(0, 0)
    pipeline.run(config, again)
    saved = -(-step // checkpointing.STEPS_BETWEEN_LOGS) * checkpointing.STEPS_BETWEEN_LOGS
    assert again.first_steps[0] == saved
    assert_same(tmp_path / "run", whole)


@pytest.mark.parametrize(("stage", "step"), [(1, 13), (2, 5)])
def test_a_slow_training_is_saved_at_once(
    encoder: Path,
    reviews: Path,
    tmp_path: Path,
    whole: Path,
    monkeypatch: pytest.MonkeyPatch,
    stage: int,
    step: int,
) -> None:
    monkeypatch.setattr(checkpointing, "SECONDS_TO_WAIT", -1.0)
    config = options(encoder, reviews, tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(config, Interrupts(stage, step))
    again = Interrupts(0, 0)
    pipeline.run(config, again)
    assert again.first_steps[0] == step
    assert_same(tmp_path / "run", whole)


def test_a_second_interrupt_ends_at_once(encoder: Path, reviews: Path, tmp_path: Path) -> None:
    config = options(encoder, reviews, tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(config, Interrupts(1, 13, times=2))
    assert not list((tmp_path / "run" / "checkpoints").rglob("elapsed.json"))


def test_an_interrupt_in_the_last_steps_ends_after_the_stage(
    encoder: Path, reviews: Path, tmp_path: Path, whole: Path
) -> None:
    config = options(encoder, reviews, tmp_path / "run")
    steps = -(-RunRecord.load(whole).data.sizes["train"] // 8)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(config, Interrupts(1, steps))
    assert (tmp_path / "run" / "dense" / "model.safetensors").exists()
    again = Interrupts(0, 0)
    pipeline.run(config, again)
    assert again.first_steps[0] == 0  # the search: the dense model is finished
    assert_same(tmp_path / "run", whole)


def test_the_handlers_are_put_back_and_other_threads_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    told: list[str] = []
    with DelayedInterrupt(told.append) as interrupt:
        assert interrupt.seconds is None
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.seconds is not None
        with pytest.raises(KeyboardInterrupt):
            interrupt.deliver()
        interrupt.deliver()  # which is done
    assert signal.getsignal(signal.SIGINT) is before
    assert len(told) == 1

    def elsewhere() -> None:
        with DelayedInterrupt(told.append):
            told.append("in a thread")

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert told[-1] == "in a thread"


def test_the_command_says_how_to_go_on(
    encoder: Path, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from earlyrobust.cli.display import Display

    sender = Interrupts(1, 4)
    monkeypatch.setattr(Display, "callbacks", lambda self: sender.callbacks())
    run = (
        "run",
        "--model",
        encoder,
        "--train-file",
        reviews,
        "--epochs",
        1,
        "--batch-size",
        8,
        "--no-attack",
    )
    done = call(*run, "--output", tmp_path / "run")
    assert done.code == 130
    assert "Interrupted: the training writes a checkpoint." in done.out
    assert "the same command continues." in done.out
    assert list((tmp_path / "run" / "checkpoints").rglob("elapsed.json"))
