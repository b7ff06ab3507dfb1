"""Word swaps: a training step exchanges words for the neighbours that raise the loss most (our method)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, cast

import torch
from torch import Tensor, nn

from earlyrobust.adversarial.base import Adversary, AdversaryConfig, Lexical, Passes, WordNeighbours
from earlyrobust.adversarial.perturbation import Perturbation
from earlyrobust.errors import ConfigError, ResourceError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Number of a word's neighbours among which single tokens are searched.
_SEARCHED = 50


@dataclass(frozen=True, kw_only=True)
class WordSwapConfig(AdversaryConfig):
    """Settings of word swaps.

    Attributes:
        rate: Share of an example's tokens that are swapped, at least one token; 0 swaps none. Default: 0.15
            (our choice).
        candidates: K, the number of neighbours of a word that can replace it. Default: 8 (our choice).
    """

    rate: float = 0.15
    candidates: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(0, "rate")
        self._require(self.rate <= 1, f"rate is {self.rate}, but no more than all tokens can be swapped")
        self._require(
            self.candidates >= 1, f"candidates is {self.candidates}, but at least one neighbour is needed"
        )


class WordSwap(Adversary):
    """Trains on each text as it is, and on the text with the word swaps that raise its loss most.

    To first order, with the word embeddings E, the tokens x_t of an example, and g_t = ∇ L at E[x_t] of the
    clean text:
        n_t = argmax over the K neighbours n of x_t of g_t · (E[n] − E[x_t]);
        δ_t = E[n_t] − E[x_t] at the `rate` · tokens places where that gain is largest and positive, else 0;
        minimise (L(x) + L(x + δ)) / 2.

    The other adversaries move an embedding anywhere within a small ball. This adversary moves an embedding
    only to the embedding of a neighbour, however far that is. Attacks that substitute words make the same
    moves. The first-order gain is that of HotFlip (Ebrahimi et al., ACL 2018). The pass that finds the swaps
    also trains the model, as FreeLB's passes do. Without the clean half of the loss, the model forgets how
    texts look before an attack. With a rate of 0 it is plain training.

    Args:
        config: The settings.
        substitutes: Neighbours of each token, nearest first: token ids of shape (tokens, at least K). The id
            of the token itself fills the places of missing neighbours. None lets `prepare` find them.
        **settings: The settings by name instead of `config`.
    """

    Config = WordSwapConfig
    config: WordSwapConfig

    def __init__(
        self, config: AdversaryConfig | None = None, *, substitutes: Tensor | None = None, **settings: Any
    ) -> None:
        super().__init__(config, **settings)
        self.substitutes = substitutes

    @property
    def exchanges_words(self) -> bool:
        """Return whether the adversary swaps any words."""
        return self.config.rate > 0

    def prepare(self, tokenizer: PreTrainedTokenizerBase, resources: Lexical) -> Self:
        """Return this adversary with neighbours of each token, unless it has some or swaps nothing."""
        if self.substitutes is not None or not self.exchanges_words:
            return self
        table = token_neighbours(tokenizer, resources.neighbours, self.config.candidates)
        return type(self)(self.config, substitutes=table)

    def cost(self, layers: int) -> float:
        """Return the cost of a pass over the text, and of one over the text with swaps."""
        return 2 if self.config.rate > 0 else 1

    def parts(self, model: PreTrainedModel) -> nn.Module | None:
        """Return a module that holds the substitutes, so that they move with the model; None if `rate` is 0.

        Raises:
            ConfigError: If there are no substitutes, or their shape does not fit the model's vocabulary and
                K.
        """
        if self.config.rate == 0:
            return None
        if self.substitutes is None:
            raise ConfigError("WordSwap needs neighbours of words: give it substitutes.")
        size, count = model.get_input_embeddings().num_embeddings, self.config.candidates
        rows, columns = self.substitutes.shape
        if rows > size or columns < count:
            raise ConfigError(
                f"WordSwap looks at {count} neighbours of each of the model's {size} tokens, but its "
                f"substitutes have shape ({rows}, {columns}): give at most {size} rows and at least {count} "
                "columns."
            )
        table = torch.arange(size).unsqueeze(1).repeat(1, count)
        table[:rows] = self.substitutes[:, :count]
        part = nn.Module()
        part.register_buffer("substitutes", table)
        return part

    def _step(self, perturbation: Perturbation, passes: Passes) -> Tensor:
        if self.config.rate == 0:
            return passes.accumulate()
        delta = perturbation.uniform(0).requires_grad_()
        with perturbation.applied(delta):
            clean = passes.accumulate(0.5)
        with perturbation.applied(self._swaps(perturbation, passes, cast("Tensor", delta.grad))):
            swapped = passes.accumulate(0.5)
        return (clean + swapped) / 2

    def _swaps(self, perturbation: Perturbation, passes: Passes, gradient: Tensor) -> Tensor:
        """Return δ, shape (B, T, D)."""
        table = cast("Tensor", cast("nn.Module", passes.parts).substitutes)
        moves = perturbation.between(passes.tokens, table[passes.tokens])
        gains, best = torch.einsum("btd,btkd->btk", gradient.to(moves.dtype), moves).max(dim=-1)
        gains = gains * perturbation.mask[..., 0]
        allowed = (perturbation.lengths * self.config.rate).round().clamp(min=1)
        ranks = gains.argsort(dim=1, descending=True).argsort(dim=1)
        taken = (ranks < allowed[:, None]) & (gains > 0)
        chosen = moves.gather(2, best[..., None, None].expand(-1, -1, 1, moves.shape[-1]))[:, :, 0]
        return chosen * taken[..., None]


def token_neighbours(tokenizer: PreTrainedTokenizerBase, neighbours: WordNeighbours, count: int) -> Tensor:
    """Return the neighbours of each token that is a word, if they are single tokens, too.

    Args:
        tokenizer: The tokenizer.
        neighbours: The source of neighbours.
        count: Number of neighbours of each word.

    Returns:
        Token ids, shape (tokens, count). The id of the token itself fills the places of missing neighbours.

    Raises:
        ResourceError: If no token has a neighbour.
    """
    words = _words(tokenizer)
    table = torch.arange(max(tokenizer.get_vocab().values()) + 1).unsqueeze(1).repeat(1, count)
    index_of = {word: index for index, word in words.items()}
    found = 0
    for index, word in words.items():
        others = map(str.lower, neighbours.nearest(word, _SEARCHED))
        near = [index_of[other] for other in others if other in index_of][:count]
        table[index, : len(near)] = torch.tensor(near, dtype=torch.int64)
        found += bool(near)
    if not found:
        raise ResourceError(
            f"No word of the tokenizer has a neighbour in '{neighbours.name}': choose other --neighbours."
        )
    return table


def _words(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """Return the tokens that are whole lower-case words, in the form that follows a space."""
    special = set(tokenizer.all_special_ids)
    texts = {
        index: str(tokenizer.decode([index])).strip()
        for index in tokenizer.get_vocab().values()
        if index not in special
    }
    words = {index: text for index, text in texts.items() if text.isalpha() and text == text.lower()}
    encoded = tokenizer([f"a {word}" for word in words.values()], add_special_tokens=False)["input_ids"]
    return {
        index: word
        for (index, word), tokens in zip(words.items(), encoded, strict=True)
        if len(tokens) == 2 and tokens[1] == index
    }
