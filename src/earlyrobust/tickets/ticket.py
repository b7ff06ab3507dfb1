"""Tickets over heads and neurons: which ones of an encoder stay, and the record of the search.

A ticket is a small artefact on its own. It needs neither PyTorch nor the searched model, so it can be read,
compared and reported anywhere. On disk it is two files. `ticket.json` holds everything that a person would
read. `ticket.safetensors` holds the masks, the coefficients, and the masks of every miniepoch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from earlyrobust.errors import TicketError
from earlyrobust.tickets.drawing import Mask, Scores, check_is_array
from earlyrobust.tickets.files import OF_TICKET, SavedTicket

FORMAT_VERSION = 1
JSON_NAME, TENSORS_NAME = OF_TICKET

StopReason = Literal["converged", "fixed", "limit", "callback"]


@dataclass(frozen=True)
class Miniepoch:
    """The state of a search at the end of one miniepoch.

    Attributes:
        step: Optimiser steps taken so far.
        heads: Distance of the head mask to that of the miniepoch before; None if either mask is missing.
        neurons: Distance of the neuron mask to that of the miniepoch before; None if either mask is missing.
        streak: Number of miniepochs in a row for which both masks have been settled.
    """

    step: int
    heads: float | None
    neurons: float | None
    streak: int


@dataclass(frozen=True, eq=False)
class SearchTrace:
    """The course of a search.

    Attributes:
        miniepochs: The miniepochs, in order.
        head_masks: Shape (miniepochs, layers, heads); all False while the coefficients ranked nothing.
        neuron_masks: Shape (miniepochs, layers, neurons); all False while the coefficients ranked nothing.
        stop_reason: "converged" if the masks settled; "limit" if they had not settled when the epochs were
            used up; "fixed" if the ticket was drawn after a fixed time, settled or not; "callback" if a
            callback of the user ended the training before that.
        epochs: Epochs of the training data that the search used.
        steps_per_miniepoch: Optimiser steps of one miniepoch.
        steps_per_epoch: Optimiser steps of one epoch.
        settled_since: Epochs after which the first of the settled masks was drawn; None if they never
            settled, or in the ticket of an older version.
    """

    miniepochs: tuple[Miniepoch, ...]
    head_masks: Mask
    neuron_masks: Mask
    stop_reason: StopReason
    epochs: float
    steps_per_miniepoch: int
    steps_per_epoch: int
    settled_since: float | None = None


@dataclass(frozen=True, eq=False)
class Ticket(SavedTicket):
    """The masks over an encoder's heads and neurons, with the record of their search.

    Attributes:
        model_type: Family of the encoder that the ticket fits.
        heads: Shape (layers, heads), True where a head stays.
        neurons: Shape (layers, neurons), True where a neuron stays.
        head_scores: Final importance coefficients of the heads, shape (layers, heads); None without a search.
        neuron_scores: Final importance coefficients of the neurons, shape (layers, neurons); None without a
            search.
        trace: The course of the search; None without a search.
        origin: Any facts: method, model, task, seed, settings, versions. JSON types only.

    Raises:
        TicketError: If a mask is not boolean, has another shape or leaves some layer without any entry, or
            the shapes of the arrays do not fit one another.
    """

    model_type: str
    heads: Mask
    neurons: Mask
    head_scores: Scores | None = None
    neuron_scores: Scores | None = None
    trace: SearchTrace | None = None
    origin: dict[str, Any] = field(default_factory=dict)

    FORMAT_VERSION = FORMAT_VERSION
    FILES = (JSON_NAME, TENSORS_NAME)
    KIND = "ticket"
    APPLY = "prune"

    def __post_init__(self) -> None:
        for name, array in (
            *(("heads", self.heads), ("neurons", self.neurons)),
            *(("head_scores", self.head_scores), ("neuron_scores", self.neuron_scores)),
        ):
            check_is_array(name, array, or_none=name.endswith("scores"))
        for name, mask in (("heads", self.heads), ("neurons", self.neurons)):
            if mask.ndim != 2 or mask.dtype != np.bool_ or not mask.any(axis=1).all():
                raise TicketError(
                    f"The mask over {name} must be boolean, of shape (layers, {name}), and keep one entry in "
                    f"every layer; this one has type {mask.dtype} and shape {mask.shape}."
                )
        if len(self.heads) != len(self.neurons):
            raise TicketError(
                f"The masks disagree: {len(self.heads)} layers of heads, {len(self.neurons)} of neurons."
            )
        for name, array, shape in self._companions():
            if array.shape != shape:
                raise TicketError(f"The {name} have shape {array.shape}, but the masks need {shape}.")

    @property
    def head_sparsity(self) -> float:
        """Return the share of all heads that the ticket cuts."""
        return float(1 - self.heads.mean())

    @property
    def neuron_sparsity(self) -> float:
        """Return the share of all FFN neurons that the ticket cuts."""
        return float(1 - self.neurons.mean())

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of the family and both masks.

        Tickets with the same fingerprint cut a model in the same way, whatever their origins.
        """
        parts = (self.model_type, str(self.heads.shape), self.heads.tobytes(), self.neurons.tobytes())
        return hashlib.sha256(b"|".join(p if isinstance(p, bytes) else p.encode() for p in parts)).hexdigest()

    @property
    def summary(self) -> str:
        """Return a sentence on the numbers of heads and neurons that the ticket keeps."""
        return (
            f"It keeps {self.heads.sum():,} of {self.heads.size:,} attention heads and "
            f"{self.neurons.sum():,} of {self.neurons.size:,} FFN neurons."
        )

    @property
    def heads_per_layer(self) -> list[int]:
        """Return the number of heads that stay in each layer, first to last."""
        return [int(count) for count in self.heads.sum(axis=1)]

    @property
    def neurons_per_layer(self) -> list[int]:
        """Return the number of neurons that stay in each layer, first to last."""
        return [int(count) for count in self.neurons.sum(axis=1)]

    def _companions(self) -> Iterator[tuple[str, NDArray[Any], tuple[int, ...]]]:
        """Yield the optional arrays: the name in the file, the array, and the shape that fits the masks."""
        if self.head_scores is not None:
            yield "head_scores", self.head_scores, self.heads.shape
        if self.neuron_scores is not None:
            yield "neuron_scores", self.neuron_scores, self.neurons.shape
        if self.trace is not None:
            count = len(self.trace.miniepochs)
            yield "trace.head_masks", self.trace.head_masks, (count, *self.heads.shape)
            yield "trace.neuron_masks", self.trace.neuron_masks, (count, *self.neurons.shape)

    def _to_tensors(self) -> dict[str, NDArray[Any]]:
        arrays = {"heads": self.heads, "neurons": self.neurons}
        arrays |= {name: array for name, array, _ in self._companions()}
        # safetensors writes the memory of an array as it is, in whatever order its entries lie.
        return {name: np.ascontiguousarray(array) for name, array in arrays.items()}

    def _to_json(self) -> dict[str, Any]:
        trace = None
        if self.trace is not None:
            trace = {
                "stop_reason": self.trace.stop_reason,
                "epochs": self.trace.epochs,
                "steps_per_epoch": self.trace.steps_per_epoch,
                "steps_per_miniepoch": self.trace.steps_per_miniepoch,
                "miniepochs": [asdict(miniepoch) for miniepoch in self.trace.miniepochs],
            }
            if self.trace.settled_since is not None:
                trace["settled_since"] = self.trace.settled_since
        return {
            "format_version": FORMAT_VERSION,
            "model_type": self.model_type,
            "layers": len(self.heads),
            "heads": int(self.heads.shape[1]),
            "neurons": int(self.neurons.shape[1]),
            "head_sparsity": self.head_sparsity,
            "neuron_sparsity": self.neuron_sparsity,
            "heads_per_layer": self.heads_per_layer,
            "neurons_per_layer": self.neurons_per_layer,
            "trace": trace,
            "origin": self.origin,
        }

    @classmethod
    def _from_parts(cls, content: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> Ticket:
        from pydantic import TypeAdapter

        facts = TypeAdapter(_Facts).validate_python(content)
        trace = facts.trace
        ticket = cls(
            model_type=facts.model_type,
            heads=tensors["heads"],
            neurons=tensors["neurons"],
            head_scores=tensors.get("head_scores"),
            neuron_scores=tensors.get("neuron_scores"),
            trace=None
            if trace is None
            else SearchTrace(
                **vars(trace),
                head_masks=tensors["trace.head_masks"],
                neuron_masks=tensors["trace.neuron_masks"],
            ),
            origin=facts.origin,
        )
        derived = ticket._to_json()
        if content | derived != derived | content:
            raise TicketError(f"{JSON_NAME} and {TENSORS_NAME} are not of the same ticket.")
        return ticket


@dataclass(frozen=True)
class _TraceFacts:
    """The facts on a search in `ticket.json`."""

    miniepochs: tuple[Miniepoch, ...]
    stop_reason: StopReason
    epochs: float
    steps_per_miniepoch: int
    steps_per_epoch: int
    settled_since: float | None = None


@dataclass(frozen=True)
class _Facts:
    """The facts that only `ticket.json` holds; the rest of the file repeats the masks for human readers."""

    model_type: str
    trace: _TraceFacts | None
    origin: dict[str, Any]
