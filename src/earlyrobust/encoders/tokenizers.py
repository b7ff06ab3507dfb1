"""Loading and saving tokenizers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from transformers import AutoTokenizer

from earlyrobust.encoders.fetching import fetch, locate
from earlyrobust.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer that belongs to an encoder or classifier.

    Raises:
        ModelError: If it cannot be had.
    """
    tokenizer = cast("PreTrainedTokenizerBase", fetch(AutoTokenizer.from_pretrained, name, locate(name)))
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        # transformers makes up an empty tokenizer for a folder that has none.
        raise ModelError(f"There is no tokenizer in '{name}': save the model's own beside it.")
    return tokenizer


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Save a tokenizer without what it remembers of its latest call: the same one gives the same files."""
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(folder)
