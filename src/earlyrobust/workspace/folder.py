"""Manages the folder of a run: the same command continues the run, and another command never overwrites it.

The file `progress.json` lists the finished stages. An interrupted run continues with its first unfinished
stage, from the last checkpoint of this stage.
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
from earlyrobust.workspace.classes import code_of_classes, edited_classes
from earlyrobust.workspace.identity import anchored, differences, facts_of_test_data, shown, told

AnyTicket = Ticket | WeightTicket

CONFIG_NAME = "config.yaml"
PROGRESS_NAME = "progress.json"
CHECKPOINTS = "checkpoints"
# The subfolder with the data and the model of a run on objects in memory.
INPUTS = "inputs"
# The subfolders of a finished run: the dense model, the ticket, and the trained model.
DENSE, TICKET, MODEL = "dense", "ticket", MODEL_FOLDER
# The subfolder with the model after the search, kept until the run is finished.
SEARCHED = "searched"
# Options that change no result, and scrutiny, which only adds to the results.
_NO_MATTER = {"token_budget", "in_flight", "gradient_checkpointing", "report_to", "scrutiny"}
# This file is written into a checkpoint last, so a checkpoint without it is incomplete.
ELAPSED_NAME = "elapsed.json"


class RunFolder:
    """The folder of one run.

    Args:
        path: The folder.
        command: The command of the run, such as {"command": "run"}; another command is another run.
        options: The resolved options; a run with other options is another run.
    """

    def __init__(self, path: Path, command: dict[str, str], options: dict[str, Any]) -> None:
        """Check that this run can use the folder; nothing is written yet.

        Raises:
            OutputError: If the folder holds anything else, or cannot be made or written to.
        """
        self.path = path
        # Whether files in the options may only have moved. The fingerprints of data and model decide, once
        # both are loaded.
        self.has_moved = False
        self._command = anchored(command)
        self._options = anchored({name: value for name, value in options.items() if name != "output"})
        self._code = code_of_classes(options)
        check_can_be_made(path)  # before the data is prepared, which may take long
        self._progress = self._look()

    def _look(self) -> dict[str, Any]:
        """Return the progress of this run; raise `OutputError` if the folder holds anything else."""
        # A process that is killed while it claims the folder leaves at most these two.
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
        if edited := edited_classes(progress.get("code"), self._code):
            raise OutputError(
                f"The code of '{edited[0]}' has changed since the run in '{self.path}' was begun: undo the "
                "change, choose another --output, or delete it."
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
        """Claim the folder for this run, and lock it while the context lasts.

        Args:
            fingerprint: Hash of the data; a run with other data cannot continue.
            model: Hash of the encoder; a run with another encoder cannot continue. None if it is unknown.

        Raises:
            OutputError: If the data or the encoder has changed, another command is working in the folder, or
                the folder cannot be written to.
        """
        with ExitStack() as stack:

            def claim() -> dict[str, Any]:
                stack.enter_context(locked(self.path))
                self._progress = self._look()  # another command may have changed the folder
                self._claim(fingerprint, model)
                _tidy(self.path)
                return self._progress

            self._progress = processes.by_first(claim)
            yield

    def check_model(self, fingerprint: str | None) -> None:
        """Refuse to continue with another encoder than the original one.

        Args:
            fingerprint: Hash of the current encoder; None if it is unknown, which is accepted.

        Raises:
            OutputError: If the encoder has changed.
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
        """Whether the run computes in bfloat16; None before the decision."""
        found = self._progress.get("bf16")
        return found if isinstance(found, bool) else None

    @property
    def bf16_ratio(self) -> float | None:
        """The measured time in bfloat16 relative to float32; None without a measurement."""
        found = self._progress.get("bf16_ratio")
        return found if isinstance(found, float) else None

    def keep_bf16(self, chosen: bool, ratio: float | None = None) -> None:
        """Record whether the run computes in bfloat16, unless it is recorded already.

        Args:
            chosen: Whether it does.
            ratio: The measured time in bfloat16 relative to float32; None without a measurement.
        """
        if self.bf16 is None:
            self._progress["bf16"] = chosen
            if ratio is not None:
                self._progress["bf16_ratio"] = ratio
            if processes.is_first():
                write_json(self.path / PROGRESS_NAME, self._progress)

    def check_data(self, fingerprint: str | None) -> None:
        """Refuse to continue with other data than the original data.

        Args:
            fingerprint: Hash of the current data; None if it is unknown, which is accepted.

        Raises:
            OutputError: If the data has changed.
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
        if self._code:
            self._progress["code"] = self._code
        text = yaml.safe_dump(self._options, sort_keys=False, allow_unicode=True)
        try:
            # The options are written last, because a folder without them counts as holding no run.
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
        """Return whether a stage is finished, by this process or an earlier one."""
        return stage in self.seconds

    @property
    def training(self) -> dict[str, TrainingLog]:
        """The training log of each stage that has one."""
        return {stage: TrainingLog(**log) for stage, log in self._progress.get("training", {}).items()}

    def keep_log(self, stage: str, log: TrainingLog) -> None:
        """Keep the training log of a stage, which is written when the stage is finished."""
        self._progress["training"] = {**self._progress.get("training", {}), stage: asdict(log)}

    def finish(self, stage: str, seconds: float) -> None:
        """Record that a stage is finished, and remove its checkpoints.

        Args:
            stage: The stage, whose results are already in the folder.
            seconds: Wall-clock seconds of the stage.
        """
        self._progress["seconds"] = {**self.seconds, stage: seconds}
        if processes.is_first():
            write_json(self.path / PROGRESS_NAME, self._progress)
            shutil.rmtree(self.checkpoints(stage), ignore_errors=True)

    def close(self) -> None:
        """Remove the files that only an unfinished run needs."""
        if processes.is_first():
            _close(self.path)

    def checkpoints(self, stage: str) -> Path:
        """Return the folder of a stage's checkpoints."""
        return self.path / CHECKPOINTS / stage

    def last_checkpoint(self, stage: str) -> Path | None:
        """Return the newest complete checkpoint of a stage; None if there is none."""
        found = self.checkpoints(stage).glob(f"checkpoint-*/{ELAPSED_NAME}")
        return max(
            (file.parent for file in found), key=lambda folder: int(folder.name.split("-")[1]), default=None
        )


