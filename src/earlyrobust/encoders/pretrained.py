"""Loads pretrained encoders with a fresh classification head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from earlyrobust.encoders.fetching import check_sizes, fetch, locate
from earlyrobust.encoders.folders import Note, note_choices, silent
from earlyrobust.encoders.weights import check_encoder
from earlyrobust.errors import ModelError
from earlyrobust.families import CUT_PREFIX, Dimensions, family_of

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel


def load_dimensions(name: str) -> tuple[str, Dimensions]:
    """Read an encoder's family and dimensions from its configuration, without loading the weights.

    Args:
        name: An embedded encoder, a local folder, or a name on the Hugging Face hub.

    Returns:
        The model type, and the dimensions.

    Raises:
        ModelError: If the configuration cannot be loaded, the encoder is cut already, or its architecture is
            not supported.
    """
    config = fetch(AutoConfig.from_pretrained, name, locate(name))
    if config.model_type.startswith(CUT_PREFIX):
        raise ModelError(f"'{name}' is cut already: choose the pretrained encoder that it came from.")
    check_sizes(config, name)
    return config.model_type, family_of(config).dimensions(config)


def load_pretrained(name: str, label_names: Sequence[str], seed: int, note: Note = silent) -> PreTrainedModel:
    """Load a pretrained encoder with a fresh classification head.

    Args:
        name: An embedded encoder, a local folder, or a name on the Hugging Face hub.
        label_names: The classes, in the order of their indices.
        seed: Seed of the fresh weights.
        note: Receives a sentence about each choice, such as between two files of weights, and one about
            weights besides the head that begin as random numbers.

    Returns:
        A float32 classifier on the CPU.

    Raises:
        ModelError: If the model cannot be loaded, its architecture is not supported, or weights of the
            encoder are missing.
    """
    place = locate(name)
    note_choices(name, place, note)
    config = configuration_of(name, label_names)
    load = AutoModelForSequenceClassification.from_pretrained
    options = {"config": config, "dtype": torch.float32, "ignore_mismatched_sizes": True}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, loading = fetch(load, name, place, output_loading_info=True, **options)
        fresh = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    # A fresh head replaces a trained head, even one for the same number of classes.
    for part, module in fresh.named_children():
        if part != model.base_model_prefix:
            setattr(model, part, module)
    if made_up := check_encoder(model, loading, name):
        note(f"'{name}' has no trained pooler: {' and '.join(made_up)} begin as random numbers.")
    return cast("PreTrainedModel", model)


def load_untrained(name: str, label_names: Sequence[str], seed: int) -> PreTrainedModel:
    """Make a classifier with the architecture of an encoder and random weights.

    Args:
        name: An embedded encoder, a local folder, or a name on the Hugging Face hub.
        label_names: The classes, in the order of their indices.
        seed: Seed of the weights.

    Returns:
        A float32 classifier on the CPU.

    Raises:
        ModelError: If the configuration cannot be loaded, or the architecture is not supported.
    """
    config = configuration_of(name, label_names)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    return cast("PreTrainedModel", fresh)


def configuration_of(name: str, label_names: Sequence[str]) -> PreTrainedConfig:
    """Return the configuration of an encoder, with a classification head for some labels.

    Args:
        name: An embedded encoder, a local folder, or a name on the Hugging Face hub.
        label_names: The classes, in the order of their indices.

    Raises:
        ModelError: If the configuration cannot be loaded, or the architecture is not supported.
    """
    config = cast("PreTrainedConfig", fetch(AutoConfig.from_pretrained, name, locate(name)))
    family_of(config)  # refuses an architecture that is not supported
    config.num_labels = len(label_names)
    config.problem_type = "single_label_classification"  # an earlier problem type would bring another loss
    config.id2label = dict(enumerate(label_names))
    config.label2id = {label: index for index, label in enumerate(label_names)}
    return config
