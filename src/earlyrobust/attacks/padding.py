"""Token ids as arrays, and batches of them padded to one length.

A tokenizer's own `pad` works on lists, number by number, and takes as long as a small model's forward pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earlyrobust.attacks.engine import Encoded
from earlyrobust.encoders import padding_side

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase


def encoded_from(fields: Mapping[str, Sequence[Sequence[int]]]) -> list[Encoded]:
    """Make inputs of what a tokenizer says of several texts.

    Args:
        fields: For each field, such as `input_ids`, the numbers of each text: one for each of its tokens.
    """
    lengths = [len(ids) for ids in fields["input_ids"]]
    columns = [np.fromiter(chain.from_iterable(rows), np.int32, sum(lengths)) for rows in fields.values()]
    return cut_up(tuple(fields), np.stack(columns), lengths)


def cut_up(names: Sequence[str], numbers: NDArray[np.int32], lengths: Sequence[int]) -> list[Encoded]:
    """Cut the tokens of several texts, one text behind the other, into inputs.

    Args:
        names: Of the fields.
        numbers: Those of all tokens, shape (fields, tokens of all texts).
        lengths: Tokens of each text.
    """
    inputs, begin = [], 0
    for length in lengths:
        own = numbers[:, begin : begin + length]
        inputs.append(Encoded(own.tobytes(), dict(zip(names, own, strict=True))))
        begin += length
    return inputs


class _Numbers(NamedTuple):
    """The numbers of a field at a token that the tokenizer says nothing of, and at padding."""

    token: int
    padding: int


class Padding:
    """Pads inputs as a tokenizer does, by filling arrays.

    How the tokenizer pads each field is seen on an input of one token, which it pads itself.

    Args:
        tokenizer: The tokenizer.
        config: The model's configuration, which decides on the side; None for the right.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig | None) -> None:
        self._tokenizer = tokenizer
        self._side = padding_side(config)
        self._seen: dict[str, _Numbers] = {}

    def pad(self, batch: Sequence[Encoded], length: int) -> dict[str, Tensor]:
        """A batch of inputs, each padded to a length in tokens.

        Args:
            batch: Inputs with the same fields, none of them longer.
            length: Tokens of each padded input.

        Returns:
            The inputs' fields and those that the tokenizer adds, the attention mask for most, int64 tensors
            of shape (inputs, length).
        """
        seen = self._seen = self._seen or self._see(batch[0].fields)
        lengths = np.array([item.length for item in batch])[:, None]
        places = np.arange(length)
        holds_token = places < lengths if self._side == "right" else places >= length - lengths
        padded = {}
        for name, numbers in seen.items():
            table = np.full(holds_token.shape, numbers.padding, np.int64)
            known = name in batch[0].fields
            table[holds_token] = (
                np.concatenate([item.fields[name] for item in batch]) if known else numbers.token
            )
            padded[name] = torch.from_numpy(table)
        return padded

    def _see(self, fields: Mapping[str, Any]) -> dict[str, _Numbers]:
        """How the tokenizer pads each of these fields, and what it adds to them."""
        padded = self._tokenizer.pad(
            {name: [0] for name in fields}, padding="max_length", max_length=2, padding_side=self._side
        )
        token, padding = (0, 1) if self._side == "right" else (1, 0)
        return {name: _Numbers(numbers[token], numbers[padding]) for name, numbers in padded.items()}
