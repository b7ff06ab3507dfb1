"""DeBERTa v2 and v3: heads also have projections of relative positions, and layers store their number."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torch import nn

from earlyrobust.families.base import Dimensions, Family, channels_of, keep_outputs, recount_heads

if TYPE_CHECKING:
    from torch import LongTensor
    from transformers import PreTrainedConfig

_ATTENTION = "attention.self"
# The configuration decides which of these a model has; most models share their content projections instead.
_POSITIONS = ("pos_key_proj", "pos_query_proj")


class _DebertaV2(Family):
    def dimensions(self, config: PreTrainedConfig) -> Dimensions:
        """Read the encoder's size; the configuration may set the size of a head."""
        size = super().dimensions(config)
        return replace(size, head_size=getattr(config, "attention_head_size", size.head_size))

    def cut_heads(self, layer: nn.Module, kept: LongTensor, head_size: int) -> None:
        """Cut heads, also out of the projections of positions."""
        super().cut_heads(layer, kept, head_size)
        for name in _POSITIONS:
            if hasattr(layer.get_submodule(_ATTENTION), name):
                keep_outputs(layer, f"{_ATTENTION}.{name}", channels_of(kept, head_size))
        recount_heads(layer, _ATTENTION, len(kept), head_size)


DEBERTA_V2 = _DebertaV2(
    model_type="deberta-v2",
    layers_path="encoder.layer",
    query="attention.self.query_proj",
    key="attention.self.key_proj",
    value="attention.self.value_proj",
    attention_output="attention.output.dense",
    ffn_input="intermediate.dense",
    ffn_output="output.dense",
)
