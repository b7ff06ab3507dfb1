"""Loading and saving tokenizers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from transformers import AutoConfig, AutoTokenizer

from earlyrobust.encoders.fetching import fetch, locate
from earlyrobust.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer that belongs to an encoder or classifier; it pads where the model bears it.

    Raises:
        ModelError: If it cannot be had.
    """
    tokenizer = cast("PreTrainedTokenizerBase", fetch(AutoTokenizer.from_pretrained, name, locate(name)))
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        # transformers makes up an empty tokenizer for a folder that has none.
        raise ModelError(f"There is no tokenizer in '{name}': save the model's own beside it.")
    if tokenizer.padding_side == "left":
        config = fetch(AutoConfig.from_pretrained, name, locate(name))
        tokenizer.padding_side = padding_side(config)
    return tokenizer


def padding_side(config: PreTrainedConfig | None) -> Literal["left", "right"]:
    """The side on which padding leaves a model's answers as they are, whatever its tokenizer's files say.

    Positions are counted from the left, so padding there moves the text, by more in a batch with longer ones.
    Only a model that reads its answer off the last position, as XLNet does, needs its text to end there; its
    positions are relative.
    """
    return "left" if getattr(config, "summary_type", None) == "last" else "right"


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Save a tokenizer without what it remembers of its latest call: the same one gives the same files."""
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(folder)
