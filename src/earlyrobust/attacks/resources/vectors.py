"""Finds neighbours of words by word vectors, such as the input embeddings of a pretrained encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from earlyrobust.attacks.packing import pack
from earlyrobust.attacks.resources.folding import fold
from earlyrobust.attacks.resources.vocabularies import word_rows
from earlyrobust.errors import ResourceError

# Least number of neighbours that a search finds and keeps; TextFooler asks for this many.
REMEMBERED = 50
# Larger than any rounding error in a cosine of float32 vectors.
_ROUNDING = 1e-4


class WordVectors:
    """A source of neighbours that compares word vectors by their cosine.

    Neither letter case nor the Unicode form matters: of several spellings of a word, the first one and its
    vector count.

    Args:
        words: The vocabulary.
        matrix: The vectors, of any norm, shape (words, values).
        name: Name of the source in results.
        measures_meaning: Whether the cosine of the vectors measures meaning, so that words of other meanings
            have a low cosine.
    """

    has_vectors = True

    def __init__(
        self, words: Sequence[str], matrix: NDArray[np.float32], name: str, *, measures_meaning: bool = True
    ) -> None:
        self.name = name
        self.measures_meaning = measures_meaning
        first: dict[str, int] = {}
        for row, word in enumerate(words):
            first.setdefault(fold(word), row)
        if len(first) < len(words):
            matrix = matrix[list(first.values())]
        self._words = [words[row] for row in first.values()]
        self._rows = {word: row for row, word in enumerate(first)}
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        self._matrix = (matrix / np.where(lengths > 0, lengths, 1)).astype(np.float32)
        self._product = _product(self._matrix)
        self._nearest: dict[str, list[str]] = {}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 hash of the words and their vectors, in hexadecimal."""
        digest = hashlib.sha256("\n".join(self._words).encode("utf-8", "surrogatepass"))
        digest.update(self._matrix.tobytes())
        return digest.hexdigest()

    def nearest(self, word: str, count: int) -> list[str]:
        """Return up to `count` words with the highest cosine, nearest first, without the word itself.

        Equally near words are in the order of the vocabulary. An unknown word has no neighbours.
        """
        word = fold(word)
        if word not in self._rows:
            return []
        count = min(count, len(self._words) - 1)
        found = self._nearest.get(word, [])
        if len(found) < count:
            found = self._nearest[word] = self._search(word, max(count, REMEMBERED))
        return found[:count]

    def cosine(self, a: str, b: str) -> float | None:
        """Return the cosine of two words' vectors; None if one of the words is unknown."""
        row, other = self._rows.get(fold(a)), self._rows.get(fold(b))
        if row is None or other is None:
            return None
        return float(self._matrix[row] @ self._matrix[other])

    def _search(self, word: str, count: int) -> list[str]:
        own = self._rows[word]
        count = min(count, len(self._words) - 1)
        # This product is fast, and correct up to rounding. It finds the words that can be among the nearest.
        with torch.inference_mode():
            roughly = self._product(torch.from_numpy(self._matrix[own : own + 1])).numpy()[0]
        roughly[own] = -np.inf
        least = np.partition(roughly, -count)[-count]
        able = np.flatnonzero(roughly >= least - _ROUNDING)
        # Unlike the fast product, `einsum` adds up each row in the same order. So equal rows have equal
        # cosines on every machine.
        cosines = np.einsum("ij,j->i", self._matrix[able], self._matrix[own])
        best = able[np.argsort(-cosines, kind="stable")][:count]
        return [self._words[row] for row in best]


def _product(matrix: NDArray[np.float32]) -> nn.Module:
    """Return a module that multiplies vectors with each row of a matrix.

    The module uses PyTorch. After a product in NumPy, the threads of NumPy's library wait busily for a tenth
    of a second, and take the cores from the models that are asked next.

    Args:
        matrix: Shape (rows, values).
    """
    rows, values = matrix.shape
    with torch.device("meta"):
        linear = nn.Linear(values, rows, bias=False)
    linear.weight = nn.Parameter(torch.from_numpy(matrix), requires_grad=False)
    product = nn.Sequential(linear)
    return pack(product) or product


def embedding_neighbours(encoder: str = "minilm") -> WordVectors:
    """Return the words of a pretrained encoder's vocabulary, with its input embeddings as vectors.

    The words are in lower case, see `word_rows`.

    Args:
        encoder: An embedded encoder, a local folder, or a name on the Hugging Face hub.

    Raises:
        ModelError: If the encoder cannot be loaded, or its architecture is not supported.
        ResourceError: If its vocabulary holds no whole words.
    """
    from earlyrobust.encoders import load_pretrained, load_tokenizer

    rows = word_rows(load_tokenizer(encoder))
    if not rows:
        raise ResourceError(
            f"The vocabulary of '{encoder}' holds no whole words of two or more letters: choose another "
            "encoder."
        )
    model = load_pretrained(encoder, ("", " "), seed=0)
    embeddings = model.get_input_embeddings().weight.detach().numpy()
    return WordVectors(
        list(rows),
        embeddings[list(rows.values())],
        f"input embeddings of {encoder}",
        measures_meaning=False,
    )
