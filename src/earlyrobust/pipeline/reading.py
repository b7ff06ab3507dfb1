"""Tokenises texts for a model, truncates them to the length that it reads, and counts the truncated texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from earlyrobust.data.tokens import tokenize_and_count
from earlyrobust.encoders import fit_tokenizer, length_to_read, readable_tokens, trained_tokens
from earlyrobust.workspace.observer import Observer

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# The names of splits in messages, where they differ.
_NAMES = {"train": "training"}


@dataclass(frozen=True)
class Reading:
    """The tokens of texts for a model.

    Attributes:
        tokens: The tokens of each split.
        max_length: Maximum number of tokens of a text that the model reads.
        cut: Number of longer texts, which are truncated, by split.
        reads_more: Whether the model could read more tokens than `max_length`.
    """

    tokens: dict[str, Dataset]
    max_length: int
    cut: dict[str, int]
    reads_more: bool


def read_texts(
    texts: Mapping[str, Dataset],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    wanted: int,
    observer: Observer,
    *,
    insists: bool,
) -> Reading:
    """Tokenise texts for a model, and report the number of texts that are too long for it.

    Args:
        texts: Columns `text`, `label` and optionally `pair`, by the name of the split.
        model: The model; its configuration may get a padding token.
        tokenizer: The tokenizer of the model, which is changed to fit the model.
        wanted: Maximum number of tokens of a text that the model should read.
        observer: Receives a message about the truncated texts.
        insists: Whether the user has asked for `wanted`. If so, a number that is too large is an error.
            Otherwise it is lowered to the number that the model reads.

    Raises:
        ConfigError: If the user asks for more tokens than the model reads.
        ModelError: If the tokenizer does not fit the model.
        DataError: If the tokens cannot be written to the cache.
    """
    length = fit_reading(model, tokenizer, wanted, observer, insists=insists)
    reads_more = length != readable_tokens(model, tokenizer)
    tokens, cut = {}, {}
    for name, rows in texts.items():
        tokens[name], cut[name] = tokenize_and_count(rows, tokenizer, length)
    longest = max((max(rows["length"], default=0) for rows in tokens.values()), default=0)
    trained = trained_tokens(model)
    if trained is not None and longest > trained:
        observer.note(
            f"The model reads up to {longest} tokens of a text, but its configuration names at most "
            f"{trained}, so it may be worse on long texts."
        )
    if any(cut.values()):
        observer.note(_lost(cut, tokens, length, tokenizer.truncation_side, reads_more=reads_more))
    return Reading(tokens, length, cut, reads_more)


def fit_reading(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    wanted: int,
    observer: Observer,
    *,
    insists: bool,
) -> int:
    """Fit a tokenizer to its model, and return the maximum number of tokens of a text that are read.

    Args:
        model: The model; its configuration may get a padding token.
        tokenizer: The tokenizer of the model, which is changed to fit the model.
        wanted: Maximum number of tokens of a text that the model should read.
        observer: Receives messages about changes, and about a lower number of tokens.
        insists: Whether the user has asked for `wanted`. If so, a number that is too large is an error.
            Otherwise it is lowered to the number that the model reads.

    Raises:
        ConfigError: If the user asks for more tokens than the model reads.
        ModelError: If the tokenizer does not fit the model.
    """
    for note in fit_tokenizer(tokenizer, model.config):
        observer.note(note)
    length = length_to_read(wanted, readable_tokens(model, tokenizer), insists=insists)
    if length < wanted:
        observer.note(f"The model reads at most {length} tokens of a text, fewer than the usual {wanted}.")
    return length


def _lost(
    cut: Mapping[str, int], tokens: Mapping[str, Dataset], length: int, side: str, *, reads_more: bool
) -> str:
    """Return a sentence about truncated texts."""
    counts = [
        f"{count:,} of {len(tokens[name]):,} {_NAMES.get(name, name)} texts"
        for name, count in cut.items()
        if count
    ]
    end = "beginning" if side == "left" else "end"
    way_out = "raise --max-length to read more of them" if reads_more else "the model reads no more"
    return f"{' and '.join(counts)} are longer than {length} tokens and lose their {end}: {way_out}."
