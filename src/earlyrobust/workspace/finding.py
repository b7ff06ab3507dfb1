"""Finds what a run has left in its folder: its options, its models, its ticket, its fingerprints."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from earlyrobust.errors import OutputError
from earlyrobust.options.run import RunConfig
from earlyrobust.results import RECORD_NAME, RunRecord
from earlyrobust.tickets import hub
from earlyrobust.tickets.ticket import Ticket
from earlyrobust.tickets.weight_ticket import WeightTicket
from earlyrobust.workspace.folder import CONFIG_NAME, DENSE, MODEL, PROGRESS_NAME, TICKET, AnyTicket


def run_of(model: str) -> Path | None:
    """The folder of the run that a model or an export of it lies in, or is; None where there is none."""
    if not Path(model).is_dir():  # a name on the hub lies nowhere
        return None
    for place in dict.fromkeys((Path(os.path.abspath(model)), Path(model).resolve())):
        for folder in (place, *list(place.parents)[:2]):
            has_options = (folder / CONFIG_NAME).is_file() and any(
                (folder / name).is_file() for name in (PROGRESS_NAME, RECORD_NAME)
            )
            if has_options and any((folder / name).is_dir() for name in (MODEL, DENSE)):
                return folder
    return None


def model_in(name: str) -> str:
    """Where a classifier is: that of a run lies in a folder of the run's."""
    of_run = Path(name) / MODEL
    return str(of_run) if of_run.is_dir() and not (Path(name) / "config.json").exists() else name


def name_of(model: str) -> str:
    """A short name of a classifier, for a folder: that of its run, with its own if it is not the run's."""
    place, run = Path(os.path.abspath(model)), run_of(model)
    if run is None or place.resolve() in (run.resolve(), (run / MODEL).resolve()):
        return (run or place).name
    return f"{run.name}-{place.name}"


def options_of(run: Path) -> RunConfig:
    """Read the options that a run was begun with from its folder."""
    return RunConfig.parse({}, run / CONFIG_NAME).resolved()


def find_ticket(folder: Path) -> AnyTicket:
    """Read the ticket of a folder, whichever kind it is: its own, or that of a run.

    Args:
        folder: A folder, or the name of a repository on the Hugging Face hub.

    Raises:
        TicketError: If there is none, or it is damaged or of a newer format.
    """
    if hub.is_name(str(folder)):
        folder = hub.fetch(str(folder), (*Ticket.FILES, *WeightTicket.FILES))
    of_run = folder / TICKET
    place = of_run if of_run.is_dir() else folder
    kind = WeightTicket if (place / WeightTicket.FILES[0]).is_file() else Ticket
    return kind.from_pretrained(place)


def fingerprints_of(folder: Path) -> dict[str, str]:
    """Read the fingerprints that a run was begun with from its folder.

    Args:
        folder: Of the run, finished or not.

    Returns:
        Hashes of its `data` and its `model`; in the folders of older versions that of the model is missing.
    """
    found: dict[str, Any] = {}
    with suppress(OSError, ValueError, TypeError, AttributeError):
        progress = json.loads((folder / PROGRESS_NAME).read_text(encoding="utf-8"))
        found = {name: progress.get(f"{name}_fingerprint") for name in ("data", "model")}
    with suppress(OutputError):
        found["data"] = RunRecord.load(folder).data.fingerprint
    return {name: value for name, value in found.items() if isinstance(value, str)}


def bytes_of_weights(folder: Path) -> int:
    """Size of the files that hold a model's weights, or of its ONNX graph if it has no others."""
    for kind in ("model*.safetensors", "pytorch_model*.bin", "model.onnx*"):
        if files := list(folder.glob(kind)):
            return sum(file.stat().st_size for file in files)
    return 0
