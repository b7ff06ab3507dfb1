"""Adapts a tokenizer to its model if the two disagree about padding or token types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earlyrobust.errors import ModelError
from earlyrobust.families import CUT_PREFIX, FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedConfig, PreTrainedTokenizerBase


def fit_tokenizer(tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig) -> list[str]:
    """Make a tokenizer pad texts and mark token types as its model expects.

    The function changes the tokenizer and the configuration in place, where needed:

    * If one of the two lacks a padding token, it gets the padding token of the other. If both lack one, the
      end-of-text token is the padding token, as is usual for GPT-2.
    * If both have one and they differ, the tokenizer takes the model's, except for families in `FAMILIES`.
    * If the model reads its answer off the last token of a text, texts are padded on the left.
    * If the model has only one token type, the tokenizer returns no token types.

    Args:
        tokenizer: The tokenizer.
        config: The model's configuration.

    Returns:
        A sentence for each change of the padding that affects the tokens that the model reads.

    Raises:
        ModelError: If there is no token to pad with.
    """
    notes = [*_fit_padding(tokenizer, config)]
    if getattr(config, "summary_type", None) == "last" and tokenizer.padding_side != "left":
        # XLNet reads its answer off the last token, even if that token is padding.
        tokenizer.padding_side = "left"
        notes.append("The model reads a text at its last token: texts are padded on the left.")
    if getattr(config, "type_vocab_size", None) == 1 and "token_type_ids" in tokenizer.model_input_names:
        names = [name for name in tokenizer.model_input_names if name != "token_type_ids"]
        tokenizer.model_input_names = names
    return notes


def _fit_padding(tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig) -> Iterator[str]:
    named = getattr(config, "pad_token_id", None)
    token = None if named is None or named < 0 else tokenizer.convert_ids_to_tokens(named)
    embeddings = getattr(config.get_text_config(), "vocab_size", len(tokenizer))
    # The model has no embedding for a padding token that was added only to the tokenizer.
    if tokenizer.pad_token is None or tokenizer.pad_token_id >= embeddings:
        tokenizer.pad_token = tokenizer.eos_token if token is None else token
        if tokenizer.pad_token is None:
            raise ModelError(
                f"The tokenizer in '{tokenizer.name_or_path}' has no token to pad with or to end texts with: "
                "set its pad_token, and save it beside the model."
            )
        yield (
            "The tokenizer has no padding token that the model knows: texts are padded with "
            f"'{tokenizer.pad_token}'."
        )
    elif (
        token is not None
        and named != tokenizer.pad_token_id
        and config.model_type.removeprefix(CUT_PREFIX) not in FAMILIES
    ):
        # Models other than encoders may use the padding token of their configuration to find the end of a
        # text.
        yield f"Texts are padded with '{token}', as the model is, and not with '{tokenizer.pad_token}'."
        tokenizer.pad_token = token
    if token is None:
        config.pad_token_id = tokenizer.pad_token_id
