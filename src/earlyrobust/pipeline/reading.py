"""What a model reads of texts: how many tokens of each, and how many texts are longer."""

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

# What messages call the texts of a split.
_NAMES = {"train": "training"}


@dataclass(frozen=True)
class Reading:
    """Texts as a model reads them.

    Attributes:
        tokens: The tokens of each split.
        max_length: Most tokens of a text that are read.
        cut: Number of texts that are longer, by split.
    """

    tokens: dict[str, Dataset]
    max_length: int
    cut: dict[str, int]


def read_texts(
    texts: Mapping[str, Dataset],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    wanted: int,
    observer: Observer,
    *,
    insists: bool,
) -> Reading:
    """Tokenise texts for a model, and say how many of them are too long for it.

    Args:
        texts: Columns `text`, `label` and optionally `pair`, by the name of the split.
        model: What is to read them; its configuration may be given a padding token.
        tokenizer: Its tokenizer, which is made to fit it.
        wanted: Most tokens of a text that are to be read, if the model reads so many.
        observer: Is told what is lost.
        insists: Whether the user has asked for `wanted`, which is then refused rather than lowered.

    Raises:
        ConfigError: If the user asks for more than the model reads.
        ModelError: If the tokenizer does not fit the model.
        DataError: If the tokens cannot be kept.
    """
    length = fit_reading(model, tokenizer, wanted, observer, insists=insists)
    most = readable_tokens(model, tokenizer)
    tokens, cut = {}, {}
    for name, rows in texts.items():
        tokens[name], cut[name] = tokenize_and_count(rows, tokenizer, length)
    longest = max((max(rows["length"], default=0) for rows in tokens.values()), default=0)
    trained = trained_tokens(model)
    if trained is not None and longest > trained:
        observer.note(
            f"There are texts of {longest} tokens, and the model's configuration names at most {trained}: it "
            "reads them, and may do worse on them."
        )
    if any(cut.values()):
        observer.note(_lost(cut, tokens, length, tokenizer.truncation_side, is_most=length == most))
    return Reading(tokens, length, cut)


def fit_reading(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    wanted: int,
    observer: Observer,
    *,
    insists: bool,
) -> int:
    """Fit a tokenizer to its model, and return the most tokens of a text that are read.

    Args:
        model: What is to read texts; its configuration may be given a padding token.
        tokenizer: Its tokenizer, which is made to fit it.
        wanted: Most tokens of a text that are to be read, if the model reads so many.
        observer: Is told what is changed, and of a lower number.
        insists: Whether the user has asked for `wanted`, which is then refused rather than lowered.

    Raises:
        ConfigError: If the user asks for more than the model reads.
        ModelError: If the tokenizer does not fit the model.
    """
    for note in fit_tokenizer(tokenizer, model.config):
        observer.note(note)
    length = length_to_read(wanted, readable_tokens(model, tokenizer), insists=insists)
    if length < wanted:
        observer.note(f"The model reads at most {length} tokens of a text, fewer than the usual {wanted}.")
    return length


def _lost(
    cut: Mapping[str, int], tokens: Mapping[str, Dataset], length: int, side: str, *, is_most: bool
) -> str:
    """A sentence about texts that are longer than what is read of them."""
    counts = [
        f"{count:,} of {len(tokens[name]):,} {_NAMES.get(name, name)} texts"
        for name, count in cut.items()
        if count
    ]
    end = "beginning" if side == "left" else "end"
    way_out = "the model reads no more" if is_most else "raise --max-length to read more of them"
    return f"{' and '.join(counts)} are longer than {length} tokens and lose their {end}: {way_out}."
