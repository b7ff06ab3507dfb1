"""A cut model at full size again: zeros where heads and neurons were cut out."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from transformers import AutoModelForSequenceClassification

from earlyrobust.errors import ModelError
from earlyrobust.families import family_of
from earlyrobust.pruning.autoclasses import CutModel
from earlyrobust.pruning.cut_config import dense_config
from earlyrobust.pruning.kept import kept_entries

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def to_dense(model: PreTrainedModel) -> PreTrainedModel:
    """Make the dense model that computes what a cut one does: an ordinary model of its family.

    A head without values adds nothing to what its layer hands on, and neither does a neuron without weights.

    Args:
        model: A cut classifier that carries its ticket, left as it is.

    Returns:
        A dense classifier on the same device, in the same precision and mode.

    Raises:
        ModelError: If the model is not cut, or nothing tells which heads and neurons it keeps.
    """
    if not isinstance(model, CutModel):
        raise ModelError("The model is not cut, so it is a dense one already.")
    if model.ticket is None:
        raise ModelError(
            "The model comes without the ticket it was cut by (ticket.json, ticket.safetensors), so nothing "
            "tells where its heads and neurons belong."
        )
    family = family_of(model.config)
    with torch.random.fork_rng(devices=[]):  # the fresh weights made here are overwritten at once
        dense = AutoModelForSequenceClassification.from_config(
            dense_config(model.config), dtype=model.dtype
        ).to(model.device)
    own, cut = dense.state_dict(), model.state_dict()
    dense.load_state_dict(own | {name: cut[name] for name in own if cut[name].shape == own[name].shape})
    head_size = family.dimensions(dense.config).head_size
    layers = zip(
        family.layers(dense), family.layers(model), model.ticket.heads, model.ticket.neurons, strict=True
    )
    with torch.no_grad():
        for layer, small, heads, neurons in layers:
            kept = kept_entries(family, layer, heads, neurons, head_size)
            for name, weight in layer.named_parameters():
                weight.zero_().view(-1)[kept[name].to(weight.device)] = small.get_parameter(name).flatten()
    return cast("PreTrainedModel", dense.train(model.training))
