"""Bringing a tokenizer and a model together that disagree about padding or token types."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earlyrobust.errors import ModelError
from earlyrobust.families import CUT_PREFIX, FAMILIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedConfig, PreTrainedTokenizerBase


def fit_tokenizer(tokenizer: PreTrainedTokenizerBase, config: PreTrainedConfig) -> list[str]:
    """Let a tokenizer pad and mark texts as its model expects it, both changed in place where they must be.

    A padding token that one of the two lacks is the other's; where both lack it, the end-of-text token pads,
    as is usual for GPT-2. The padding goes to the left of a model that reads a text at its last place. A
    model that knows a single token type is given none.

    Args:
        tokenizer: The tokenizer.
        config: The model's configuration.

    Returns:
        A sentence for each change that decides what the model reads.

    Raises:
        ModelError: If there is no token to pad with.
    """
    notes = [*_fit_padding(tokenizer, config)]
    if getattr(config, "summary_type", None) == "last" and tokenizer.padding_side != "left":
        # XLNet reads a text at its last place, whatever stands there.
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
    # A padding token that was added to the tokenizer, and not to the model, is none for the model.
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
        # Other models than encoders may look for the end of a text by the padding token that they know.
        yield f"Texts are padded with '{token}', as the model is, and not with '{tokenizer.pad_token}'."
        tokenizer.pad_token = token
    if token is None:
        config.pad_token_id = tokenizer.pad_token_id
