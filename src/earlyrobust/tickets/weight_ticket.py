"""Tickets over single weights: which entries of an encoder's matrices stay, and which are set to zero.

A `Ticket` makes a model smaller. A `WeightTicket` only sets weights to zero. On disk it is two files,
`weight_ticket.json` and `weight_ticket.safetensors`, which holds the masks as packed bits.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earlyrobust.errors import TicketError
from earlyrobust.tickets.drawing import Mask, Scores, check_is_array, check_ratio
from earlyrobust.tickets.files import OF_WEIGHT_TICKET, SavedTicket

FORMAT_VERSION = 1
JSON_NAME, TENSORS_NAME = OF_WEIGHT_TICKET


def draw_weights(scores: Mapping[str, Scores], ratio: float) -> dict[str, Mask]:
    """Draw masks that cut the weights with the smallest scores, over all matrices together.

    Exactly `round(ratio * weights)` of all weights are cut. Weights that tie are cut in the order of the
    matrices, then of their entries.

    Args:
        scores: The scores of the entries of each matrix, by the name of its parameter.
        ratio: Share of all entries to cut, 0 <= ratio < 1.

    Returns:
        Masks of the same shapes, True where a weight stays.

    Raises:
        ConfigError: If the ratio is not in [0, 1).
        TicketError: If the scores give no ranking: all equal, or not finite.
    """
    check_ratio(ratio)
    together = np.concatenate([part.reshape(-1) for part in scores.values()])
    if not np.isfinite(together).all():
        raise TicketError("The scores of the weights are not finite: lower the learning rate of the search.")
    cut = round(ratio * together.size)
    if cut and np.ptp(together) == 0:
        raise TicketError(
            "The scores of the weights are all equal, so they rank nothing: search for more steps."
        )
    kept = np.ones(together.size, dtype=np.bool_)
    kept[np.argsort(together, kind="stable")[:cut]] = False
    ends = np.cumsum([part.size for part in scores.values()])
    parts = np.split(kept, ends[:-1])
    return {name: part.reshape(scores[name].shape) for name, part in zip(scores, parts, strict=True)}


@dataclass(frozen=True, eq=False)
class WeightTicket(SavedTicket):
    """Masks over an encoder's weights, with facts on their origin.

    Attributes:
        model_type: Family of the encoder that the ticket fits.
        masks: For each weight matrix, by the name of its parameter, True where an entry stays.
        origin: Any facts: method, model, task, seed, settings, versions. JSON types only.

    Raises:
        TicketError: If a mask is no array.
    """

    model_type: str
    masks: dict[str, Mask]
    origin: dict[str, Any] = field(default_factory=dict)

    FORMAT_VERSION = FORMAT_VERSION
    FILES = (JSON_NAME, TENSORS_NAME)
    KIND = "ticket over weights"
    APPLY = "zero_weights"

    def __post_init__(self) -> None:
        for name, mask in self.masks.items():
            check_is_array(name, mask)

    @property
    def weights(self) -> int:
        """Return the number of weights that the masks cover."""
        return sum(mask.size for mask in self.masks.values())

    @property
    def kept(self) -> int:
        """Return the number of weights that stay."""
        return sum(int(mask.sum()) for mask in self.masks.values())

    @property
    def sparsity(self) -> float:
        """Return the share of the weights that are zero."""
        return 1 - self.kept / self.weights

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of the family and the masks, whatever the ticket's origin."""
        digest = hashlib.sha256(self.model_type.encode())
        for name, mask in sorted(self.masks.items()):
            digest.update(f"|{name}{mask.shape}".encode())
            digest.update(np.packbits(mask).tobytes())
        return digest.hexdigest()

    @property
    def summary(self) -> str:
        """Return a sentence on the number of weights that the ticket keeps."""
        return f"It keeps {self.kept:,} of {self.weights:,} weights."

    def _to_tensors(self) -> dict[str, NDArray[Any]]:
        return {name: np.packbits(mask) for name, mask in self.masks.items()}

    def _to_json(self) -> dict[str, Any]:
        return {
            "format_version": FORMAT_VERSION,
            "model_type": self.model_type,
            "shapes": {name: list(mask.shape) for name, mask in self.masks.items()},
            "weights": self.weights,
            "kept": self.kept,
            "fingerprint": self.fingerprint,
            "origin": self.origin,
        }

    @classmethod
    def _from_parts(cls, content: dict[str, Any], tensors: dict[str, NDArray[Any]]) -> WeightTicket:
        for name, shape in content["shapes"].items():
            # NumPy would fill missing bits with zeros, and allocate as much memory as the shape requires.
            if math.prod(shape) > 8 * tensors[name].size:
                raise TicketError(f"{TENSORS_NAME} holds fewer bits than the shapes require.")
        masks = {
            name: np.unpackbits(tensors[name], count=math.prod(shape)).astype(np.bool_).reshape(shape)
            for name, shape in content["shapes"].items()
        }
        ticket = cls(content["model_type"], masks, dict(content["origin"]))
        if not ticket.weights:
            raise TicketError(f"{JSON_NAME} names no weights.")
        # The fingerprint distinguishes tickets of the same model and ratio, whose counts are equal.
        if content | ticket._to_json() != content:
            raise TicketError(f"{JSON_NAME} and {TENSORS_NAME} are not of the same ticket.")
        return ticket
