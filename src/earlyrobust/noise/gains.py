"""The gain of exchanging a word: the rise of the loss, to first order in the word embeddings.

Let g be the gradient of the loss at the embeddings of a word w. The exchange of w for n changes the loss by g
· (E[n] − E[w]) to first order (HotFlip; Ebrahimi et al., ACL 2018). Training computes g anyway.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from earlyrobust.noise.lexicon import Lexicon


@dataclass(frozen=True)
class Occurrences:
    """The words of a batch that are in the lexicon. All arrays have one entry for each occurrence of a word.

    Attributes:
        rows: Index of the example in the batch.
        begins: Index of the first token of the word.
        ends: Index of the token after the word.
        words: Index of the word in the lexicon.
        labels: The class of the example.
    """

    rows: NDArray[np.int64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    words: NDArray[np.int64]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, entries: Sequence[tuple[int, int, int, int, int]]) -> Occurrences:
        """Make occurrences from tuples (row, begin, end, word, label)."""
        return cls(*np.array(entries, np.int64).reshape(-1, 5).T)


class Pieces:
    """The tokens of each neighbour of each word of a lexicon, in the form that they have inside a text.

    Args:
        lexicon: The lexicon.
        tokenizer: The tokenizer of the model.
    """

    def __init__(self, lexicon: Lexicon, tokenizer: PreTrainedTokenizerBase) -> None:
        names = sorted({near for found in lexicon.neighbours for near in found})
        place = {name: index for index, name in enumerate(names)}
        # The word follows a space, because many tokenizers mark the beginning of a word by the space before
        # it.
        encoded = tokenizer([f"a {name}" for name in names], add_special_tokens=False)["input_ids"]
        before = len(tokenizer("a", add_special_tokens=False)["input_ids"])
        self._tokens = [ids[before:] for ids in encoded]
        self._lengths = np.array([len(ids) for ids in self._tokens])
        self._neighbours = np.full((len(lexicon.words), lexicon.count), -1, np.int64)
        for word, found in enumerate(lexicon.neighbours):
            self._neighbours[word, : len(found)] = [place[near] for near in found]
        self._neighbours[self._lengths[self._neighbours] == 0] = -1

    def embed(self, words: NDArray[np.int64], weight: Tensor) -> tuple[Tensor, NDArray[np.bool_]]:
        """Return the embeddings of the neighbours of words. A neighbour of several tokens gets their mean.

        Args:
            words: Indices of the lexicon, shape (W,).
            weight: The word embeddings, shape (tokens, D).

        Returns:
            The embeddings, shape (W, K, D), and whether the word has such a neighbour, shape (W, K).
        """
        near = self._neighbours[words]
        there = near >= 0
        used, place = np.unique(near[there], return_inverse=True)
        ids = [token for name in used.tolist() for token in self._tokens[name]]
        starts = np.concatenate([[0], np.cumsum(self._lengths[used])[:-1]]) if len(used) else np.zeros(0)
        means = torch.nn.functional.embedding_bag(
            torch.tensor(ids, dtype=torch.int64, device=weight.device),
            weight,
            torch.tensor(starts, dtype=torch.int64, device=weight.device),
            mode="mean",
        )
        embedded = weight.new_zeros((*near.shape, weight.shape[1]))
        mask = torch.from_numpy(there).to(weight.device)
        embedded[mask] = means[torch.from_numpy(place).to(weight.device)]
        return embedded, there


@torch.no_grad()
def first_order_gains(
    gradient: Tensor, tokens: Tensor, weight: Tensor, found: Occurrences, pieces: Pieces
) -> NDArray[np.float64]:
    """Compute the gain of each neighbour of each occurrence of a word.

    The gain of a neighbour n in place of a word with tokens x_t is Σ_t g_t · (E[n] − E[x_t]). For a neighbour
    of several tokens, E[n] is the mean of their embeddings.

    Args:
        gradient: The gradient at the output of the word embeddings, shape (B, T, D). Positions after the T-th
            are ignored: models such as Longformer pad a batch to a multiple of their window.
        tokens: Token ids, shape (B, T).
        weight: The word embeddings, shape (tokens, D).
        found: The occurrences, M of them.
        pieces: The tokens of the neighbours.

    Returns:
        The gains, shape (M, K); −∞ in the places of missing neighbours. All other gains of an occurrence are
        NaN if one of them is not finite, as after an overflow of the gradient in float16.
    """
    kind = torch.promote_types(gradient.dtype, torch.float32)
    gradient, weight = gradient[:, : tokens.shape[1]].to(kind), weight.to(kind)
    rows, begins, ends = (
        torch.from_numpy(part).to(gradient.device) for part in (found.rows, found.begins, found.ends)
    )
    inside = torch.nn.functional.pad(gradient.cumsum(1), (0, 0, 1, 0))
    own = torch.nn.functional.pad((gradient * weight[tokens]).sum(-1).cumsum(1), (1, 0))
    total = inside[rows, ends] - inside[rows, begins]
    words, place = np.unique(found.words, return_inverse=True)
    embedded, there = pieces.embed(words, weight)
    inverse = torch.from_numpy(place).to(gradient.device)
    gains = torch.einsum("md,mkd->mk", total, embedded[inverse])
    gains -= (own[rows, ends] - own[rows, begins])[:, None]
    values: NDArray[np.float64] = gains.double().cpu().numpy()
    # An overflow must not look like a missing neighbour.
    values[~np.isfinite(values).all(1)] = np.nan
    values[~there[place]] = -np.inf
    return values


def best_of_each_text(gains: NDArray[np.float64], found: Occurrences, texts: int) -> list[dict[int, int]]:
    """Find the neighbour with the greatest gain for each word of each text, if this gain is positive.

    If a text holds a word several times, the gain of the word is the sum over its occurrences there.

    Args:
        gains: The gains of the occurrences, shape (M, K).
        found: The occurrences.
        texts: Number of texts in the batch.

    Returns:
        For each text, a map from the index of a word to the place of its best neighbour.
    """
    best: list[dict[int, int]] = [{} for _ in range(texts)]
    pairs, place = np.unique(np.column_stack([found.rows, found.words]), axis=0, return_inverse=True)
    sums = np.zeros((len(pairs), gains.shape[1]))
    np.add.at(sums, place.reshape(-1), gains)
    for (row, word), gain in zip(pairs.tolist(), sums, strict=True):
        if gain.max() > 0:
            best[row][word] = int(gain.argmax())
    return best


class GainTable:
    """The running mean of the gains of each class, word and neighbour.

    A batch updates the mean of a word and a class if it holds the word in a text of the class. The mean then
    keeps the share `memory` of its value. The first such batch sets the value. Occurrences with a gain of NaN
    or +∞ do not count, because such a value would stay in the mean for ever.

    Args:
        classes: Number of classes.
        words: Number of words.
        count: K, the largest number of neighbours of a word.
        memory: Share of the mean that remains in an update, from 0 to 1.

    Attributes:
        means: The mean gains, shape (classes, words, K).
        seen: Whether a batch has set the mean, shape (classes, words).
    """

    def __init__(self, classes: int, words: int, count: int, memory: float = 0.9) -> None:
        self.means = np.zeros((classes, words, count))
        self.seen = np.zeros((classes, words), np.bool_)
        self._memory = memory

    def best(self, label: int, word: int) -> int | None:
        """Return the place of the neighbour with the greatest mean gain; None if no gain is positive."""
        if not self.seen[label, word]:
            return None
        place = int(self.means[label, word].argmax())
        return place if self.means[label, word, place] > 0 else None

    def add(self, labels: NDArray[np.int64], words: NDArray[np.int64], gains: NDArray[np.float64]) -> None:
        """Update the means with the gains of one batch.

        Args:
            labels: The class of each occurrence, shape (M,).
            words: The word of each occurrence, shape (M,).
            gains: The gains, shape (M, K); −∞ in the places of missing neighbours.
        """
        sound = (gains < np.inf).all(1)  # false for NaN, too
        labels, words, gains = labels[sound], words[sound], gains[sound]
        if not len(words):
            return
        keys, place = np.unique(labels * self.seen.shape[1] + words, return_inverse=True)
        sums = np.zeros((len(keys), gains.shape[1]))
        np.add.at(sums, place, gains)
        now = sums / np.bincount(place)[:, None]
        label, word = np.divmod(keys, self.seen.shape[1])
        before, known = self.means[label, word], self.seen[label, word][:, None]
        missing = np.isneginf(now)
        finite = [np.where(missing, 0.0, part) for part in (before, now)]  # 0 · −∞ is no number
        mean = np.where(known, self._memory * finite[0] + (1 - self._memory) * finite[1], now)
        self.means[label, word] = np.where(missing, -np.inf, mean)
        self.seen[label, word] = True
