"""An ablation: keeps a ticket's weights in a model of full size, and draws the other weights afresh."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn

from earlyrobust.families import family_of
from earlyrobust.pruning.coefficients import check_fits
from earlyrobust.pruning.kept import kept_entries

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from earlyrobust.tickets.ticket import Ticket


def reinitialize_pruned(model: PreTrainedModel, ticket: Ticket, fresh: PreTrainedModel) -> PreTrainedModel:
    """Replace the weights that a ticket cuts by those of another model (the paper's Table 4).

    Args:
        model: The pretrained model, changed in place.
        ticket: Decides which weights stay.
        fresh: A model of the same architecture with random weights.

    Returns:
        The model, of full size.

    Raises:
        ModelError: If the architecture is not supported.
        TicketError: If the ticket fits another architecture.
    """
    family = family_of(model.config)
    size = family.dimensions(model.config)
    check_fits(model.config.model_type, size, ticket)
    layers = zip(family.layers(model), family.layers(fresh), ticket.heads, ticket.neurons, strict=True)
    for layer, random, heads, neurons in layers:
        _take_over(layer, random, kept_entries(family, layer, heads, neurons, size.head_size))
    return model


@torch.no_grad()
def _take_over(layer: nn.Module, random: nn.Module, kept: Mapping[str, torch.Tensor]) -> None:
    """Overwrite all but the kept entries of a layer's weights with random ones."""
    drawn = dict(random.named_parameters())
    for name, weight in layer.named_parameters():
        filled = drawn[name].detach().clone().flatten()
        filled[kept[name]] = weight.flatten()[kept[name]]
        weight.copy_(filled.view(weight.shape))
