"""Loads and saves tokenizers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from transformers import AutoConfig, AutoTokenizer

from earlyrobust.encoders.fetching import fetch, locate
from earlyrobust.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer of an encoder or classifier, with padding on the side that suits the model.

    Args:
        name: An embedded encoder, a local folder, or a name on the Hugging Face hub.

    Raises:
        ModelError: If the tokenizer is missing or cannot be loaded.
    """
    tokenizer = cast("PreTrainedTokenizerBase", fetch(AutoTokenizer.from_pretrained, name, locate(name)))
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        # For a folder without a tokenizer, transformers returns an empty one.
        raise ModelError(f"There is no tokenizer in '{name}': save the model's own beside it.")
    if tokenizer.padding_side == "left":
        config = fetch(AutoConfig.from_pretrained, name, locate(name))
        tokenizer.padding_side = padding_side(config)
    return tokenizer


def padding_side(config: PreTrainedConfig | None) -> Literal["left", "right"]:
    """Return the side on which padding does not change a model's answers.

    Models count positions from the left. So padding on the left moves a text, and it moves it further in a
    batch with longer texts. Only a model that reads its answer off the last position, such as XLNet, needs
    the text to end there. The positions of XLNet are relative. The side in the tokenizer's files does not
    matter.

    Args:
        config: The model's configuration; None for the right side.
    """
    return "left" if getattr(config, "summary_type", None) == "last" else "right"


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Save a tokenizer without the padding and truncation of its latest call.

    So the same tokenizer always gives the same files.
    """
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(folder)
