"""Loads trained classifiers with their own heads, to train them further."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from earlyrobust.encoders.fetching import fetch, locate
from earlyrobust.encoders.folders import Note, note_choices, silent
from earlyrobust.encoders.outputs import output_names
from earlyrobust.encoders.pretrained import configuration_of
from earlyrobust.encoders.weights import check_whole

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def names_of_head(name: str) -> list[str] | None:
    """Return the names of the outputs of a classifier, if it has a head with two outputs or more.

    Args:
        name: An embedded encoder, a local folder, or a name on the Hugging Face hub.

    Returns:
        The names in the order of the outputs, "LABEL_0" and so on for outputs without names. An empty list
        if the head is untrained. None for an encoder, for a masked language model, and for a model whose
        outputs are not classes that exclude each other.

    Raises:
        ModelError: If the model cannot be loaded, or the names of its outputs are damaged.
    """
    place = locate(name)
    config = fetch(AutoConfig.from_pretrained, name, place)
    if config.num_labels < 2 or config.problem_type in ("regression", "multi_label_classification"):
        return None
    load = AutoModelForSequenceClassification.from_pretrained
    options: dict[str, Any] = {"dtype": torch.float32, "ignore_mismatched_sizes": True}
    with torch.random.fork_rng(devices=[]):  # missing weights are drawn at random
        model, loading = fetch(load, name, place, output_loading_info=True, **options)
    head = {key for key in model.state_dict() if not key.startswith(f"{model.base_model_prefix}.")}
    mismatched = {key for key, *_ in loading["mismatched_keys"]}
    if head & {*loading["missing_keys"], *mismatched}:
        return None
    if has_fresh_head(model):
        return []
    names = output_names(place)
    if names is None or len(names) != config.num_labels:
        return [f"LABEL_{index}" for index in range(config.num_labels)]
    return names


def has_fresh_head(model: PreTrainedModel) -> bool:
    """Return whether the head of a classifier is as transformers makes it, with biases of exactly 0.

    A training changes the biases at its first step.

    Args:
        model: A classifier. If its head has no bias, the answer is False.
    """
    inner = f"{model.base_model_prefix}."
    biases = [
        weight
        for name, weight in model.named_parameters()
        if name.endswith("bias") and not name.startswith(inner)
    ]
    return bool(biases) and not any(bool(bias.any()) for bias in biases)


def load_given(name: str, label_names: Sequence[str], note: Note = silent) -> PreTrainedModel:
    """Load a trained classifier with its own head, to train it further.

    Args:
        name: A folder, or a name on the Hugging Face hub.
        label_names: Names for the outputs of the classifier, in their order.
        note: Receives a sentence about each choice, such as between two files of weights.

    Returns:
        A float32 classifier on the CPU.

    Raises:
        ModelError: If the model cannot be loaded, its architecture is not supported, or a weight is missing.
    """
    place = locate(name)
    note_choices(name, place, note)
    config = configuration_of(name, label_names)
    load = AutoModelForSequenceClassification.from_pretrained
    options: dict[str, Any] = {"config": config, "dtype": torch.float32, "ignore_mismatched_sizes": True}
    model, loading = fetch(load, name, place, output_loading_info=True, **options)
    check_whole(model, loading, name, f"'{name}' has no trained classification head.")
    return cast("PreTrainedModel", model)
