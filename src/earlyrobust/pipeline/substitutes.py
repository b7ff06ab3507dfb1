"""Neighbours of words as neighbours of tokens, for adversaries that swap words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeGuard

import torch

from earlyrobust.adversarial import Adversary, WordSwap
from earlyrobust.attacks.resources.neighbours import Neighbours, load_neighbours
from earlyrobust.errors import ResourceError
from earlyrobust.pipeline.observer import Observer

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase


# Neighbours of a word that are looked through for such as are tokens.
_SEARCHED = 50


def equip(
    adversaries: Sequence[Adversary | None],
    source: str | None,
    tokenizer: PreTrainedTokenizerBase,
    observer: Observer,
) -> list[Adversary | None]:
    """Give the adversaries that swap words their neighbours; leave all others as they are.

    Args:
        adversaries: The adversaries of a run, None where there is none.
        source: Of the neighbours, as for attacks; not looked for unless an adversary needs it.
        tokenizer: Says which words are tokens.
        observer: Is told where the neighbours are from.

    Returns:
        The adversaries in the same order.

    Raises:
        ResourceError: If there is no such source, or none of the tokens has a neighbour in it.
    """
    if not any(map(_lacks_neighbours, adversaries)):
        return list(adversaries)
    neighbours = load_neighbours(source)
    observer.note(f"Training swaps words for their neighbours in {neighbours.name}.")
    return [
        adversary.with_substitutes(token_neighbours(tokenizer, neighbours, adversary.config.candidates))
        if _lacks_neighbours(adversary)
        else adversary
        for adversary in adversaries
    ]


def _lacks_neighbours(adversary: Adversary | None) -> TypeGuard[WordSwap]:
    return isinstance(adversary, WordSwap) and adversary.lacks_substitutes


def token_neighbours(tokenizer: PreTrainedTokenizerBase, neighbours: Neighbours, count: int) -> Tensor:
    """Neighbours of each token that is a word, as far as they are single tokens, too.

    Args:
        tokenizer: The tokenizer.
        neighbours: Neighbours of words.
        count: How many of each word.

    Returns:
        Token indices, shape (tokens, count); a token itself in place of those that it lacks.

    Raises:
        ResourceError: If no token has a neighbour.
    """
    words = _words(tokenizer)
    table = torch.arange(max(tokenizer.get_vocab().values()) + 1).unsqueeze(1).repeat(1, count)
    index_of = {word: index for index, word in words.items()}
    found = 0
    for index, word in words.items():
        near = [index_of[other] for other in neighbours.nearest(word, _SEARCHED) if other in index_of]
        near = near[:count]
        table[index, : len(near)] = torch.tensor(near, dtype=torch.int64)
        found += bool(near)
    if not found:
        raise ResourceError(
            f"No word of the tokenizer has a neighbour in '{neighbours.name}': choose other --neighbours."
        )
    return table


def _words(tokenizer: PreTrainedTokenizerBase) -> dict[int, str]:
    """The tokens that are whole lower-case words, as they stand after a space."""
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
