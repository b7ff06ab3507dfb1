"""Faster inference on the CPU: weights packed for oneDNN, in float32 as before.

PyTorch's own float32 products go to MKL, which on processors of other makers than Intel runs at a fraction
of their speed. PyTorch's compiler packs weights for oneDNN instead, and so do we, without compiling anything.
The results differ in the last bits, and do not depend on how many rows are computed together.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


class _PackedLinear(nn.Module):
    """A linear layer with packed weights; keeps those it was made of, at which some models look."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self._packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach(), None)

    def forward(self, inputs: Tensor) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self._packed, self.bias, "none", [], "")
        return product


def pack(model: M) -> M | None:
    """Make a copy of a model with packed linear layers, which shares all other weights with it.

    Args:
        model: A model in evaluation mode; it stays as it is.

    Returns:
        The copy, for inference only; None where packing is not to be had: the model has no linear layers in
        float32 on the CPU, or PyTorch was built without oneDNN.
    """
    if not any(type(module) is nn.Linear for module in model.modules()):
        return None
    weights = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
    if any(tensor.device.type != "cpu" for tensor in weights.values()) or not _is_possible():
        return None
    if any(tensor.is_floating_point() and tensor.dtype != torch.float32 for tensor in weights.values()):
        return None
    packed = copy.deepcopy(model, weights)
    for parent in list(packed.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Linear:
                setattr(parent, name, _PackedLinear(child))
    return packed


def _is_possible() -> bool:
    """Whether this PyTorch packs weights, and gets the same product by them."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    linear, row = nn.Linear(4, 2), torch.ones(1, 4)
    try:
        with torch.inference_mode():
            return bool(torch.allclose(_PackedLinear(linear)(row), linear(row), atol=1e-5))
    except (AttributeError, RuntimeError, TypeError):  # another PyTorch, which names or calls them otherwise
        return False
