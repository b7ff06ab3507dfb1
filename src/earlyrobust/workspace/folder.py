"""The folder of a run: claimed once, continued by the same command, never overwritten by another.

Stages that are finished are noted in `progress.json`. An interrupted run goes on with the first stage that is
not, from its last checkpoint.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from earlyrobust import processes
from earlyrobust.errors import OutputError
from earlyrobust.results import ATTACKS_FOLDER, MODEL_FOLDER, RECORD_NAME, TrainingLog
from earlyrobust.storage import (
    check_can_be_made,
    content_of,
    locked,
    remove_leftovers,
    write_atomically,
    write_json,
)
from earlyrobust.tickets.ticket import Ticket
from earlyrobust.tickets.weight_ticket import WeightTicket
from earlyrobust.workspace.identity import anchored, differences, facts_of_test_data, shown, told

AnyTicket = Ticket | WeightTicket

CONFIG_NAME = "config.yaml"
PROGRESS_NAME = "progress.json"
CHECKPOINTS = "checkpoints"
# The data and the model of a run on objects in memory.
INPUTS = "inputs"
# What a finished run holds: the model that is only fine-tuned, the ticket, and the model that it made.
DENSE, TICKET, MODEL = "dense", "ticket", MODEL_FOLDER
# The model that a ticket was searched on, kept until the fine-tuning has started from its weights.
SEARCHED = "searched"
# Options that change no result, and scrutiny, which only adds to it.
_NO_MATTER = {"token_budget", "in_flight", "gradient_checkpointing", "report_to", "scrutiny"}
# Written into a checkpoint when all else is there, so a checkpoint without it is not whole.
ELAPSED_NAME = "elapsed.json"


class RunFolder:
    """One run's folder.

    Args:
        path: The folder.
        command: What is run there, such as {"command": "run"}; another command is another run.
        options: The resolved options; a run with other options is another run.
    """

    def __init__(self, path: Path, command: dict[str, str], options: dict[str, Any]) -> None:
        """Look whether the folder is free for this run; nothing is written yet.

        Raises:
            OutputError: If the folder holds anything else, or cannot be made or written to.
        """
        self.path = path
        # Whether files that the options name may only have moved: data and model tell, as they are loaded.
        self.has_moved = False
        self._command = anchored(command)
        self._options = anchored({name: value for name, value in options.items() if name != "output"})
        check_can_be_made(path)  # said now rather than after the data is prepared, which may take long
        self._progress = self._look()

    def _look(self) -> dict[str, Any]:
        """How far this run has come in the folder; `OutputError` if the folder holds anything else."""
        # A process killed while it claimed the folder leaves no more than progress of nothing.
        if all(file.name in (PROGRESS_NAME, INPUTS) for file in content_of(self.path)):
            return {**self._command, "seconds": {}}
        options = what_matters(self._read_config(self.path / CONFIG_NAME))
        if options is None or not (self.path / PROGRESS_NAME).exists():
            raise OutputError(f"'{self.path}' holds other files: choose another --output, or delete it.")
        progress = self._read_progress()
        if progress.get("command") != self._command["command"]:
            raise OutputError(
                f"'{self.path}' holds another run (the command is {shown(progress.get('command'))} there and "
                f"{self._command['command']} here): choose another --output, or delete it."
            )
        begun = {key: progress.get(key) for key in self._command}
        differing = [
            *differences(facts_of_test_data(begun), facts_of_test_data(self._command)),
            *differences(options, what_matters(self._options)),
        ]
        knows_model = "model_fingerprint" in progress
        if others := [
            difference
            for difference in differing
            if not difference.may_have_moved or (difference.option == "model" and not knows_model)
        ]:
            raise OutputError(
                f"'{self.path}' holds another run ({told(others)}): choose another --output, or delete it."
            )
        asked, begun_with = self._options.get("bf16"), progress.get("bf16")
        if None not in (asked, begun_with) and asked != begun_with:
            raise OutputError(
                f"The run in '{self.path}' was begun {'with' if begun_with else 'without'} bfloat16: choose "
                "another --output, or delete it."
            )
        self.has_moved = bool(differing)
        return {**progress, **self._command}

    @contextmanager
    def claimed(self, fingerprint: str, model: str | None = None) -> Iterator[None]:
        """Make the folder this run's, and keep others out while the context lasts.

        Args:
            fingerprint: Hash of the data; a run that was begun on other data cannot go on.
            model: The same of the encoder that is trained; None if it is not known.

        Raises:
            OutputError: If the data or the encoder has changed, another command is at work in the folder, or
                it cannot be written to.
        """
        with ExitStack() as stack:

            def claim() -> dict[str, Any]:
                stack.enter_context(locked(self.path))
                self._progress = self._look()  # another command may have been at work since
                self._claim(fingerprint, model)
                _tidy(self.path)
                return self._progress

            self._progress = processes.by_first(claim)
            yield

    def check_model(self, fingerprint: str | None) -> None:
        """Refuse to go on with another encoder than the run was begun with.

        Args:
            fingerprint: Of the encoder there is now; None if it is not known, which is no reason to refuse.

        Raises:
            OutputError: If it is another one.
        """
        begun = self._progress.get("model_fingerprint")
        if None not in (begun, fingerprint) and begun != fingerprint:
            model = {**self._command, **self._options}.get("model")
            raise OutputError(
                f"The model '{model}' has changed since the run in '{self.path}' was begun: choose another "
                "--output, or delete it."
            )

    @property
    def bf16(self) -> bool | None:
        """Whether the run computes in bfloat16; None if it is not decided yet."""
        found = self._progress.get("bf16")
        return found if isinstance(found, bool) else None

    def keep_bf16(self, chosen: bool) -> None:
        """Note which numbers the run computes in."""
        if self.bf16 is None:
            self._progress["bf16"] = chosen
            if processes.is_first():
                write_json(self.path / PROGRESS_NAME, self._progress)

    def check_data(self, fingerprint: str | None) -> None:
        """Refuse to go on with other data than the run was begun with.

        Args:
            fingerprint: Of the data there is now; None if it is not known, which is no reason to refuse.

        Raises:
            OutputError: If it is other data.
        """
        begun = self._progress.get("data_fingerprint")
        if None not in (begun, fingerprint) and begun != fingerprint:
            raise OutputError(
                f"The run in '{self.path}' was begun on other data: choose another --output, or delete it."
            )

    def _claim(self, fingerprint: str, model: str | None) -> None:
        self.check_data(fingerprint)
        self._progress["data_fingerprint"] = fingerprint
        self.check_model(model)
        if model is not None:
            self._progress["model_fingerprint"] = model
        text = yaml.safe_dump(self._options, sort_keys=False, allow_unicode=True)
        try:
            # The options come last: a folder without them holds no run.
            write_json(self.path / PROGRESS_NAME, self._progress)
            write_atomically(self.path / CONFIG_NAME, lambda file: file.write_text(text, encoding="utf-8"))
        except OSError as error:
            raise OutputError(f"'{self.path}' cannot be written to: {error.strerror}.") from error

    @staticmethod
    def _read_config(path: Path) -> Any:
        try:
            return yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError):
            return None

    def _read_progress(self) -> dict[str, Any]:
        path = self.path / PROGRESS_NAME
        try:
            progress = json.loads(path.read_text(encoding="utf-8"))
            return {**progress, "seconds": dict(progress.get("seconds", {}))}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise OutputError(
                f"'{path}' is damaged: choose another --output, or delete the folder."
            ) from error

    @property
    def is_complete(self) -> bool:
        """Whether the run has its record."""
        return (self.path / RECORD_NAME).exists()

    @property
    def seconds(self) -> dict[str, float]:
        """Wall-clock seconds of the finished stages."""
        return dict(self._progress.get("seconds", {}))

    def is_finished(self, stage: str) -> bool:
        """Whether a stage has been finished, in this process or an earlier one."""
        return stage in self.seconds

    @property
    def training(self) -> dict[str, TrainingLog]:
        """The training log of each stage that has one."""
        return {stage: TrainingLog(**log) for stage, log in self._progress.get("training", {}).items()}

    def keep_log(self, stage: str, log: TrainingLog) -> None:
        """Keep what the training of a stage logged; it is written when the stage is finished."""
        self._progress["training"] = {**self._progress.get("training", {}), stage: asdict(log)}

    def finish(self, stage: str, seconds: float) -> None:
        """Note that all that a stage leaves behind is in place, and drop its checkpoints."""
        self._progress["seconds"] = {**self.seconds, stage: seconds}
        if processes.is_first():
            write_json(self.path / PROGRESS_NAME, self._progress)
            shutil.rmtree(self.checkpoints(stage), ignore_errors=True)

    def close(self) -> None:
        """Remove what only an unfinished run needs."""
        if processes.is_first():
            _close(self.path)

    def checkpoints(self, stage: str) -> Path:
        """Where a stage keeps its checkpoints while it trains."""
        return self.path / CHECKPOINTS / stage

    def last_checkpoint(self, stage: str) -> Path | None:
        """The newest whole checkpoint of a stage, None if there is none."""
        found = self.checkpoints(stage).glob(f"checkpoint-*/{ELAPSED_NAME}")
        return max(
            (file.parent for file in found), key=lambda folder: int(folder.name.split("-")[1]), default=None
        )


def close_again(folder: Path) -> None:
    """Remove what a process left behind that was killed when its run was all but finished.

    Args:
        folder: Of a finished run.
    """
    if processes.is_first():
        with suppress(OutputError), locked(folder):  # it may lie where nothing can be written any more
            _tidy(folder)
            _close(folder)


def _tidy(folder: Path) -> None:
    """Remove what killed processes were writing: it takes room."""
    remove_leftovers(folder)
    for name in (DENSE, TICKET, MODEL, ATTACKS_FOLDER, CHECKPOINTS):  # elsewhere others may be at work
        remove_leftovers(folder / name, within=True)
    for checkpoint in (folder / CHECKPOINTS).glob("*/checkpoint-*"):
        if not (checkpoint / ELAPSED_NAME).exists():
            shutil.rmtree(checkpoint, ignore_errors=True)


def _close(folder: Path) -> None:
    for name in (CHECKPOINTS, SEARCHED):
        shutil.rmtree(folder / name, ignore_errors=True)


def what_matters(options: Any) -> Any:
    """Options without those that another run with the same results may have otherwise.

    Options that are None are as good as absent: those that a later version adds are None at first. A run
    without bfloat16 may be one of an earlier version, which had no choice; the folder keeps what was chosen.
    """
    if not isinstance(options, dict):
        return None  # no run's options
    return {
        name: value
        for name, value in options.items()
        if name not in _NO_MATTER and value is not None and (name, value) != ("bf16", False)
    }
