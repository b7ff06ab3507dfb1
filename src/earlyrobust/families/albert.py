"""ALBERT: layers share their weights, so a cut of one layer cuts all layers that share its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from earlyrobust.families.base import Dimensions, Family

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel


class _Albert(Family):
    def dimensions(self, config: PreTrainedConfig) -> Dimensions:
        """Read the encoder's size; layers that share their weights count as one layer."""
        return replace(super().dimensions(config), layers=config.num_hidden_groups * config.inner_group_num)

    def layers(self, model: PreTrainedModel) -> Sequence[nn.Module]:
        """List the layers that have weights of their own, first to last."""
        groups = super().layers(model)
        return [layer for group in groups for layer in cast("nn.ModuleList", group.albert_layers)]


ALBERT = _Albert(
    model_type="albert",
    layers_path="encoder.albert_layer_groups",
    query="attention.query",
    key="attention.key",
    value="attention.value",
    attention_output="attention.dense",
    ffn_input="ffn",
    ffn_output="ffn_output",
)
