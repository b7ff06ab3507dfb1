"""Writes the checkpoints of a training, from which it continues, and counts the seconds of training."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from earlyrobust import processes
from earlyrobust.encoders import synchronize
from earlyrobust.storage import flush_folder, write_json
from earlyrobust.workspace.folder import ELAPSED_NAME
from earlyrobust.workspace.interrupts import DelayedInterrupt

SECONDS_BETWEEN_CHECKPOINTS = 60.0
# An interrupted training waits this long for the next log. After that, it is saved at any step.
SECONDS_TO_WAIT = 3.0
STEPS_BETWEEN_LOGS = 10


def _drop_others(newest: Path) -> None:
    """Remove all checkpoints except the newest."""
    for checkpoint in newest.parent.glob("checkpoint-*"):
        if checkpoint != newest:
            # Without this file, a partly removed checkpoint counts as incomplete.
            (checkpoint / ELAPSED_NAME).unlink(missing_ok=True)
            shutil.rmtree(checkpoint, ignore_errors=True)


class Checkpoints(TrainerCallback):  # type: ignore[misc]
    """Requests a checkpoint every minute, right after a log, and records the seconds of training in it.

    The seconds of writing checkpoints do not count, because they depend on the disk and not on the method.
    An interrupted training also gets a checkpoint, and then ends.

    Args:
        interrupt: Delays interrupts, and gives the time since the first one.
    """

    def __init__(self, interrupt: DelayedInterrupt) -> None:
        self._interrupt = interrupt
        self._before = 0.0  # seconds of training until `_began`, also those before an interruption
        self._began = 0.0
        self._saved = 0.0
        self._stepped = 0.0
        self._ended: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds of training so far."""
        return self._before + (self._ended or time.perf_counter()) - self._began

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Read the seconds of training from the checkpoint from which the training continues."""
        if state.global_step:
            file = Path(args.output_dir) / f"checkpoint-{state.global_step}" / ELAPSED_NAME
            self._before = float(json.loads(file.read_text(encoding="utf-8"))["seconds"])
        synchronize(args.device)
        self._began = self._saved = self._stepped = time.perf_counter()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Request a checkpoint if one is due."""
        finished = control.should_training_stop or state.global_step >= state.max_steps
        # A log holds the mean over the steps since the previous log. So a training that continues from a
        # checkpoint gives the same logs only if the checkpoint was written right after a log.
        logged = state.global_step % STEPS_BETWEEN_LOGS == 0
        waited = self._interrupt.seconds
        due = not finished and (
            waited is not None or time.perf_counter() - self._saved > SECONDS_BETWEEN_CHECKPOINTS
        )
        # Clocks differ, but all processes must save at the same step, so they agree at fixed steps.
        hurries = processes.count() == 1 and not finished and (waited or 0) > SECONDS_TO_WAIT
        if hurries or (logged and processes.largest(due)):
            control.should_save = True
            synchronize(args.device)  # Unfinished work on the device counts as training.
        self._stepped = time.perf_counter()

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write the seconds into the checkpoint, and deliver an interrupt that has waited for it."""
        self._before += self._stepped - self._began
        processes.wait()  # Each process writes a part of the checkpoint.
        if processes.is_first():
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            flush_folder(folder)
            write_json(folder / ELAPSED_NAME, {"seconds": self._before})
            _drop_others(folder)
        self._began = self._saved = time.perf_counter()
        processes.wait()  # until the first process has written the seconds
        self._interrupt.deliver()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Stop the clock."""
        synchronize(args.device)
        self._ended = time.perf_counter()
