"""Keeping a ticket's weights in a model of full size, and drawing those it cuts afresh: an ablation."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from earlyrobust.families import family_of
from earlyrobust.pruning.gates import check_fits

if TYPE_CHECKING:
    from torch import LongTensor
    from transformers import PreTrainedModel

    from earlyrobust.ticket import Ticket


def refill(model: PreTrainedModel, ticket: Ticket, fresh: PreTrainedModel) -> PreTrainedModel:
    """Replace the weights that a ticket cuts by those of another model (the paper's Table 4).

    Args:
        model: The pretrained model, changed in place.
        ticket: Says which weights stay.
        fresh: A model of the same architecture with random weights.

    Returns:
        The model, of full size.

    Raises:
        ModelError: If the architecture is not supported.
        TicketError: If the ticket is of another architecture.
    """
    family = family_of(model.config)
    size = family.dimensions(model.config)
    check_fits(model.config.model_type, size, ticket)
    layers = zip(family.layers(model), family.layers(fresh), ticket.heads, ticket.neurons, strict=True)
    for layer, random, heads, neurons in layers:
        # Cutting a layer that holds the numbers of its weights tells which of them stay.
        numbered = copy.deepcopy(layer)
        for weight in numbered.parameters():
            weight.data = torch.arange(weight.numel(), dtype=torch.float64).view(weight.shape)
        family.cut_heads(numbered, _indices(heads), size.head_size)
        family.cut_neurons(numbered, _indices(neurons))
        kept = {name: numbers.detach().flatten().long() for name, numbers in numbered.named_parameters()}
        _take_over(layer, random, kept)
    return model


def _indices(mask: object) -> LongTensor:
    return cast("LongTensor", torch.as_tensor(mask).nonzero()[:, 0])


@torch.no_grad()
def _take_over(layer: nn.Module, random: nn.Module, kept: dict[str, torch.Tensor]) -> None:
    """Overwrite all but the kept entries of a layer's weights."""
    drawn = dict(random.named_parameters())
    for name, weight in layer.named_parameters():
        filled = drawn[name].detach().clone().flatten()
        filled[kept[name]] = weight.flatten()[kept[name]]
        weight.copy_(filled.view(weight.shape))
