"""Tickets: which heads and neurons of an encoder stay, and how that came about.

A ticket is a small artefact on its own. It needs neither PyTorch nor the model it was searched on, so it can
be read, compared and reported anywhere. On disk it is two files: `ticket.json` (everything a person would
read) and `ticket.safetensors` (masks, coefficients, and the masks of every miniepoch).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from earlyrobust.errors import ConfigError, TicketError
from earlyrobust.storage import write_atomically, write_json

FORMAT_VERSION = 1
JSON_NAME = "ticket.json"
TENSORS_NAME = "ticket.safetensors"

Mask = NDArray[np.bool_]
Scores = NDArray[np.float32]
Scope = Literal["global", "layerwise"]
StopReason = Literal["converged", "limit"]


def draw(scores: Scores, ratio: float, scope: Scope = "global") -> Mask:
    """Draw a mask: cut the entries with the smallest absolute importance (paper, section 3.2).

    Exactly `round(ratio * scores.size)` entries are cut. Entries that tie are cut in the order of
    (layer, index). Every layer keeps its best entry; where that saves one, the next-worst goes instead.

    Args:
        scores: Importance coefficients, shape (layers, entries per layer).
        ratio: Share of all entries to cut, 0 <= ratio < 1.
        scope: Rank all layers together ("global"), or cut the same share of every layer ("layerwise").

    Returns:
        The mask, same shape, True where an entry stays.

    Raises:
        ConfigError: If the ratio leaves some layer without any entry.
        TicketError: If the scores give no ranking: all equal, or not finite.
    """
    layers, width = scores.shape
    cut = round(check_ratio(ratio) * scores.size)
    if cut > scores.size - layers:
        raise ConfigError(
            f"A ratio of {ratio:g} would cut {cut} of {scores.size} entries, but each of the {layers} layers "
            f"keeps at least one: choose a ratio of at most {(scores.size - layers) / scores.size:.4g}."
        )
    if not np.isfinite(scores).all():
        raise TicketError("The importance coefficients are not finite: lower the learning rate of the search.")
    if cut and is_undecided(scores):
        raise TicketError(
            "The importance coefficients are all equal, so they rank nothing: let the search train them longer."
        )
    magnitude = np.abs(scores)
    mask = np.ones(scores.shape, dtype=np.bool_)
    if scope == "global":
        mask.flat[_worst(magnitude, cut)] = False
    else:
        # Rounding the running total, not each layer, makes the layers add up to exactly `cut`.
        bounds = [round(ratio * width * layer) for layer in range(layers + 1)]
        for layer in range(layers):
            mask[layer, _worst(magnitude[layer : layer + 1], bounds[layer + 1] - bounds[layer])] = False
    return mask


def _worst(magnitude: Scores, count: int) -> NDArray[np.intp]:
    """Flat indices of the `count` smallest entries, leaving out the best one of every layer."""
    width = magnitude.shape[1]
    # A stable sort ranks ties by (layer, index), so of a layer's equal best entries the last one is kept.
    best = width - 1 - np.argmax(magnitude[:, ::-1], axis=1)
    protected = best + width * np.arange(len(magnitude))
    order = np.argsort(magnitude, axis=None, kind="stable")
    return order[~np.isin(order, protected)][:count]


def check_ratio(ratio: float) -> float:
    """Return `ratio`, the share of heads or neurons to cut, if it is one.

    Raises:
        ConfigError: If it is not in [0, 1).
    """
    if not 0 <= ratio < 1:
        raise ConfigError(f"A ratio of {ratio:g} cannot be cut: choose one of at least 0 and below 1.")
    return ratio


def is_undecided(scores: Scores) -> bool:
    """Whether all coefficients are equal, as at the start of a search, so that they rank nothing yet."""
    return bool(np.ptp(scores) == 0)


def mask_distance(first: Mask, second: Mask) -> float:
    """Normalised Hamming distance of two masks: differing entries / entries (paper, section 3.2).

    Raises:
        TicketError: If the masks have different shapes.
    """
    if first.shape != second.shape:
        raise TicketError(f"Masks of shapes {first.shape} and {second.shape} cannot be compared.")
    return float(np.mean(first != second))


@dataclass(frozen=True)
class Miniepoch:
    """What the search saw at the end of one miniepoch.

    Attributes:
        step: Optimiser steps taken so far.
        heads: Distance of the head mask to that of the miniepoch before; None where there is none to compare.
        neurons: The same for the neuron mask.
        streak: For how many miniepochs in a row both distances have been below γ.
    """

    step: int
    heads: float | None
    neurons: float | None
    streak: int


@dataclass(frozen=True)
class SearchTrace:
    """How a search went.

    Attributes:
        miniepochs: One entry each, in order.
        head_masks: Shape (miniepochs, layers, heads); all False where the coefficients ranked nothing yet.
        neuron_masks: Shape (miniepochs, layers, neurons).
        stop_reason: "converged", or "limit" if the masks had not settled when the epochs were used up.
        epochs: Epochs of the training data that the search used.
        steps_per_miniepoch: Optimiser steps of one miniepoch.
        steps_per_epoch: Optimiser steps of one epoch.
    """

    miniepochs: tuple[Miniepoch, ...]
    head_masks: Mask
    neuron_masks: Mask
    stop_reason: StopReason
    epochs: float
    steps_per_miniepoch: int
    steps_per_epoch: int


@dataclass(frozen=True)
class Ticket:
    """The masks over an encoder's heads and neurons, with how they came about.

    Attributes:
        model_type: Family of the encoder that the ticket fits.
        heads: Shape (layers, heads), True where a head stays.
        neurons: Shape (layers, neurons), True where a neuron stays.
        head_scores: Final importance coefficients of the heads, shape as `heads`; None for a ticket not searched.
        neuron_scores: The same for the neurons.
        trace: How the search went; None for a ticket not searched.
        origin: Free-form facts: method, model, task, seed, settings, versions. JSON types only.
    """

    model_type: str
    heads: Mask
    neurons: Mask
    head_scores: Scores | None = None
    neuron_scores: Scores | None = None
    trace: SearchTrace | None = None
    origin: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
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

    @property
    def head_sparsity(self) -> float:
        """Share of all heads that the ticket cuts."""
        return float(1 - self.heads.mean())

    @property
    def neuron_sparsity(self) -> float:
        """Share of all FFN neurons that the ticket cuts."""
        return float(1 - self.neurons.mean())

    @property
    def heads_per_layer(self) -> list[int]:
        """Heads that stay in each layer, first to last."""
        return [int(count) for count in self.heads.sum(axis=1)]

    @property
    def neurons_per_layer(self) -> list[int]:
        """Neurons that stay in each layer, first to last."""
        return [int(count) for count in self.neurons.sum(axis=1)]

    def save(self, folder: Path | str) -> None:
        """Write the ticket into a folder as `ticket.json` and `ticket.safetensors`.

        Args:
            folder: Made where it is missing; other files in it are left alone.
        """
        from safetensors.numpy import save_file

        tensors: dict[str, NDArray[Any]] = {"heads": self.heads, "neurons": self.neurons}
        if self.head_scores is not None and self.neuron_scores is not None:
            tensors |= {"head_scores": self.head_scores, "neuron_scores": self.neuron_scores}
        if self.trace is not None:
            tensors |= {"trace.head_masks": self.trace.head_masks, "trace.neuron_masks": self.trace.neuron_masks}
        folder = Path(folder)
        write_atomically(folder / TENSORS_NAME, lambda path: save_file(tensors, path))
        # The JSON file comes last: a folder without it holds no ticket.
        write_json(folder / JSON_NAME, self._to_json())

    @classmethod
    def load(cls, folder: Path | str) -> Ticket:
        """Read a ticket from the folder that `save` (or `save_pretrained` of a cut model) wrote.

        Raises:
            TicketError: If there is no ticket, or its files are damaged or of a newer format.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        folder = Path(folder)
        for name in (JSON_NAME, TENSORS_NAME):
            if not (folder / name).is_file():
                raise TicketError(f"There is no ticket in '{folder}': {name} is missing.")
        try:
            content = json.loads((folder / JSON_NAME).read_text(encoding="utf-8"))
            if content["format_version"] > FORMAT_VERSION:
                raise TicketError(
                    f"The ticket in '{folder}' has format {content['format_version']}, newer than the "
                    f"{FORMAT_VERSION} that this version reads: update earlyrobust."
                )
            return cls._from_parts(content, load_file(folder / TENSORS_NAME))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
            raise TicketError(f"The ticket in '{folder}' is damaged and cannot be read: {error}.") from error

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
        trace = content["trace"]
        return cls(
            model_type=content["model_type"],
            heads=tensors["heads"],
            neurons=tensors["neurons"],
            head_scores=tensors.get("head_scores"),
            neuron_scores=tensors.get("neuron_scores"),
            trace=trace
            and SearchTrace(
                miniepochs=tuple(Miniepoch(**miniepoch) for miniepoch in trace["miniepochs"]),
                head_masks=tensors["trace.head_masks"],
                neuron_masks=tensors["trace.neuron_masks"],
                stop_reason=trace["stop_reason"],
                epochs=trace["epochs"],
                steps_per_miniepoch=trace["steps_per_miniepoch"],
                steps_per_epoch=trace["steps_per_epoch"],
            ),
            origin=content["origin"],
        )
