"""ModernBERT: one projection holds queries, keys and values, another one holds neurons and their gates."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from earlyrobust.families.base import Family, channels_of, keep_inputs, keep_outputs

if TYPE_CHECKING:
    from torch import LongTensor, nn


class _ModernBert(Family):
    def cut_heads(self, layer: nn.Module, kept: LongTensor, head_size: int) -> None:
        """Cut heads; the projection holds the queries of all heads, then their keys, then their values."""
        channels = channels_of(kept, head_size)
        keep_outputs(layer, self.query, _in_each(3, layer, self.query, channels))
        keep_inputs(layer, self.attention_output, channels)

    def cut_neurons(self, layer: nn.Module, kept: LongTensor) -> None:
        """Cut neurons; the first matrix holds the rows of all neurons, then those of their gates."""
        keep_outputs(layer, self.ffn_input, _in_each(2, layer, self.ffn_input, kept))
        keep_inputs(layer, self.ffn_output, kept)


def _in_each(parts: int, layer: nn.Module, path: str, kept: LongTensor) -> LongTensor:
    """Return the rows `kept` in each of the equal parts of a projection's outputs."""
    size = cast("nn.Linear", layer.get_submodule(path)).out_features // parts
    return cast("LongTensor", torch.cat([part * size + kept for part in range(parts)]))


MODERNBERT = _ModernBert(
    model_type="modernbert",
    layers_path="layers",
    query="attn.Wqkv",
    key="attn.Wqkv",
    value="attn.Wqkv",
    attention_output="attn.Wo",
    ffn_input="mlp.Wi",
    ffn_output="mlp.Wo",
    ffn_matrices=3,
)