def holds_run(folder: Path, options: dict[str, Any]) -> bool:
    """Return whether a folder holds a run of `earlyrobust run` with the same options, finished or not.

    Paths may be spelled in another way, or be relative to another working folder. Files may have moved.

    Args:
        folder: The folder.
        options: The resolved options of a run; the folder in them does not matter.
    """
    if not (folder / CONFIG_NAME).is_file():
        return False
    try:
        RunFolder(folder, {"command": "run"}, options)
    except OutputError:
        return False
    return True


def close_again(folder: Path) -> None:
    """Remove files of a process that was killed after its run was finished but before it had cleaned up.

    Args:
        folder: The folder of a finished run.
    """
    if processes.is_first():
        with suppress(OutputError), locked(folder):  # The folder may be read-only by now.
            _tidy(folder)
            _close(folder)


def _tidy(folder: Path) -> None:
    """Remove the unfinished files of killed processes, to free disk space."""
    remove_leftovers(folder)
    # Other commands may be writing to other subfolders.
    for name in (DENSE, TICKET, MODEL, ATTACKS_FOLDER, CHECKPOINTS):
        remove_leftovers(folder / name, within=True)
    for checkpoint in (folder / CHECKPOINTS).glob("*/checkpoint-*"):
        if not (checkpoint / ELAPSED_NAME).exists():
            shutil.rmtree(checkpoint, ignore_errors=True)


def _close(folder: Path) -> None:
    for name in (CHECKPOINTS, SEARCHED):
        shutil.rmtree(folder / name, ignore_errors=True)


def what_matters(options: Any) -> Any:
    """Return the options that affect the results of a run.

    Options that are None count as absent, because options of later versions are None by default. The option
    `bf16` counts as absent if it is False, because earlier versions had no such choice. The folder records
    the choice.

    Args:
        options: The options by name; any other value gives None.
    """
    if not isinstance(options, dict):
        return None
    return {
        name: value
        for name, value in options.items()
        if name not in _NO_MATTER and value is not None and (name, value) != ("bf16", False)
    }
