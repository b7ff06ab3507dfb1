"""Dropout with masks that are cheap to draw on a CPU.

PyTorch draws one random number for each entry, one after another. On a CPU this takes a tenth of a training
step and more. Here each random number of 64 bits decides about four entries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import dropout, scaled_dot_product_attention, softmax

# Number of random bits that decide about one entry, and the number of values of these bits.
_BITS = 16
_VALUES = 2**_BITS


@contextmanager
def cheap_dropout() -> Iterator[None]:
    """Make dropout on the CPU draw cheap masks while the context lasts; nothing else changes.

    The context replaces `torch.nn.functional.dropout` and the dropout within `scaled_dot_product_attention`
    for the whole process. So activations that a backward pass computes a second time have the same masks.
    PyTorch's own random generator draws the masks, so they depend on the seed. They differ from the masks
    that PyTorch itself would draw.
    """
    functional.dropout = _dropout
    functional.scaled_dot_product_attention = _attention  # type: ignore[assignment]
    try:
        yield
    finally:
        functional.dropout = dropout
        functional.scaled_dot_product_attention = scaled_dot_product_attention


def keep_mask(shape: Sequence[int], rate: float) -> Tensor:
    """Draw which entries dropout keeps.

    Args:
        shape: Shape of the mask.
        rate: Share of the entries to drop, 0 < rate < 1. It is rounded to a multiple of 1 / 65,536.

    Returns:
        1 / (1 - rate) at entries to keep, else 0, in float32. The expected mean of the entries is 1.
    """
    count = math.prod(shape)
    words = torch.empty(-(-count * _BITS // 64), dtype=torch.int64)
    words.random_(-(2**63), None)  # all 64 bits are random
    values = words.view(torch.int16)[:count].view(*shape)
    dropped = min(max(round(rate * _VALUES), 1), _VALUES - 1)
    kept: Tensor = (values >= dropped - _VALUES // 2).to(torch.float32)
    return kept.mul_(_VALUES / (_VALUES - dropped))


def _dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    if not training or inplace or input.device.type != "cpu" or not 0 < p < 1 or not input.numel():
        return dropout(input, p, training, inplace)
    return input * keep_mask(input.shape, p).to(input.dtype)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **options: Any,
) -> Tensor:
    if not dropout_p or query.device.type != "cpu" or is_causal or any(options.values()):
        return scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, **options
        )
    scores = (query * (query.shape[-1] ** -0.5 if scale is None else scale)) @ key.transpose(-2, -1)
    if attn_mask is None:
        weights = softmax(scores, dim=-1)
    elif attn_mask.dtype == torch.bool:
        weights = _softmax(scores.masked_fill(~attn_mask, -math.inf), attn_mask)
    else:
        weights = _softmax(scores + attn_mask, attn_mask != -math.inf)
    attended: Tensor = _dropout(weights, dropout_p) @ value
    return attended


def _softmax(scores: Tensor, allowed: Tensor) -> Tensor:
    """Return the weights of attention; 0 in a row that allows nothing, as PyTorch's own attention does."""
    empty = ~allowed.any(dim=-1, keepdim=True)
    if not empty.any():
        return softmax(scores, dim=-1)
    # The softmax of such a row would be NaN, and so would its gradient.
    return softmax(scores.masked_fill(empty, 0), dim=-1).masked_fill(empty, 0)
