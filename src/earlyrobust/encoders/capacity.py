"""Finds the number of tokens that a model can read.

A learned or sinusoidal table of positions has one row for each token that the model can read. The model
cannot read the rest of a longer text. Models with relative or rotary positions, such as T5, XLNet, most
DeBERTas and ModernBERT, have no such table and read texts of any length. But a model with rotary positions
was trained for a certain length. It reads longer texts too, possibly with lower accuracy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from earlyrobust.encoders.fetching import fetch, locate
from earlyrobust.errors import ConfigError, ModelError
from earlyrobust.onnx_classifier import OnnxClassifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentence_transformers import SentenceTransformer
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

# Names of position tables in models. A table has one row for each position; it is a weight or a buffer.
_TABLES = {
    *("position_embeddings", "char_position_embeddings", "embed_positions", "positions_embed", "wpe"),
    "pos_encoding",
}
# If transformers does not know a tokenizer's limit, it sets a number that is far larger than this one.
_UNKNOWN = 10**12
# A shorter input has no room for a text besides the special tokens.
LEAST_LENGTH = 8


def readable_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Return the number of tokens of the longest text that a model reads whole, special tokens included.

    Args:
        model: Any transformers model, with or without a head, cut or not, with weights or without; or a
            classifier that was exported to ONNX.
        tokenizer: The model's tokenizer, which may have a limit of its own.

    Returns:
        The smaller limit of the two; None if neither has a limit.
    """
    known = [limit for limit in (_positions(model), _named_by(tokenizer)) if limit is not None]
    return min(known, default=None)


def trained_tokens(model: PreTrainedModel) -> int | None:
    """Return the text length, in tokens, for which a model with rotary positions was trained.

    Returns:
        The length in the model's configuration; None if it names no length or the positions are not rotary.
    """
    if any("rotary" in type(module).__name__.lower() for module in model.modules()):
        return _named_in(model.config)
    return None


def readable_by_encoder(encoder: SentenceTransformer) -> int | None:
    """Return the number of tokens of the longest text that a sentence encoder reads whole.

    Returns:
        The smallest of the encoder's own limit and the limits of its transformer and its tokenizer; None if
        there is no limit.
    """
    transformer = getattr(encoder[0], "auto_model", None)
    own = encoder.max_seq_length
    limits = [own, None if transformer is None else readable_tokens(transformer, encoder.tokenizer)]
    return min((int(limit) for limit in limits if limit is not None and limit < _UNKNOWN), default=None)


def length_to_read(wanted: int, most: int | None, *, insists: bool, option: str = "--max-length") -> int:
    """Return the number of tokens of a text that a model should read.

    Args:
        wanted: Wanted number of tokens.
        most: Maximum number of tokens that the model can read; None for no limit.
        insists: Whether the user asked for `wanted`. If so, a number that is too large is an error.
            Otherwise it is lowered to `most`.
        option: The option with which the user sets the number, for the error.

    Returns:
        `wanted`, or `most` if that is smaller.

    Raises:
        ConfigError: If the user asks for more tokens than the model can read.
        ModelError: If the model can read too few tokens for any text.
    """
    if most is not None and most < LEAST_LENGTH:
        raise ModelError(
            f"The model reads at most {most} tokens, too few for a text: correct "
            "max_position_embeddings in its config.json, or model_max_length of its tokenizer."
        )
    if most is None or wanted <= most:
        return wanted
    if insists:
        raise ConfigError(
            f"Texts of {wanted} tokens are too long for the model, which reads at most {most}: choose a "
            f"smaller number for {option}."
        )
    return most


def load_skeleton(name: str) -> PreTrainedModel:
    """Build a classifier from its configuration alone, without memory for its weights.

    Args:
        name: An embedded encoder, a local folder, or a name on the Hugging Face hub.

    Returns:
        The classifier, with weights on PyTorch's meta device.

    Raises:
        ModelError: If the configuration cannot be loaded or used.
    """
    return cast("PreTrainedModel", fetch(_skeleton_in, name, locate(name)))


def _skeleton_in(place: str, *, trust_remote_code: bool) -> PreTrainedModel:
    return _skeleton(AutoConfig.from_pretrained(place, trust_remote_code=trust_remote_code))


def _skeleton(config: PreTrainedConfig) -> PreTrainedModel:
    # Initialising weights advances the random number generator even if they have no memory.
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return cast("PreTrainedModel", AutoModelForSequenceClassification.from_config(config))


def _positions(model: PreTrainedModel) -> int | None:
    """Return the number of positions that a model has; None if there is no limit."""
    if isinstance(model, OnnxClassifier):
        try:
            return _positions(_skeleton(model.config))
        except Exception:  # an architecture that cannot be built in this way may raise any error
            return _named_in(model.config)
    return min(_tables(model), default=None)


def _tables(model: nn.Module) -> Iterator[int]:
    """Yield the number of tokens for which each table of positions has a row."""
    for path, module in model.named_modules():
        place, _, name = path.rpartition(".")
        weight = getattr(module, "weight", None)
        if name not in _TABLES or not isinstance(weight, torch.Tensor):
            continue
        padding = getattr(module, "padding_idx", None)
        # RoBERTa and MPNet number their positions from padding index + 1. BART adds an offset to them.
        yield len(weight) - (getattr(module, "offset", 0) if padding is None else padding + 1)
        numbers = getattr(model.get_submodule(place), "position_ids", None)
        if isinstance(numbers, torch.Tensor):  # some models have fewer positions than their table has rows
            yield numbers.shape[-1]
    for path, buffer in model.named_buffers():
        if path.rpartition(".")[2] in _TABLES:
            yield len(buffer)


def _named_in(config: PreTrainedConfig) -> int | None:
    number = getattr(config.get_text_config(), "max_position_embeddings", None)
    return number if isinstance(number, int) and number > 0 else None


def _named_by(tokenizer: PreTrainedTokenizerBase) -> int | None:
    limit = tokenizer.model_max_length
    return int(limit) if isinstance(limit, int | float) and 0 < limit < _UNKNOWN else None
