"""Neighbours by word vectors: the search, and the vectors that every pretrained encoder brings along."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from earlyrobust.attacks.packing import pack
from earlyrobust.errors import ResourceError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# As many neighbours as the most demanding attack asks for.
REMEMBERED = 50
# What byte-level and SentencePiece vocabularies put before an entry that begins a word.
WORD_START = "Ġ▁"
# More than what rounding can change in a cosine of float32 vectors.
_ROUNDING = 1e-4


class WordVectors:
    """Neighbours by the cosine of word vectors.

    Args:
        words: The vocabulary, lower case, each word once.
        matrix: The vectors, of any length, shape (words, values).
        name: How results name the source.
        measures_meaning: Whether the vectors are made to tell words of other meanings apart.
    """

    has_vectors = True

    def __init__(
        self, words: Sequence[str], matrix: NDArray[np.float32], name: str, *, measures_meaning: bool = True
    ) -> None:
        self.name = name
        self.measures_meaning = measures_meaning
        self._words = list(words)
        self._rows = {word: row for row, word in enumerate(self._words)}
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        self._matrix = (matrix / np.where(lengths > 0, lengths, 1)).astype(np.float32)
        self._product = _product(self._matrix)
        self._nearest: dict[str, list[str]] = {}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the words and their vectors."""
        digest = hashlib.sha256("\n".join(self._words).encode("utf-8", "surrogatepass"))
        digest.update(self._matrix.tobytes())
        return digest.hexdigest()

    def nearest(self, word: str, count: int) -> list[str]:
        """Return the `count` words of highest cosine, nearest first, equally near ones by vocabulary."""
        word = word.lower()
        if word not in self._rows:
            return []
        count = min(count, len(self._words) - 1)
        found = self._nearest.get(word, [])
        if len(found) < count:
            found = self._nearest[word] = self._search(word, max(count, REMEMBERED))
        return found[:count]

    def cosine(self, a: str, b: str) -> float | None:
        """Return the cosine of two words, None if one of them is unknown."""
        if a not in self._rows or b not in self._rows:
            return None
        return float(self._matrix[self._rows[a]] @ self._matrix[self._rows[b]])

    def _search(self, word: str, count: int) -> list[str]:
        own = self._rows[word]
        count = min(count, len(self._words) - 1)
        # This product is fast, and right but for rounding: it tells which words can be among the first.
        with torch.inference_mode():
            roughly = self._product(torch.from_numpy(self._matrix[own : own + 1])).numpy()[0]
        roughly[own] = -np.inf
        least = np.partition(roughly, -count)[-count]
        able = np.flatnonzero(roughly >= least - _ROUNDING)
        # Unlike that product this adds each row up in the same order, so equal rows tie on every machine.
        cosines = np.einsum("ij,j->i", self._matrix[able], self._matrix[own])
        best = able[np.argsort(-cosines, kind="stable")][:count]
        return [self._words[row] for row in best]


def _product(matrix: NDArray[np.float32]) -> nn.Module:
    """Multiplies vectors with each row of a matrix.

    It is made of PyTorch's, because after a product of NumPy's own the threads of its library wait busily for
    a tenth of a second, and the models that are asked next have to share the cores with them.
    """
    rows, values = matrix.shape
    with torch.device("meta"):
        linear = nn.Linear(values, rows, bias=False)
    linear.weight = nn.Parameter(torch.from_numpy(matrix), requires_grad=False)
    product = nn.Sequential(linear)
    return pack(product) or product


def embedding_neighbours(encoder: str = "minilm") -> WordVectors:
    """Return the words of a pretrained encoder's vocabulary, with its input embeddings as vectors.

    Args:
        encoder: An embedded encoder, a local folder, or a name on the Hugging Face hub.

    Raises:
        ModelError: The encoder cannot be had, or its architecture is not supported.
        ResourceError: Its vocabulary holds no whole lower-case words.
    """
    from earlyrobust.encoders import load_pretrained, load_tokenizer

    rows = _word_rows(load_tokenizer(encoder))
    if not rows:
        raise ResourceError(
            f"The vocabulary of '{encoder}' holds no lower-case words: choose another encoder."
        )
    model = load_pretrained(encoder, ("", " "), seed=0)
    embeddings = model.get_input_embeddings().weight.detach().numpy()
    return WordVectors(
        list(rows),
        embeddings[list(rows.values())],
        f"input embeddings of {encoder}",
        measures_meaning=False,
    )


def _word_rows(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """Return the row of each entry of a vocabulary that is a whole word, in the order of the rows."""
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    # Where some entries are marked as the beginning of a word, the others continue one.
    for pattern in (f"[{WORD_START}]([a-z]{{2,}})", "([a-z]{2,})"):
        rows: dict[str, int] = {}
        for entry, row in vocabulary:
            if match := re.fullmatch(pattern, entry):
                rows.setdefault(match[1], row)
        if rows:
            return rows
    return {}
