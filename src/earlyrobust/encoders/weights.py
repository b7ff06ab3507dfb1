"""Checks that a loaded model has exactly the weights of its file, and no random ones instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from earlyrobust.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Wrappers of models, by the part that they add to the names of weights.
_WRAPPERS = {
    "module": "DataParallel",
    "_orig_mod": "torch.compile",
    "_fsdp_wrapped_module": "FSDP",
    "_checkpoint_wrapped_module": "activation checkpointing",
}
# Parts of the names of weights in a model with adapters.
_ADAPTED = ("base_layer", "lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B")
_LAYER = re.compile(r".*?\.\d+\.")


def check_encoder(model: PreTrainedModel, loading: Mapping[str, Any], name: str) -> list[str]:
    """Refuse a model whose encoder does not have the weights of its file; the head may have random ones.

    Args:
        model: The loaded model.
        loading: The loading info of transformers, with mismatched sizes ignored.
        name: Name of the model, for the errors.

    Returns:
        Names of the encoder's weights that are random because the file lacks them. They can only be those of
        a pooler, because masked language models are saved without it.

    Raises:
        ModelError: If a weight is missing, of another shape, left over, or not a number.
    """
    missing = sorted(key for key in loading["missing_keys"] if _is_of_encoder(model, key))
    mismatched = sorted(
        (key, *shapes) for key, *shapes in loading["mismatched_keys"] if _is_of_encoder(model, key)
    )
    _check_surplus(model, loading, name)
    if mismatched:
        raise ModelError(f"{_not_as_described(name)}: {_shapes(mismatched)}.")
    pooler = {key for key in model.state_dict() if key.startswith(f"{_prefix(model)}pooler.")}
    if missing and set(missing) != pooler:
        raise ModelError(
            _renamed(model, loading, name)
            or f"{_not_as_described(name)}: the file lacks {_first_of(missing)}."
        )
    check_numbers(model, name)
    return missing


def check_whole(model: PreTrainedModel, loading: Mapping[str, Any], name: str, without_head: str) -> None:
    """Refuse a model with any weight that is not from its file.

    Args:
        model: The loaded model.
        loading: The loading info of transformers, with mismatched sizes ignored.
        name: Name of the model, for the errors.
        without_head: The error for a model whose encoder is whole and whose head is missing.

    Raises:
        ModelError: If a weight is missing, of another shape, left over, or not a number.
    """
    check_encoder(model, loading, name)
    if loading["missing_keys"]:
        raise ModelError(without_head)
    if loading["mismatched_keys"]:
        raise ModelError(
            f"The configuration of '{name}' does not describe the head that its file holds "
            f"({_shapes(sorted(loading['mismatched_keys']))}): correct its config.json (id2label and "
            "num_labels of a classifier)."
        )


def _check_surplus(model: PreTrainedModel, loading: Mapping[str, Any], name: str) -> None:
    """Refuse a file that has layers, or weights in layers, that the model does not have."""
    prefix = f"{model.base_model_prefix}."  # files of encoders may leave it out
    known = {_numberless(key) for key in model.state_dict()}
    forms = {key: (key, prefix + key, key.removeprefix(prefix)) for key in loading["unexpected_keys"]}
    surplus = sorted(key for key in forms if {_numberless(form) for form in forms[key]} & known)
    if surplus:
        raise ModelError(
            f"The file of '{name}' has layers that its configuration leaves out ({_first_of(surplus)}): "
            "correct config.json, or save the model again."
        )
    layers = tuple({found.group() for key in model.state_dict() if (found := _LAYER.match(key))})
    homeless = sorted(
        key
        for key in forms
        if (key.endswith(".weight") and any(form.startswith(layers) for form in forms[key]))
        or any(part in _ADAPTED for part in key.split("."))
    )
    if homeless:
        raise ModelError(
            f"The file of '{name}' has weights that the layers of its architecture have no place for "
            f"({_first_of(homeless)}): if they are an adapter's (LoRA or another of PEFT), merge it into the "
            "model and save that; if not, choose another model."
        )


def check_numbers(model: nn.Module, name: str) -> None:
    """Refuse a model with NaN or infinite weights.

    Raises:
        ModelError: If a weight is NaN or infinite.
    """
    for key, weight in model.named_parameters():
        # The minimum and the maximum are NaN if any number is NaN, and computing them needs no memory.
        if weight.is_floating_point() and weight.numel() and not _is_finite(weight.detach()):
            raise ModelError(
                f"A weight of '{name}' is not a number (NaN or infinite, in {key}): choose another model, or "
                "train it again with a smaller learning rate."
            )


def _is_finite(weight: torch.Tensor) -> bool:
    return all(bool(torch.isfinite(extreme)) for extreme in torch.aminmax(weight))


def _is_of_encoder(model: PreTrainedModel, key: str) -> bool:
    return key.startswith(_prefix(model))


def _prefix(model: PreTrainedModel) -> str:
    """Return the prefix of the encoder's weights; an empty one if the model is an encoder without a head."""
    return "" if model.base_model is model else f"{model.base_model_prefix}."


def _not_as_described(name: str) -> str:
    return f"'{name}' does not hold the weights of the encoder that its configuration describes"


def _shapes(mismatched: Iterable[tuple[Any, ...]]) -> str:
    (key, held, described), *others = mismatched
    more = f", and {len(others)} more" if others else ""
    held, described = (" × ".join(map(str, shape)) for shape in (held, described))
    return f"{key} has the shape {held} in the file and {described} by the configuration{more}"


def _first_of(keys: list[str]) -> str:
    return keys[0] if len(keys) == 1 else f"{keys[0]} and {len(keys) - 1} more"


def _numberless(key: str) -> str:
    """Return the name of a weight with "*" as the number of its layer, so that it is equal in all layers."""
    return re.sub(r"(?<=\.)\d+(?=\.)", "*", key)


def _renamed(model: PreTrainedModel, loading: Mapping[str, Any], name: str) -> str | None:
    """Return the error for a file that gives the model's weights other names; None for any other file."""
    missing = {*loading["missing_keys"]}
    missing |= {key.removeprefix(_prefix(model)) for key in missing}
    for held in sorted(loading["unexpected_keys"]):
        parts = held.split(".")
        wrapper = next((part for part in parts if part in _WRAPPERS), None)
        if wrapper is not None and ".".join(part for part in parts if part not in _WRAPPERS) in missing:
            return (
                f"The weights of '{name}' are named as those of a model inside {_WRAPPERS[wrapper]} "
                f"('{held}'): save the model that is inside, or take '{wrapper}.' out of the names."
            )
        own = next(
            (".".join(parts[n:]) for n in range(1, len(parts)) if ".".join(parts[n:]) in missing), None
        )
        if own is not None:
            return (
                f"The weights of '{name}' have other names than its architecture gives them ('{held}' "
                f"instead of '{own}'): save the model with save_pretrained, or take "
                f"'{held.removesuffix(own)}' off the names."
            )
    return None
