"""MPNet: attention adds a bias for each head and distance to its scores, and all layers share this bias."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from torch import nn

from earlyrobust.families.base import Family, recount_heads

if TYPE_CHECKING:
    from torch import LongTensor

_ATTENTION = "attention.attn"
_KEPT = "kept_heads"


class _MPNet(Family):
    def cut_heads(self, layer: nn.Module, kept: LongTensor, head_size: int) -> None:
        """Cut heads, and store in the layer which columns of the shared bias belong to the kept heads."""
        super().cut_heads(layer, kept, head_size)
        recount_heads(layer, _ATTENTION, len(kept), head_size)
        attention = layer.get_submodule(_ATTENTION)
        # The buffer is saved with the weights, because the number of the kept heads does not identify them.
        attention.register_buffer(_KEPT, kept.clone())
        attention.register_forward_pre_hook(_own_bias, with_kwargs=True)


def _own_bias(
    attention: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Reduce the bias of all heads, (batch, heads, queries, keys), to that of the kept heads."""
    call = inspect.signature(attention.forward).bind(*args, **kwargs)
    bias = call.arguments["position_bias"]
    call.arguments["position_bias"] = bias.index_select(1, attention.get_buffer(_KEPT))
    return call.args, call.kwargs


MPNET = _MPNet(
    model_type="mpnet",
    layers_path="encoder.layer",
    query="attention.attn.q",
    key="attention.attn.k",
    value="attention.attn.v",
    attention_output="attention.attn.o",
    ffn_input="intermediate.dense",
    ffn_output="output.dense",
)
