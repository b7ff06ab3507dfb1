"""Checks the files of a model before it is loaded: adapters, missing parts, and files that are not used."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from transformers.utils import cached_file

from earlyrobust.errors import ModelError

# A function that receives a sentence about a choice.
Note = Callable[[str], object]

ADAPTER = "adapter_config.json"
# Files of weights, in the order in which transformers looks for them.
_WHOLE = ("model.safetensors", "pytorch_model.bin")
_WEIGHTS = tuple(name for whole in _WHOLE for name in (whole, f"{whole}.index.json"))
# Begins the file that replaces a large file if git has not fetched that one.
_POINTER = b"version https://git-lfs"
# The types of weights that are not quantised, by their names in safetensors.
_TRAINED = ("F64", "F32", "F16", "BF16")
# Files that this package writes into the folders that it saves, or into the folder above. No user expects the
# name of such a folder to be a name on the hub.
_OURS = ("export.json", "ticket.json", "weight_ticket.json")
_ABOVE_OURS = "progress.json"


def silent(_: str) -> None:
    """Ignore a note."""


def weights_in(folder: Path) -> list[str]:
    """Return the names of the files of weights in a folder; transformers loads the first of them."""
    return [name for name in _WEIGHTS if (folder / name).is_file()]


def check_files(name: str, place: str) -> None:
    """Refuse a model whose files are not exactly one whole model.

    Args:
        name: Name of the model, for the errors.
        place: The model's folder, or its name on the hub.

    Raises:
        ModelError: If the model is an adapter, has an adapter beside it, is quantised without saying so in
            its configuration, or lacks some of its files.
    """
    folder = Path(place)
    if not folder.is_dir():
        _check_adapter(name, _on_the_hub(place), is_whole=False)
        return
    found = weights_in(folder)
    adapter = next(iter(sorted(folder.glob("adapter_model.*"))), None)
    if (folder / ADAPTER).is_file():
        adapter = folder / ADAPTER
    _check_adapter(name, adapter, is_whole=bool(found) and (folder / "config.json").is_file())
    if found and found[0].endswith(".index.json"):
        _check_parts(name, folder / found[0])
    for file in (folder / part for part in found):
        with file.open("rb") as content:
            if content.read(len(_POINTER)) == _POINTER:
                raise ModelError(
                    f"'{file}' is only git's pointer to the weights: fetch them with `git lfs pull`."
                )
        if file.suffix == ".safetensors" and not _names_its_kind(folder):
            _check_kind(name, file)


def note_choices(name: str, place: str, note: Note) -> None:
    """Send a note if a name means several places or files of weights, and one of them is used.

    Args:
        name: The model's name, as the user gave it.
        place: The model's folder, or its name on the hub.
        note: Receives one sentence for each choice.
    """
    named = Path(name)
    if place != name and named.is_dir():
        note(f"'{name}' is the embedded encoder, not the folder of that name here, which is './{name}'.")
    if not Path(place).is_dir():
        return
    ours = any(file.is_file() for file in (*(named / file for file in _OURS), named.parent / _ABOVE_OURS))
    if place == name and not ours and re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name):
        note(f"'{name}' is read from the folder of that name here, not from the Hugging Face hub.")
    chosen, *others = weights_in(Path(place)) or [""]
    if others:
        note(f"The weights of '{name}' are read from {chosen}, not from {' or '.join(others)} beside it.")


def _on_the_hub(name: str) -> Path | None:
    """Return the configuration file of an adapter on the hub; None if there is none or it is unreachable."""
    try:
        found = cached_file(
            name,
            ADAPTER,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
            _raise_exceptions_for_gated_repo=False,
        )
    except (OSError, ValueError):
        return None  # the loader reports what is wrong with the name
    return None if found is None else Path(found)


def _check_adapter(name: str, adapter: Path | None, *, is_whole: bool) -> None:
    if adapter is None:
        return
    if is_whole:
        raise ModelError(
            f"'{name}' holds a whole model and an adapter beside it ({adapter.name}), and nothing says which "
            "is meant: merge the adapter into the model, or move its files away."
        )
    try:
        told = json.loads(adapter.read_text(encoding="utf-8"))["base_model_name_or_path"]
        base = f" of '{told}'"
    except (OSError, ValueError, KeyError, TypeError):
        base = ""
    raise ModelError(
        f"'{name}' is an adapter{base} (LoRA or another of PEFT), not a whole model: merge it with peft's "
        "`AutoPeftModelForSequenceClassification.from_pretrained(...).merge_and_unload()`, save the result "
        "and its tokenizer, and name that folder."
    )


def _names_its_kind(folder: Path) -> bool:
    """Return whether a model's configuration says how it is quantised.

    If it does, transformers loads the model accordingly, or refuses it.
    """
    try:
        return "quantization_config" in (folder / "config.json").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False


def _check_kind(name: str, file: Path) -> None:
    """Refuse a file of quantised weights."""
    try:
        with safe_open(file, framework="pt") as content:
            kinds = {key: content.get_slice(key).get_dtype() for key in content.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        return  # the loader reports what is wrong with the file
    wrong = [key for key in sorted(kinds) if key.endswith(".weight") and kinds[key] not in _TRAINED]
    if wrong:
        raise ModelError(
            f"The weights of '{name}' are of type {kinds[wrong[0]]} ({wrong[0]}), so they are quantised: "
            "choose the model that they were made from."
        )


def _check_parts(name: str, index: Path) -> None:
    """Refuse a model that lacks some of the files over which its weights are spread."""
    try:
        parts = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        missing = [part for part in parts if not (index.parent / part).is_file()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"'{index}' is damaged: save the model again.") from error
    if missing:
        raise ModelError(
            f"'{name}' lacks {len(missing)} of the {len(parts)} files that its weights are spread over "
            f"({missing[0]}): copy them into its folder."
        )
