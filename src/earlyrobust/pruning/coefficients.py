"""Importance coefficients: one learnable scalar on every attention head and every FFN neuron.

A coefficient scales the output of a head before the output projection, or the activation of a neuron before
the second FFN matrix. Forward pre-hooks on these two projections apply the coefficients for every family,
without changes to the model's own code.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from earlyrobust.compiled import check_is_not_compiled
from earlyrobust.errors import ModelError, TicketError
from earlyrobust.families import Dimensions, family_of
from earlyrobust.pruning.autoclasses import check_class, is_cut
from earlyrobust.tickets.ticket import Ticket

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# The name of the submodule that holds the coefficients while they are attached to a model.
MODULE_NAME = "importance"


class ImportanceCoefficients(nn.Module):
    """The coefficients of all heads and neurons of one encoder, all 1 at the start.

    While attached, they are a submodule of the model. So optimisers, checkpoints and devices treat them as
    any other weight.

    Args:
        layers: Number of layers.
        heads: Heads of each layer.
        neurons: FFN neurons of each layer.
        head_size: Channels of one head.

    Attributes:
        heads: Shape (layers, heads).
        neurons: Shape (layers, neurons).
    """

    def __init__(self, layers: int, heads: int, neurons: int, head_size: int) -> None:
        super().__init__()
        self.heads = nn.Parameter(torch.ones(layers, heads))
        self.neurons = nn.Parameter(torch.ones(layers, neurons))
        self._head_size = head_size
        self._handles: list[RemovableHandle] = []

    @classmethod
    def attach(cls, model: PreTrainedModel) -> ImportanceCoefficients:
        """Create coefficients for all heads and neurons of a model, and attach them, on the model's device.

        Args:
            model: A classifier of a supported family, not cut.

        Returns:
            The coefficients, also reachable as `model.importance`.

        Raises:
            ModelError: If the model is already cut or has coefficients, its architecture is not supported, or
                it is no sequence classifier of its family.
            ConfigError: If the model or a module of it is compiled.
        """
        coefficients = cls.of(model)
        coefficients.attach_to(model)
        return coefficients

    @classmethod
    def of(cls, model: PreTrainedModel) -> ImportanceCoefficients:
        """Create coefficients for a model without attaching them, see `attach`."""
        if is_cut(model):
            raise ModelError("The model is cut already: give the dense model that it came from.")
        check_class(model, subclasses=True)
        size = family_of(model.config).dimensions(model.config)
        return cls(size.layers, size.heads, size.neurons, size.head_size)

    def attach_to(self, model: PreTrainedModel) -> None:
        """Reset these coefficients to 1 and attach them to their model, on its device.

        Raises:
            ModelError: If the model already has coefficients.
            ConfigError: If the model or a module of it is compiled.
        """
        check_is_not_compiled(model)
        if hasattr(model, MODULE_NAME):
            raise ModelError(
                "The model has importance coefficients already: let the search that put them there end "
                "first, or load the model afresh."
            )
        for coefficients in self.parameters():
            nn.init.ones_(coefficients)
        family = family_of(model.config)
        for index, layer in enumerate(family.layers(model)):
            self._handles += [
                family.head_output(layer).register_forward_pre_hook(partial(self._scale_heads, index)),
                family.neuron_output(layer).register_forward_pre_hook(partial(self._scale_neurons, index)),
            ]
        model.add_module(MODULE_NAME, self.to(model.device))

    def detach_from(self, model: PreTrainedModel) -> None:
        """Remove the coefficients from the model, and restore its original outputs."""
        while self._handles:
            self._handles.pop().remove()
        delattr(model, MODULE_NAME)

    @torch.no_grad()
    def fold_into(self, model: PreTrainedModel) -> None:
        """Multiply the coefficients into the weights of a model, which then has equal outputs without them.

        Args:
            model: The model on which the coefficients were trained, or a copy of it. The coefficients must be
                detached from it.
        """
        family = family_of(model.config)
        for index, layer in enumerate(family.layers(model)):
            for part, coefficients in (
                (family.head_output(layer), self.heads[index].repeat_interleave(self._head_size)),
                (family.neuron_output(layer), self.neurons[index]),
            ):
                weight = cast("nn.Parameter", part.weight)
                weight.copy_(scale(weight, coefficients.to(weight.device)))

    def penalty(self, head_weight: float, neuron_weight: float) -> Tensor:
        """Return the regulariser λ_head ‖c_head‖₁ + λ_neuron ‖c_neuron‖₁: sums, not means."""
        return head_weight * self.heads.abs().sum() + neuron_weight * self.neurons.abs().sum()

    # The hooks are methods, not closures, so that a deep copy of a model follows its own coefficients.
    def _scale_heads(self, layer: int, _: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor]:
        return (scale(inputs[0], self.heads[layer].repeat_interleave(self._head_size)),)

    def _scale_neurons(self, layer: int, _: nn.Module, inputs: tuple[Any, ...]) -> tuple[Tensor]:
        return (scale(inputs[0], self.neurons[layer]),)


def scale(activations: Tensor, coefficients: Tensor) -> Tensor:
    """Scale the last dimension of `activations` (..., n) by `coefficients` (n), in the activations' type."""
    return activations * coefficients.to(activations.dtype)


@contextmanager
def masked(model: PreTrainedModel, ticket: Ticket) -> Iterator[None]:
    """Switch off the heads and neurons that `ticket` cuts while the context lasts, without cutting them.

    The logits are those of the cut model.

    Args:
        model: The dense model, which is unchanged on exit.
        ticket: Masks of the model's dimensions.

    Raises:
        TicketError: If the ticket fits another architecture.
        ConfigError: If the model or a module of it is compiled.
    """
    check_fits(model.config.model_type, family_of(model.config).dimensions(model.config), ticket)
    coefficients = ImportanceCoefficients.attach(model)
    try:
        with torch.no_grad():
            coefficients.heads.copy_(torch.from_numpy(ticket.heads))
            coefficients.neurons.copy_(torch.from_numpy(ticket.neurons))
        yield
    finally:
        coefficients.detach_from(model)


def check_fits(model_type: str, size: Dimensions, ticket: Ticket) -> None:
    """Check that a ticket fits an encoder's architecture.

    Args:
        model_type: Family of the encoder.
        size: Dimensions of the encoder.
        ticket: The ticket.

    Raises:
        TicketError: If the ticket fits another architecture, or is no ticket over heads and neurons.
    """
    if not isinstance(ticket, Ticket):
        raise TicketError(
            f"A Ticket over heads and neurons is needed, not {type(ticket).__name__}: load one with "
            "Ticket.from_pretrained(folder)."
        )
    have = (model_type, (size.layers, size.heads), (size.layers, size.neurons))
    want = (ticket.model_type, ticket.heads.shape, ticket.neurons.shape)
    if have != want:
        raise TicketError(
            f"The ticket is of another architecture: it fits {_describe(*want)}, but the model is "
            f"{_describe(*have)}. Choose a ticket of this encoder."
        )


def _describe(model_type: str, heads: tuple[int, ...], neurons: tuple[int, ...]) -> str:
    return f"'{model_type}' with {heads[0]} layers of {heads[1]} heads and {neurons[1]} neurons"
