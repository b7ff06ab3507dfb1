"""Batches of token ids as arrays, padded to one length.

The `pad` method of a tokenizer works on lists, number by number. It takes as long as the forward pass of a
small model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earlyrobust.attacks.asks import Encoded
from earlyrobust.encoders import padding_side

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase


def encoded_from(fields: Mapping[str, Sequence[Sequence[int]]]) -> list[Encoded]:
    """Make model inputs from the output of a tokenizer for several texts.

    Args:
        fields: For each field, such as `input_ids`, a list of numbers for each text, one number a token.

    Returns:
        One input for each text.
    """
    lengths = [len(ids) for ids in fields["input_ids"]]
    columns = [np.fromiter(chain.from_iterable(rows), np.int32, sum(lengths)) for rows in fields.values()]
    return cut_up(tuple(fields), np.stack(columns), lengths)


def cut_up(names: Sequence[str], numbers: NDArray[np.int32], lengths: Sequence[int]) -> list[Encoded]:
    """Split the concatenated tokens of several texts into one model input for each text.

    Args:
        names: Names of the fields.
        numbers: The fields of all tokens, shape (fields, tokens of all texts).
        lengths: Number of tokens of each text.

    Returns:
        One input for each text.
    """
    inputs, begin = [], 0
    for length in lengths:
        own = numbers[:, begin : begin + length]
        inputs.append(Encoded(own.tobytes(), dict(zip(names, own, strict=True))))
        begin += length
    return inputs


class _Numbers(NamedTuple):
    """The values of a field: at tokens, where the input has no such field, and at padding."""

    token: int
    padding: int


class Padding:
    """Pads inputs as a tokenizer does, but faster, by filling arrays.

    To learn how the tokenizer pads each field, the class lets it pad an input of one token.

    Args:
        tokenizer: The tokenizer.
        config: The model's configuration, which decides on the side of the padding; None for the right side.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig | None) -> None:
        self._tokenizer = tokenizer
        self._side = padding_side(config)
        self._seen: dict[str, _Numbers] = {}

    def pad(self, batch: Sequence[Encoded], length: int) -> dict[str, Tensor]:
        """Pad each input of a batch to the same length.

        Args:
            batch: Inputs with the same fields, each of at most `length` tokens.
            length: Number of tokens of each padded input.

        Returns:
            The fields of the inputs and those that the tokenizer adds (most add the attention mask), as int64
            tensors of shape (inputs, length).
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
        """Return how the tokenizer pads each of these fields and those that it adds."""
        padded = self._tokenizer.pad(
            {name: [0] for name in fields}, padding="max_length", max_length=2, padding_side=self._side
        )
        token, padding = (0, 1) if self._side == "right" else (1, 0)
        return {name: _Numbers(numbers[token], numbers[padding]) for name, numbers in padded.items()}
