"""Which of a layer's weights stay when heads and neurons are cut out of it."""

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
    """Tell which entries of a dense layer's weights a cut leaves, by cutting a layer of numbered weights.

    Args:
        family: Whose layer it is.
        layer: The dense layer, left as it is.
        heads: Shape (heads,), True where a head stays.
        neurons: Shape (neurons,), True where a neuron stays.
        head_size: Channels of one head.

    Returns:
        For each weight of the layer, by its name, the flat indices of the entries that stay, in the order in
        which the cut layer has them.
    """
    numbered = copy.deepcopy(layer)
    for weight in numbered.parameters():
        # Exact up to 2^53, and a weight must be a floating-point number.
        weight.data = torch.arange(weight.numel(), dtype=torch.float64).view(weight.shape)
    family.cut_heads(numbered, indices(heads), head_size)
    family.cut_neurons(numbered, indices(neurons))
    return {
        name: cast("LongTensor", numbers.detach().flatten().long())
        for name, numbers in numbered.named_parameters()
    }


def indices(mask: Mask) -> LongTensor:
    """The places where a mask of one layer is True, ascending."""
    return cast("LongTensor", torch.from_numpy(mask.nonzero()[0]))
