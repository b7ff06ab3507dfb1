"""Faster inference: weights packed for oneDNN on the CPU, and layers that compute in bfloat16 on any device.

PyTorch computes float32 products with MKL. On processors of other makers than Intel, MKL reaches only a
fraction of their speed. PyTorch's compiler packs weights for oneDNN instead. This module does the same
without a compiler. The results differ from PyTorch's in the last bits. The results of packed layers do not
depend on how many rows are computed together.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from earlyrobust.attacks.precision import Precision

M = TypeVar("M", bound=nn.Module)
# In our measurements with one and two threads, bfloat16 products of up to 480 channels do not depend on the
# number of rows. 384 divides the sizes of most encoders.
_CHANNELS = 384


class _Linear(nn.Module):
    """A linear layer that computes in bfloat16 or float32; it keeps its weights for models that read them."""

    def __init__(self, linear: nn.Linear, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias
        self._dtype = dtype
        self._prepare(linear.weight.detach().to(dtype))

    def _prepare(self, weight: Tensor) -> None:
        self._used = weight

    def forward(self, inputs: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(self._dtype)
        with torch.autocast(inputs.device.type, enabled=False):
            return nn.functional.linear(inputs.to(self._dtype), self._used, bias)


class _PackedLinear(_Linear):
    """A linear layer whose weights are packed for oneDNN.

    In bfloat16, oneDNN uses another algorithm for some numbers of rows, which rounds the sum over many
    channels in other places. So the layer passes few channels at a time and adds up the partial products.
    """

    def _prepare(self, weight: Tensor) -> None:
        most = weight.shape[1] if weight.dtype == torch.float32 else _CHANNELS
        self._parts = [
            torch.ops.mkldnn._reorder_linear_weight(part.contiguous(), None)
            for part in torch.split(weight, most, 1)
        ]
        self._most = most

    def forward(self, inputs: Tensor) -> Tensor:
        first, *rest = torch.split(inputs.to(self._dtype), self._most, -1)
        product: Tensor = torch.ops.mkldnn._linear_pointwise(first, self._parts[0], self.bias, "none", [], "")
        for part, weight in zip(rest, self._parts[1:], strict=True):
            product = torch.ops.mkldnn._linear_pointwise.binary(part, product, weight, None, "add")
        return product


def pack(model: M, precision: Precision = "float32") -> M | None:
    """Make a copy of a model with packed linear layers; the copy shares all other weights with the model.

    For bfloat16 the function makes a copy on every device, and packs its weights where this is possible. The
    layers of the classification head, and of any other head, stay in float32. In bfloat16 the probabilities
    of many texts would be equal, and an attack could not tell which text is better.

    Args:
        model: A model in evaluation mode; it is not changed.
        precision: The precision in which the copy computes.

    Returns:
        The copy, for inference only. None if a copy would not help: the model has no linear layers, or has
        weights that are not in float32, or the precision is not bfloat16 and the weights cannot be packed
        (they are not on the CPU, or PyTorch was built without oneDNN).
    """
    if not any(type(module) is nn.Linear for module in model.modules()):
        return None
    weights = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}
    if any(tensor.is_floating_point() and tensor.dtype != torch.float32 for tensor in weights.values()):
        return None
    lowered = torch.bfloat16 if precision == "bf16" else torch.float32
    on_cpu = all(tensor.device.type == "cpu" for tensor in weights.values())
    packs = on_cpu and _is_possible(torch.float32) and _is_possible(lowered)
    if not packs and precision != "bf16":
        return None
    kind = _PackedLinear if packs else _Linear
    packed = copy.deepcopy(model, weights)
    of_encoder = {
        id(module)
        for part in packed.modules()
        if isinstance(part, PreTrainedModel)
        for module in part.base_model.modules()
    }
    for parent in list(packed.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.Linear:
                setattr(parent, name, kind(child, lowered if id(child) in of_encoder else torch.float32))
    return packed


def is_packed(model: nn.Module) -> bool:
    """Return whether a model has packed layers, whose results do not depend on the number of rows."""
    return any(isinstance(module, _PackedLinear) for module in model.modules())


def _is_possible(dtype: torch.dtype) -> bool:
    """Return whether this PyTorch can pack weights and computes the right product with them."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    linear, row = nn.Linear(4, 2), torch.ones(1, 4)
    if dtype != torch.float32:  # more channels than one part holds, so that parts are added up
        linear.weight, row = nn.Parameter(torch.ones(2, 2 * _CHANNELS)), torch.ones(1, 2 * _CHANNELS)
    tolerance = 1e-5 if dtype == torch.float32 else 8.0
    try:
        with torch.inference_mode():
            return bool(
                torch.allclose(_PackedLinear(linear, dtype)(row).float(), linear(row), atol=tolerance)
            )
    except (AttributeError, RuntimeError, TypeError):  # another version of PyTorch without these operators
        return False
