"""Repairing the weights that a cut leaves, so that they do the work of those that are gone.

A projection maps the outputs x of heads or neurons to W x. After a cut only x_K is left of x. The weights
W' = W_K + Δ that come closest to W x on given texts follow from the second moments G = E[x xᵀ] alone:
Δᵀ = (G_KK + λI)⁻¹ G_KC W_Cᵀ, with the cut columns C and a ridge λ. A constant beside x repairs the bias.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from earlyrobust.families import family_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from earlyrobust.ticket import Ticket

# λ, relative to the mean of the diagonal of G_KK.
_RIDGE = 1e-2


class SecondMoments:
    """The second moments of the inputs of projections, over the tokens of texts.

    Args:
        projections: The projections; a shared one may be given several times.
    """

    def __init__(self, projections: Iterable[nn.Module]) -> None:
        self._sums: dict[nn.Module, Tensor] = {}
        self._projections = list(dict.fromkeys(projections))
        self._mask: Tensor | None = None

    @torch.no_grad()
    def add(self, model: PreTrainedModel, inputs: dict[str, Any]) -> None:
        """Run a model on a batch and add the inputs of the projections at its tokens.

        Args:
            model: The model, in evaluation mode.
            inputs: The batch, with an attention mask of shape (B, T).
        """
        self._mask = inputs["attention_mask"].bool().flatten()
        with self._watched():
            model(**inputs)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        handles = [part.register_forward_pre_hook(self._see) for part in self._projections]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _see(self, part: nn.Module, inputs: tuple[Any, ...]) -> None:
        rows = inputs[0].detach().flatten(0, -2)
        rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
        if self._mask is not None and len(rows) == len(self._mask):
            rows = rows[self._mask]
        rows = torch.cat([rows, rows.new_ones(len(rows), 1)], dim=1)
        # A batch is short enough for its own precision; the sum over batches is not.
        self._sums[part] = self._sums.get(part, 0) + (rows.T @ rows).double()

    def of(self, part: nn.Module) -> Tensor:
        """Return G of a projection, whose last input is a constant 1, shape (inputs + 1, inputs + 1)."""
        total = self._sums[part]
        return total / total[-1, -1]


@torch.no_grad()
def repair(
    small: PreTrainedModel, model: PreTrainedModel, ticket: Ticket, batches: Iterable[dict[str, Any]]
) -> None:
    """Change the output projections of a cut model in place, so that they make up for what was cut.

    Args:
        small: The model that `prune` cut out of `model` by the ticket.
        model: The whole model, left as it is.
        ticket: The ticket.
        batches: Inputs of the model, with attention masks.
    """
    family = family_of(model.config)
    size = family.dimensions(model.config).head_size
    pairs: list[tuple[nn.Module, nn.Module, NDArray[np.bool_]]] = []
    for whole, cut, heads, neurons in zip(
        family.layers(model), family.layers(small), ticket.heads, ticket.neurons, strict=True
    ):
        pairs += [
            (family.head_output(whole), family.head_output(cut), np.repeat(heads, size)),
            (family.neuron_output(whole), family.neuron_output(cut), neurons),
        ]
    moments = SecondMoments(whole for whole, _, _ in pairs)
    training = model.training
    model.eval()
    for inputs in batches:
        moments.add(model, inputs)
    model.train(training)
    for whole, cut, mask in pairs:
        if not mask.all():
            _repair(whole, cut, torch.from_numpy(mask), moments.of(whole))


def _repair(whole: nn.Module, cut: nn.Module, mask: Tensor, moments: Tensor) -> None:
    """Add Δ to the weight of a projection, and its last row to the bias."""
    weight = cast("Tensor", whole.weight).double()
    has_bias = cut.bias is not None
    kept = torch.cat([mask, torch.tensor([has_bias])]).to(weight.device)
    gone = torch.cat([~mask, torch.tensor([False])]).to(weight.device)
    own = moments[kept][:, kept]
    ridge = _RIDGE * own.diagonal().mean() * torch.eye(len(own), dtype=own.dtype, device=own.device)
    if has_bias:
        ridge[-1, -1] = 0  # a constant is free
    added = torch.linalg.solve(own + ridge, moments[kept][:, gone] @ weight[:, gone[:-1]].T)
    if has_bias:
        cast("nn.Parameter", cut.bias).add_(added[-1].to(cut.bias))
        added = added[:-1]
    cast("nn.Parameter", cut.weight).add_(added.T.to(cut.weight))
