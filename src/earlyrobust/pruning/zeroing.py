"""Sets weights to zero by a ticket over single weights, and keeps them at zero during training."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from earlyrobust.errors import TicketError
from earlyrobust.families import layers_of
from earlyrobust.tickets.weight_ticket import WeightTicket

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def matrices_of(model: PreTrainedModel) -> dict[str, nn.Linear]:
    """Return the matrices that a ticket over weights covers, by name: those of the layers and of a pooler.

    Raises:
        ModelError: If the model's architecture is not supported.
    """
    parts: list[nn.Module] = [*layers_of(model)]
    pooler = getattr(model.base_model, "pooler", None)
    if pooler is not None:
        parts.append(pooler)
    wanted = {id(module) for part in parts for module in part.modules() if isinstance(module, nn.Linear)}
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and id(module) in wanted
    }


def zero_weights(model: PreTrainedModel, ticket: WeightTicket) -> PreTrainedModel:
    """Set the weights that a ticket cuts to zero, in place, and keep them there.

    Their gradients are zero, too, so no optimiser moves them, not even by weight decay. A matrix that is
    frozen must stay frozen. The model becomes neither smaller nor faster. A deep copy of it, and the model
    after saving and loading, is an ordinary model: training would move its zeros.

    Args:
        model: The pretrained model.
        ticket: Masks of its weights.

    Returns:
        The model.

    Raises:
        ModelError: If the model's architecture is not supported.
        TicketError: If the ticket fits another architecture, or is no ticket over weights.
    """
    if not isinstance(ticket, WeightTicket):
        raise TicketError(
            f"A WeightTicket is needed, not {type(ticket).__name__}: cut heads and neurons with prune."
        )
    weights: dict[str, Any] = {f"{name}.weight": matrix.weight for name, matrix in matrices_of(model).items()}
    have = {name: tuple(weight.shape) for name, weight in weights.items()}
    want = {name: mask.shape for name, mask in ticket.masks.items()}
    if ticket.model_type != model.config.model_type:
        raise TicketError(
            f"The ticket is of another architecture: it fits '{ticket.model_type}', "
            f"but the model is '{model.config.model_type}'."
        )
    for name in want | have:
        if want.get(name) != have.get(name):
            raise TicketError(
                f"The ticket is of another architecture: its mask for '{name}' is "
                f"{want.get(name, 'missing')}, but the model's weights are {have.get(name, 'missing')}."
            )
    for name, mask in ticket.masks.items():
        weight = weights[name]
        kept = torch.from_numpy(mask).to(weight.device)
        with torch.no_grad():
            weight.mul_(kept)
        if weight.requires_grad:  # A frozen weight has no gradient, and does not move.
            weight.register_hook(_only(kept))
    return model


def _only(kept: Tensor) -> Callable[[Tensor], Tensor]:
    def hook(gradient: Tensor) -> Tensor:
        return gradient * kept.to(gradient.device)

    return hook
