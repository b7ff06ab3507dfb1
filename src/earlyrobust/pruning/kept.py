"""The entries of a layer's weights that remain when heads and neurons are cut out of it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import LongTensor

    from earlyrobust.families import Family
    from earlyrobust.tickets.drawing import Mask


def kept_entries(
    family: Family, layer: nn.Module, heads: Mask, neurons: Mask, head_size: int
) -> dict[str, LongTensor]:
    """Return which entries of a dense layer's weights remain after a cut.

    The function cuts a copy of the layer in which every entry of a weight holds its own index.

    Args:
        family: The family of the layer.
        layer: The dense layer, which does not change.
        heads: Shape (heads,), True where a head stays.
        neurons: Shape (neurons,), True where a neuron stays.
        head_size: Channels of one head.

    Returns:
        For each weight of the layer, by its name, the flat indices of the remaining entries, in the order of
        the cut layer.
    """
    numbered = copy.deepcopy(layer)
    for weight in numbered.parameters():
        # Weights must be floating-point numbers; float64 represents indices exactly up to 2^53.
        weight.data = torch.arange(weight.numel(), dtype=torch.float64).view(weight.shape)
    family.cut_heads(numbered, indices(heads), head_size)
    family.cut_neurons(numbered, indices(neurons))
    return {
        name: cast("LongTensor", numbers.detach().flatten().long())
        for name, numbers in numbered.named_parameters()
    }


def indices(mask: Mask) -> LongTensor:
    """Return the indices at which a mask of one layer is True, ascending."""
    return cast("LongTensor", torch.from_numpy(mask.nonzero()[0]))
