"""What a training logs: kept in the record, drawn on the page, reported elsewhere if asked for."""

import json
import math
import time

import pytest
import tiny
from transformers import TrainerControl, TrainerState, TrainingArguments

from earlyrobust.errors import ConfigError
from earlyrobust.options.run import RunConfig
from earlyrobust.pipeline import trackers
from earlyrobust.pipeline.checkpointing import Checkpoints
from earlyrobust.reports.plots import training_curves
from earlyrobust.results import TrainingLog
from earlyrobust.workspace.folder import ELAPSED_NAME, RunFolder
from earlyrobust.workspace.interrupts import DelayedInterrupt


def history(points, **more):
    return [
        {"loss": 1 / step, "grad_norm": 2.0, "learning_rate": 1e-3, "step": step, **more}
        for step in range(10, 10 * points + 1, 10)
    ]


@pytest.mark.parametrize("points", [0, 1, 7, 200, 201, 5000])
def test_a_log_keeps_points_evenly_apart_and_both_ends(points):
    log = TrainingLog.of([*history(points), {"train_loss": 3.0, "step": 10 * points}])
    assert len(log.steps) == len(log.loss) == len(log.learning_rate) == min(points, 200)
    assert log.penalty == []
    if points:
        assert (log.steps[0], log.steps[-1]) == (10, 10 * points)
        assert log.loss == [1 / step for step in log.steps]
        gaps = {after - before for before, after in zip(log.steps, log.steps[1:], strict=False)}
        assert not gaps or max(gaps) - min(gaps) <= 10


def test_a_log_survives_json_with_what_is_not_finite_left_out():
    log = TrainingLog.of([*history(3, penalty=0.5, grad_norm=math.nan), {"loss": math.inf, "step": 40}])
    assert log.loss[-1] is None
    assert log.gradient_norm == [None] * 4
    assert log.penalty == [0.5, 0.5, 0.5, None]
    told = json.loads(json.dumps(vars(log), allow_nan=False))
    assert TrainingLog(**told) == log
    names = [axes.get_ylabel() for axes in training_curves(log).axes]
    assert names == ["loss", "penalty", "learning rate"]


def test_logs_of_stages_stay_in_the_folder_between_processes(tmp_path):
    def folder():
        return RunFolder(tmp_path / "run", {"command": "run"}, {"seed": 1})

    log = TrainingLog.of(history(3))
    begun = folder()
    assert begun.training == {}
    with begun.claimed("data"):
        begun.keep_log("dense", log)
        begun.finish("dense", 1.0)
        begun.keep_log("ticket", log)  # interrupted: the stage is done again
    again = folder()
    assert again.training == {"dense": log}
    RunFolder(tmp_path / "run", {"command": "run"}, {"seed": 1, "report_to": "none"})  # is the same run


@pytest.mark.parametrize("target", ["tensorboard", "wandb", "mlflow"])
def test_a_place_to_report_to_that_is_not_installed_is_said(monkeypatch, target):
    monkeypatch.setattr(trackers, "get_available_reporting_integrations", lambda: ["codecarbon"])
    with pytest.raises(
        ConfigError, match=rf"^--report-to {target} needs the package '{target}'.*`pip install"
    ):
        trackers.check_reporting(target)


def test_a_place_to_report_to_is_set_up_for_each_stage(monkeypatch, tmp_path):
    class Board:
        logging_dir = None

    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    monkeypatch.setattr(trackers, "get_reporting_integration_callbacks", lambda _: [Board])
    with trackers.reporting("tensorboard", tmp_path, "dense") as (board,):
        assert board.logging_dir == str(tmp_path / "logs" / "dense")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "elsewhere")
    with trackers.reporting("tensorboard", tmp_path, "dense") as (board,):
        assert board.logging_dir is None


@pytest.mark.parametrize("target", [None, "none"])
def test_without_a_place_to_report_to_nothing_is_reported(tmp_path, target):
    with trackers.reporting(target, tmp_path, "dense") as callbacks:
        assert callbacks == []


def test_a_checkpoint_is_due_only_where_there_has_just_been_logged(monkeypatch, tmp_path):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    args, state = tiny.arguments(tmp_path), TrainerState(max_steps=1000)
    clock = Checkpoints(DelayedInterrupt(print))
    clock.on_train_begin(args, state, TrainerControl())
    now[0] = 1000.0
    saved = []
    for state.global_step in range(1, 31):
        control = TrainerControl()
        clock.on_step_end(args, state, control)
        saved += [state.global_step] * control.should_save
    assert saved == [10, 20, 30]


def test_an_unknown_place_to_report_to_is_refused():
    with pytest.raises(ConfigError, match=r"^--report-to is 'comet', but it should be"):
        RunConfig.parse({"report_to": "comet"})


def test_the_seconds_of_a_training_leave_out_those_of_its_checkpoints(monkeypatch, tmp_path):
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    args: TrainingArguments = tiny.arguments(tmp_path)
    state, control = TrainerState(max_steps=1000), TrainerControl()
    clock = Checkpoints(DelayedInterrupt(print))
    clock.on_train_begin(args, state, control)
    for count, step in enumerate((10, 20), start=1):
        now[0] += 31
        state.global_step, control.should_save = step - 1, False
        clock.on_step_end(args, state, control)
        now[0] += 30  # a step, after which a checkpoint is due
        state.global_step = step
        clock.on_step_end(args, state, control)
        assert control.should_save
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        now[0] += 1000  # the checkpoint is written
        clock.on_save(args, state, control)
        assert json.loads((folder / ELAPSED_NAME).read_text())["seconds"] == 61 * count
    now[0] += 7
    clock.on_train_end(args, state, control)
    assert clock.elapsed == 61 * 2 + 7
    resumed = Checkpoints(DelayedInterrupt(print))
    resumed.on_train_begin(args, state, control)
    now[0] += 5
    assert resumed.elapsed == 61 * 2 + 5
