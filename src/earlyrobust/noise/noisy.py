"""Texts with noise, one text or a batch of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from earlyrobust.noise.gains import Occurrences

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


@dataclass(frozen=True)
class Noisy:
    """A text with noise.

    Attributes:
        columns: The text, or the two texts of a pair.
        words: For each word of the last column that is in the lexicon: its first character, its length, and
            its index in the lexicon.
        may_change: Whether the text was chosen for noise. The noise need not change it.
    """

    columns: tuple[str, ...]
    words: list[tuple[int, int, int]]
    may_change: bool = True


@dataclass(frozen=True)
class NoisyBatch:
    """A batch of texts with noise.

    Attributes:
        tokens: The padded fields that the tokenizer returns, as tensors of shape (B, T).
        found: The words of the lexicon that the model reads.
        noisy: For each text, whether it was chosen for noise, shape (B,). At the level 0 such a text has no
            noise, but it counts as a text with noise. So the level can rise again after it has fallen to 0.
    """

    tokens: dict[str, Tensor]
    found: Occurrences
    noisy: NDArray[np.bool_]
