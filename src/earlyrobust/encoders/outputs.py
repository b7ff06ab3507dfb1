"""Reads the names of a classifier's outputs from its configuration."""

from __future__ import annotations

import reprlib
from typing import Any

from transformers import PreTrainedConfig

from earlyrobust.encoders.fetching import fetch, locate
from earlyrobust.errors import ModelError


def output_names(name: str) -> list[str] | None:
    """Read the names of a classifier's outputs from its configuration, in the order of the outputs.

    The names are those of `id2label`, or those of `label2id` if `id2label` has none.

    Args:
        name: An embedded encoder, a local folder, or a name on the Hugging Face hub.

    Returns:
        The names; None if there are none, or only the default names of transformers ("LABEL_0").

    Raises:
        ModelError: If the configuration cannot be loaded, or the names in it are damaged.
    """
    raw, _ = fetch(PreTrainedConfig.get_config_dict, name, locate(name))
    given, inverse = raw.get("id2label"), raw.get("label2id")
    names = None if given is None else _in_order(name, "id2label", _keyed(name, "id2label", given))
    if names is not None and not _made_up(names):
        if isinstance(inverse, dict) and set(inverse) == set(names):
            turned = {label: str(index) for index, label in enumerate(names)}
            if {label: str(index) for label, index in inverse.items()} != turned:
                raise _damage(name, "names its outputs in one order in id2label and in another in label2id")
        return names
    if inverse is None:
        return None
    if not isinstance(inverse, dict):
        raise _damage(name, f"has {reprlib.repr(inverse)} for label2id instead of a table")
    if len(set(map(str, inverse.values()))) < len(inverse):
        raise _damage(name, "gives one output two names in label2id")
    found = _in_order(
        name, "label2id", _keyed(name, "label2id", {index: label for label, index in _pairs(inverse)})
    )
    return None if _made_up(found) else found


def _pairs(inverse: dict[str, Any]) -> list[tuple[str, str]]:
    return [(label, str(index)) for label, index in inverse.items()]


def _keyed(name: str, table: str, given: Any) -> dict[int, Any]:
    """Return a table of the configuration with its keys as numbers."""
    fault = f"has {reprlib.repr(given)} for {table} instead of a table"
    try:
        if given == {} and table == "id2label":
            fault = "names no output in id2label"
        elif isinstance(given, dict):
            return {int(index): label for index, label in given.items()}
    except (TypeError, ValueError):
        fault = f"has an index in {table} that is no number"
    # transformers does not load such a model, so --labels would not help.
    raise ModelError(f"The configuration of '{name}' {fault}: correct its config.json.")


def _in_order(name: str, table: str, given: dict[int, Any]) -> list[str]:
    """Check the names of a table, and return them in the order of the outputs."""
    if sorted(given) != list(range(len(given))):
        numbers = ", ".join(map(str, sorted(given)[:5]))
        raise _damage(name, f"numbers its outputs {numbers} in {table} instead of counting from 0")
    names = [given[index] for index in range(len(given))]
    for label in names:
        if isinstance(label, bool) or not isinstance(label, str | int) or not str(label).strip():
            raise _damage(name, f"has {reprlib.repr(label)} for the name of an output in {table}")
    told = [str(label) for label in names]
    for label in told:
        if told.count(label) > 1:
            raise _damage(name, f"calls two outputs {reprlib.repr(label)} in {table}")
    return told


def _made_up(names: list[str]) -> bool:
    return all(label == f"LABEL_{index}" for index, label in enumerate(names))


def _damage(name: str, fault: str) -> ModelError:
    return ModelError(f"The configuration of '{name}' {fault}: correct its config.json.")
