"""Checks a model object whose configuration and weights are saved and loaded again."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from earlyrobust.errors import ConfigError
from earlyrobust.pruning.described import check_is_described

# Packages whose classes are found again by the configuration of a model.
_KNOWN = ("transformers", "earlyrobust")


def check_is_model(model: Any) -> None:
    """Refuse a model object that is wrapped, as `torch.compile` and `DataParallel` wrap it.

    Raises:
        ConfigError: If the object is a module, but no model of transformers.
    """
    if isinstance(model, nn.Module) and not isinstance(model, PreTrainedModel):
        raise ConfigError(
            f"The model is a {type(model).__name__} and no PreTrainedModel: pass the model of transformers "
            "within it."
        )


def check_is_saved_whole(model: PreTrainedModel) -> None:
    """Refuse a model object that its configuration and weights do not describe, because only these are kept.

    Raises:
        ConfigError: If the class is the user's own, some weights are frozen, or the outputs have no names.
        ModelError: If a part of the model differs from its configuration.
    """
    kind = type(model)
    if kind.__module__.partition(".")[0] not in _KNOWN:
        raise ConfigError(
            f"The model is of the class {kind.__name__}, whose code would be lost: fit loads the model again "
            "by its configuration. Pass a model of AutoModelForSequenceClassification, or train your class "
            "with AdversarialTrainer."
        )
    frozen = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    if frozen:
        raise ConfigError(
            f"{len(frozen)} weights of the model are frozen, such as '{frozen[0]}', but fit trains all of "
            "them: call model.requires_grad_(), or train with AdversarialTrainer."
        )
    with torch.device("meta"):
        made = kind._from_config(copy.deepcopy(model.config))
    check_is_described(
        model, made, "fit loads the model again by its configuration: change it, and load the model with it."
    )


def outputs_of(model: PreTrainedModel) -> list[str]:
    """Return the names of the outputs of a classifier; none for an encoder.

    Raises:
        ConfigError: If the configuration does not name each output by its number.
    """
    if not type(model).__name__.endswith("ForSequenceClassification"):
        return []
    count = model.config.num_labels
    names = {str(number): str(name) for number, name in model.config.id2label.items()}
    if names.keys() != {str(number) for number in range(count)}:
        raise ConfigError(
            f"id2label of the model's configuration is {model.config.id2label}, but the model has {count} "
            f"outputs: name the outputs 0 to {count - 1}."
        )
    return [names[str(number)] for number in range(count)]
