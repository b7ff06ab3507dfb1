"""How many tokens a model reads.

A learned or sinusoidal table of positions has a row for each token that can be read, and none for the end of
a longer text. Models with relative or rotary positions, such as T5, XLNet, most DeBERTas and ModernBERT, have
no such table and read texts of any length. A model with rotary positions was trained for a length all the
same: it may do worse on longer texts, but it reads them.
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

# What models call their tables of positions: one row for each, as weights or as a buffer.
_TABLES = {
    *("position_embeddings", "char_position_embeddings", "embed_positions", "positions_embed", "wpe"),
    "pos_encoding",
}
# transformers gives a tokenizer whose limit it does not know a limit beyond any model.
_UNKNOWN = 10**12
# A shorter input has no room for a text beside its special tokens.
LEAST_LENGTH = 8


def readable_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Count the tokens of the longest text that a model reads whole, special tokens included.

    Args:
        model: Any transformers model, with or without a head, cut or not, with weights or without; or one
            that was exported to ONNX.
        tokenizer: Its tokenizer, which may name a limit of its own.

    Returns:
        The smaller one of the two limits; None where nothing limits the model.
    """
    known = [limit for limit in (_positions(model), _named_by(tokenizer)) if limit is not None]
    return min(known, default=None)


def trained_tokens(model: PreTrainedModel) -> int | None:
    """The longest text, in tokens, that a model with rotary positions was trained for; None for others."""
    if any("rotary" in type(module).__name__.lower() for module in model.modules()):
        return _named_in(model.config)
    return None


def readable_by_encoder(encoder: SentenceTransformer) -> int | None:
    """Count the tokens of the longest text that a sentence encoder reads whole.

    Returns:
        The smallest one of its own limit and those of its transformer; None where nothing limits it.
    """
    transformer = getattr(encoder[0], "auto_model", None)
    own = encoder.max_seq_length
    limits = [own, None if transformer is None else readable_tokens(transformer, encoder.tokenizer)]
    return min((int(limit) for limit in limits if limit is not None and limit < _UNKNOWN), default=None)


def length_to_read(wanted: int, most: int | None, *, insists: bool, option: str = "--max-length") -> int:
    """Settle how many tokens of a text are read.

    Args:
        wanted: How many are to be read, if the model reads so many.
        most: How many it reads at most; None where nothing limits it.
        insists: Whether the user has asked for `wanted`, which is then refused rather than lowered.
        option: What the user asks by.

    Raises:
        ConfigError: If the user asks for more than the model reads.
        ModelError: If it reads too few for any text.
    """
    if most is not None and most < LEAST_LENGTH:
        raise ModelError(
            f"The model reads at most {most} tokens, too few for a text: its positions or its tokenizer's "
            "model_max_length are wrong."
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
    """Build a classifier as it is described by its configuration, without memory for its weights.

    Args:
        name: As for `load_pretrained`.

    Raises:
        ModelError: If its configuration cannot be had or used.
    """
    return cast("PreTrainedModel", fetch(_skeleton_in, name, locate(name)))


def _skeleton_in(place: str, *, trust_remote_code: bool) -> PreTrainedModel:
    return _skeleton(AutoConfig.from_pretrained(place, trust_remote_code=trust_remote_code))


def _skeleton(config: PreTrainedConfig) -> PreTrainedModel:
    # Drawing numbers for weights that are not there moves the generator all the same.
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return cast("PreTrainedModel", AutoModelForSequenceClassification.from_config(config))


def _positions(model: PreTrainedModel) -> int | None:
    """Most tokens that a model tells apart by their positions; None where there is no limit."""
    if isinstance(model, OnnxClassifier):
        try:
            return _positions(_skeleton(model.config))
        except Exception:  # whatever an architecture may raise that cannot be built so
            return _named_in(model.config)
    return min(_tables(model), default=None)


def _tables(model: nn.Module) -> Iterator[int]:
    """The number of tokens that each table of positions has a row for."""
    for path, module in model.named_modules():
        place, _, name = path.rpartition(".")
        weight = getattr(module, "weight", None)
        if name not in _TABLES or not isinstance(weight, torch.Tensor):
            continue
        padding = getattr(module, "padding_idx", None)
        # RoBERTa and its kin, and MPNet, count from behind the padding index; BART and its kin, an offset.
        yield len(weight) - (getattr(module, "offset", 0) if padding is None else padding + 1)
        numbers = getattr(model.get_submodule(place), "position_ids", None)
        if isinstance(numbers, torch.Tensor):  # some count from behind an index that only these tell
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
