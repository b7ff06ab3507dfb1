"""The base class of families: where an architecture has its heads and neurons, and how to cut them out.

A family with separate projections for query, key and value and a two-matrix FFN is a `Family` with other
paths. A family that fuses projections, gates its FFN or shares layers subclasses `Family` and overrides the
methods that differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import LongTensor, nn

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel


@dataclass(frozen=True)
class Dimensions:
    """The sizes of an encoder that matter for cutting it.

    Attributes:
        layers: Number of transformer layers.
        heads: Attention heads in each layer.
        neurons: FFN neurons (the intermediate size) in each layer.
        head_size: Channels of one head.
    """

    layers: int
    heads: int
    neurons: int
    head_size: int


@dataclass(frozen=True)
class Family:
    """Describes where an architecture has its heads and neurons, and cuts them out.

    Paths of projections are relative to one transformer layer.

    Attributes:
        model_type: The architecture's `model_type` in transformers.
        layers_path: Path of the list of layers, relative to the classifier's base model.
        query: Path of the query projection.
        key: Path of the key projection.
        value: Path of the value projection.
        attention_output: Path of the projection that reads the concatenated heads.
        ffn_input: Path of the first FFN matrix.
        ffn_output: Path of the second FFN matrix, which reads the neurons' activations.
        intermediate_size: Name of the configuration's field that holds the number of neurons of a layer.
        ffn_matrices: Number of rows and columns of the hidden size that belong to a neuron: two, or three
            with a gate.
    """

    model_type: str
    layers_path: str
    query: str
    key: str
    value: str
    attention_output: str
    ffn_input: str
    ffn_output: str
    intermediate_size: str = "intermediate_size"
    ffn_matrices: int = 2

    def dimensions(self, config: PreTrainedConfig) -> Dimensions:
        """Read the encoder's size from its configuration."""
        return Dimensions(
            layers=config.num_hidden_layers,
            heads=config.num_attention_heads,
            neurons=getattr(config, self.intermediate_size),
            head_size=config.hidden_size // config.num_attention_heads,
        )

    def layers(self, model: PreTrainedModel) -> Sequence[nn.Module]:
        """List the transformer layers of a model, first to last."""
        return cast("Sequence[nn.Module]", model.base_model.get_submodule(self.layers_path))

    def differs(self, layer: nn.Module, size: Dimensions) -> bool:
        """Return whether the projections of a dense layer have other widths than its encoder's dimensions.

        They differ in attention with fewer keys than queries, which this package cannot cut.
        """
        channels = size.heads * size.head_size
        # A set, because one fused projection may hold queries, keys and values.
        read = {self.query, self.key, self.value}
        rows = sum(cast("nn.Linear", layer.get_submodule(path)).weight.shape[0] for path in read)
        ends = (self.head_output(layer), self.neuron_output(layer))
        columns = [cast("nn.Linear", end).weight.shape[-1] for end in ends]
        return rows != 3 * channels or columns != [channels, size.neurons]

    def cut_to_size(self, model: PreTrainedModel, heads: Sequence[int], neurons: Sequence[int]) -> None:
        """Cut a new dense model, in place, to the size of a cut model, so that it can load its weights.

        Args:
            model: The dense model.
            heads: Number of heads that each layer keeps.
            neurons: Number of neurons that each layer keeps.
        """
        head_size = self.dimensions(model.config).head_size
        for layer, head_count, neuron_count in zip(self.layers(model), heads, neurons, strict=True):
            self.cut_heads(layer, cast("LongTensor", torch.arange(head_count)), head_size)
            self.cut_neurons(layer, cast("LongTensor", torch.arange(neuron_count)))

    def head_output(self, layer: nn.Module) -> nn.Module:
        """Return the projection of `layer` that reads the concatenated heads, (..., heads * head_size)."""
        return layer.get_submodule(self.attention_output)

    def neuron_output(self, layer: nn.Module) -> nn.Module:
        """Return the projection of `layer` that reads the neurons' activations, (..., neurons)."""
        return layer.get_submodule(self.ffn_output)

    def cut_heads(self, layer: nn.Module, kept: LongTensor, head_size: int) -> None:
        """Cut all but the `kept` heads out of a layer's query, key, value and output projections.

        Args:
            layer: One transformer layer, changed in place.
            kept: Indices of the heads that stay, ascending.
            head_size: Channels of one head.
        """
        channels = channels_of(kept, head_size)
        for path in (self.query, self.key, self.value):
            keep_outputs(layer, path, channels)
        keep_inputs(layer, self.attention_output, channels)

    def cut_neurons(self, layer: nn.Module, kept: LongTensor) -> None:
        """Cut all but the `kept` neurons out of both FFN matrices of a layer.

        Args:
            layer: One transformer layer, changed in place.
            kept: Indices of the neurons that stay, ascending.
        """
        keep_outputs(layer, self.ffn_input, kept)
        keep_inputs(layer, self.ffn_output, kept)


def channels_of(heads: LongTensor, head_size: int) -> LongTensor:
    """Expand head indices to the indices of their channels, head by head."""
    offsets = torch.arange(head_size, device=heads.device)
    return cast("LongTensor", (heads[:, None] * head_size + offsets).flatten())


def recount_heads(layer: nn.Module, path: str, heads: int, head_size: int) -> None:
    """Set the number of heads in the attention module at `path`, for modules that store it themselves."""
    attention = cast("Any", layer.get_submodule(path))
    attention.num_attention_heads = heads
    attention.all_head_size = heads * head_size


def keep_outputs(layer: nn.Module, path: str, kept: LongTensor) -> None:
    """Replace the linear projection at `path` by one that has only the `kept` outputs (rows)."""
    old = cast("nn.Linear", layer.get_submodule(path))
    bias = None if old.bias is None else old.bias[kept]
    layer.set_submodule(path, _linear(old.weight[kept], bias))


def keep_inputs(layer: nn.Module, path: str, kept: LongTensor) -> None:
    """Replace the linear projection at `path` by one that has only the `kept` inputs (columns)."""
    old = cast("nn.Linear", layer.get_submodule(path))
    layer.set_submodule(path, _linear(old.weight[:, kept], old.bias))


def _linear(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Linear:
    outputs, inputs = weight.shape
    linear = nn.Linear(inputs, outputs, bias=bias is not None, device="meta", dtype=weight.dtype)
    linear.weight = nn.Parameter(weight.detach().clone())
    if bias is not None:
        linear.bias = nn.Parameter(bias.detach().clone())
    return linear
