"""Restores the full size of a cut model, with zeros in the places of the cut heads and neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from transformers import AutoModelForSequenceClassification

from earlyrobust.errors import ModelError
from earlyrobust.families import family_of
from earlyrobust.pruning.autoclasses import CutModel
from earlyrobust.pruning.cut import cast_alike, freeze_alike
from earlyrobust.pruning.cut_config import dense_config
from earlyrobust.pruning.kept import kept_entries

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def to_dense(model: PreTrainedModel) -> PreTrainedModel:
    """Return a dense model of the family that computes the same as a cut model.

    A head whose values are zero adds nothing to the output of its layer. Neither does a neuron whose weights
    are zero.

    Args:
        model: A cut classifier that has its ticket. It does not change.

    Returns:
        A dense classifier on the same device, in the same precision and mode, with the same weights frozen.

    Raises:
        ModelError: If the model is not cut, or has no ticket that says which heads and neurons it keeps.
    """
    if not isinstance(model, CutModel):
        raise ModelError("The model is not cut, so it is dense already: use it as it is.")
    if model.ticket is None:
        raise ModelError(
            "The model has no ticket, so the places of its heads and neurons are unknown: load it from a "
            "folder that holds its ticket.json and ticket.safetensors."
        )
    family = family_of(model.config)
    with torch.random.fork_rng(devices=[]):  # the random weights are overwritten below
        dense = AutoModelForSequenceClassification.from_config(
            dense_config(model.config), dtype=model.dtype
        ).to(model.device)
    cast_alike(dense, model)
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
    freeze_alike(dense, model)
    return cast("PreTrainedModel", dense.train(model.training))
