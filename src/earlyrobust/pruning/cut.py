"""Cuts heads and neurons out of a model by a ticket, which makes the model smaller and faster."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, cast

import torch
from transformers import AutoModelForSequenceClassification

from earlyrobust.errors import ModelError
from earlyrobust.families import family_of
from earlyrobust.pruning.autoclasses import check_class, is_cut
from earlyrobust.pruning.coefficients import MODULE_NAME, check_fits
from earlyrobust.pruning.cut_config import cut_config
from earlyrobust.pruning.described import check_is_described
from earlyrobust.pruning.kept import indices
from earlyrobust.tickets.ticket import Ticket

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def prune(model: PreTrainedModel, ticket: Ticket) -> PreTrainedModel:
    """Cut the heads and neurons that `ticket` does not keep out of a classifier.

    Args:
        model: A sequence classifier of a supported family, not cut yet. It does not change.
        ticket: Masks of the model's dimensions.

    Returns:
        A new, smaller classifier with the remaining weights, on the same device, in the same mode, with the
        same weights frozen. It is an ordinary transformers model: it trains, saves with `save_pretrained`,
        and loads with `from_pretrained`.

    Raises:
        ModelError: If the model is already cut or has coefficients, its architecture is not supported, its
            class is not the sequence classifier of its family, or a part of it was exchanged and is not the
            one that its configuration describes.
        TicketError: If the ticket fits another architecture, or is no ticket over heads and neurons.
    """
    if hasattr(model, MODULE_NAME):
        raise ModelError("The model still carries importance coefficients: detach them before it is cut.")
    if is_cut(model):
        raise ModelError("The model is cut already: apply a ticket to the pretrained model it came from.")
    family = family_of(model.config)
    check_class(model)
    size = family.dimensions(model.config)
    check_fits(model.config.model_type, size, ticket)
    donor = copy.deepcopy(model)
    for layer, heads, neurons in zip(family.layers(donor), ticket.heads, ticket.neurons, strict=True):
        family.cut_heads(layer, indices(heads), size.head_size)
        family.cut_neurons(layer, indices(neurons))
    with torch.random.fork_rng(devices=[]):  # the random weights are overwritten below
        config = cut_config(model.config, ticket.heads_per_layer, ticket.neurons_per_layer)
        small = AutoModelForSequenceClassification.from_config(config, dtype=model.dtype)
    check_is_described(
        donor, small, "A cut model is built from the configuration: change it, and load the model with it."
    )
    cast_alike(small, model)
    small.load_state_dict(donor.state_dict())
    freeze_alike(small, model)
    small.ticket = ticket
    return cast("PreTrainedModel", small.to(model.device).train(model.training))


def cast_alike(model: PreTrainedModel, example: PreTrainedModel) -> None:
    """Give each weight of a model the precision that it has in another model with the same names."""
    for name, weight in model.named_parameters():
        weight.data = weight.data.to(example.get_parameter(name).dtype)


def freeze_alike(model: PreTrainedModel, example: PreTrainedModel) -> None:
    """Freeze the weights of a model that are frozen in another model with the same names, and no others."""
    for name, weight in model.named_parameters():
        weight.requires_grad_(example.get_parameter(name).requires_grad)
