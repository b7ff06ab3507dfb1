"""Finds the options, the models, the ticket and the fingerprints of a run in its folder."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from earlyrobust.errors import ModelError, OutputError, TicketError
from earlyrobust.options.run import RunConfig
from earlyrobust.results import RECORD_NAME, RunRecord
from earlyrobust.tickets import hub
from earlyrobust.tickets.ticket import Ticket
from earlyrobust.tickets.weight_ticket import WeightTicket
from earlyrobust.workspace.classes import code_of_classes, edited_classes
from earlyrobust.workspace.folder import CONFIG_NAME, DENSE, MODEL, PROGRESS_NAME, TICKET, AnyTicket


def run_of(model: str) -> Path | None:
    """Return the folder of the run to which a model belongs; None if it belongs to no run.

    Args:
        model: The folder of a run, of a model or of an export in it, or a name on the Hugging Face hub.
    """
    if not Path(model).is_dir():  # a name on the hub
        return None
    for place in dict.fromkeys((Path(os.path.abspath(model)), Path(model).resolve())):
        for folder in (place, *list(place.parents)[:2]):
            has_options = (folder / CONFIG_NAME).is_file() and any(
                (folder / name).is_file() for name in (PROGRESS_NAME, RECORD_NAME)
            )
            if has_options and any((folder / name).is_dir() for name in (MODEL, DENSE)):
                return folder
    return None


def check_model_place(name: str) -> None:
    """Refuse the name of a classifier that is a misspelt folder, or the folder of an unfinished run.

    Raises:
        ModelError: If a folder beside it has nearly the same name, or the run in the folder has not trained
            its classifier yet.
    """
    place = Path(name)
    if not place.exists():
        beside = [path.name for path in place.parent.iterdir()] if place.parent.is_dir() else []
        if near := difflib.get_close_matches(place.name, beside, n=1):
            raise ModelError(f"There is no folder '{place}': did you mean '{place.parent / near[0]}'?")
        if name.startswith((".", "/", "~")):  # no name on the hub
            raise ModelError(f"There is no folder '{place}': correct its path.")
        return
    is_run = (place / CONFIG_NAME).is_file() and (place / PROGRESS_NAME).is_file()
    if is_run and not (place / MODEL).is_dir() and not (place / "config.json").is_file():
        dense = place / DENSE
        instead = f", or name its dense model, '{dense}'" if dense.is_dir() else ""
        raise ModelError(
            f"The run in '{place}' has no model yet: run its command again to finish it{instead}."
        )


def model_in(name: str) -> str:
    """Return the folder of a classifier, or its name on the hub.

    Args:
        name: A folder of a model or a run, or a name on the hub. A run's classifier is in a subfolder.
    """
    of_run = Path(name) / MODEL
    return str(of_run) if of_run.is_dir() and not (Path(name) / "config.json").exists() else name


def name_of(model: str) -> str:
    """Return a short name of a classifier, for folders.

    For the main model of a run, it is the name of the run. For another model of a run, it is the names of run
    and model. For any other classifier, it is the name of its folder.
    """
    place, run = Path(os.path.abspath(model)), run_of(model)
    if run is None or place.resolve() in (run.resolve(), (run / MODEL).resolve()):
        return (run or place).name
    return f"{run.name}-{place.name}"


def options_of(run: Path) -> RunConfig:
    """Read the original options of a run from its folder."""
    return RunConfig.parse({}, run / CONFIG_NAME).resolved()


def find_ticket(folder: Path) -> AnyTicket:
    """Read the ticket in a folder, or in the folder of a run, of either kind.

    Args:
        folder: A folder, or the name of a repository on the Hugging Face hub.

    Raises:
        TicketError: If the folder has no ticket or tickets of both kinds, or the ticket is damaged or has a
            newer format.
    """
    if hub.is_name(str(folder)):
        folder = hub.fetch(str(folder), (*Ticket.FILES, *WeightTicket.FILES))
    of_run = folder / TICKET
    place = of_run if of_run.is_dir() else folder
    kinds = [kind for kind in (Ticket, WeightTicket) if (place / kind.FILES[0]).is_file()]
    if len(kinds) > 1:
        names = " and ".join(kind.FILES[0] for kind in kinds)
        raise TicketError(
            f"There are two tickets in '{folder}', {names}: move one, with its safetensors file, to another "
            "folder."
        )
    kind = kinds[0] if kinds else Ticket
    return kind.from_pretrained(place)


def fingerprints_of(folder: Path) -> dict[str, str]:
    """Read the original fingerprints of a run's data and model from its folder.

    Args:
        folder: The folder of the run, which may be unfinished.

    Returns:
        The hashes under `data` and `model`. In the folders of older versions, the hash of the model is
        missing.
    """
    progress = _progress_of(folder)
    found = {name: progress.get(f"{name}_fingerprint") for name in ("data", "model")}
    with suppress(OutputError):
        found["data"] = RunRecord.load(folder).data.fingerprint
    return {name: value for name, value in found.items() if isinstance(value, str)}


def edited_since(folder: Path, options: Mapping[str, Any]) -> list[str]:
    """Return the names of the user's own classes whose code has changed since a run was begun.

    Args:
        folder: The folder of the run.
        options: The options of the run by name.
    """
    return edited_classes(_progress_of(folder).get("code"), code_of_classes(options))


def _progress_of(folder: Path) -> dict[str, Any]:
    """Read the progress of a run; {} if it is missing or damaged."""
    with suppress(OSError, ValueError):
        progress = json.loads((folder / PROGRESS_NAME).read_text(encoding="utf-8"))
        return progress if isinstance(progress, dict) else {}
    return {}


def bytes_of_weights(place: str | Path) -> int:
    """Return the size in bytes of a model's files of weights, or of its ONNX graph; 0 without either.

    Args:
        place: The folder of the model, or its name on the hub, whose files are sought in the hub's cache.
    """
    folder = Path(place)
    if not folder.is_dir():
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(str(place), "config.json")
        if not isinstance(found, str):
            return 0
        folder = Path(found).parent
    for kind in ("model*.safetensors", "pytorch_model*.bin", "model.onnx*"):
        if files := list(folder.glob(kind)):
            return sum(file.stat().st_size for file in files)
    return 0
