"""The questions of attacks to models: inputs of a model, and the generators that ask."""

from __future__ import annotations

from collections.abc import Generator, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Encoded:
    """A tokenised input.

    Attributes:
        key: Equal for two inputs if and only if the model cannot distinguish them.
        fields: Token ids and the tokenizer's other fields, each an array of shape (tokens,).
    """

    key: bytes
    fields: dict[str, NDArray[np.integer[Any]]]

    @property
    def length(self) -> int:
        """Number of tokens."""
        return len(self.fields["input_ids"])


class Model(Protocol):
    """A model that attacks can ask: a victim, a sentence encoder or a masked language model.

    Attributes:
        max_length: Maximum number of tokens of an input; the rest is cut off.
        most_tokens: Maximum number of tokens of a batch; None if only the server's budget limits them.
        counts_rows: Whether the last bits of an answer may depend on the number of inputs in its batch,
            unless small batches are filled up.
    """

    max_length: int
    most_tokens: int | None
    counts_rows: bool

    def encode(self, inputs: Sequence[Any]) -> list[Encoded]:
        """Tokenise inputs, each to at most `max_length` tokens."""

    def compute(self, batch: Sequence[Encoded], length: int) -> Sequence[Any]:
        """Return the answers to a batch of inputs, after padding each input to `length` tokens."""


class NamedModel(Model, Protocol):
    """A model that records name.

    Attributes:
        name: The name in records.
    """

    name: str


def fingerprint_as(part: str, model: NamedModel) -> dict[str, str]:
    """Return the hash of a model's weights as `<part>_fingerprint`; {} if it has no hash."""
    found = getattr(model, "fingerprint", None)
    return {} if found is None else {f"{part}_fingerprint": found}


@dataclass(frozen=True, slots=True)
class Ask:
    """A question of an attack: a model, and the inputs that the attack wants answered."""

    model: Model
    inputs: Sequence[Hashable]


Attacking = Generator[Ask, Sequence[Any], Result]
