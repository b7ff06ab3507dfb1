"""The models that attacks ask: the victim, sentence encoders, a masked language model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earlyrobust.attacks.engine import Encoded
from earlyrobust.attacks.packing import pack
from earlyrobust.encoders import fingerprint, padding_side, readable_by_encoder, readable_tokens
from earlyrobust.errors import ConfigError, ModelError, ResourceError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import BatchEncoding, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

# Where nothing limits a model.
_WHOLE = 10**9


class _Transformer:
    """Tokenises, pads and runs a transformers model.

    Args:
        model: The model; it is put into evaluation mode.
        tokenizer: Its tokenizer.
        max_length: Most tokens of a text that are read; None for as many as the model reads.

    Attributes:
        reads: How many those are; None where nothing limits them.
        reads_all_it_can: Whether those are as many as the model reads.
        named_positions: The number of positions in the model's configuration; 512 where it names none.
    """

    most_tokens: int | None = None

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, max_length: int | None = None
    ) -> None:
        most = readable_tokens(model, tokenizer)
        self.reads = min((limit for limit in (max_length, most) if limit is not None), default=None)
        self.reads_all_it_can = self.reads == most
        self.named_positions = getattr(model.config, "max_position_embeddings", None) or 512
        self.max_length = self.reads or _WHOLE
        packed = pack(model.eval())
        self._model = packed or model
        self.counts_rows = packed is None
        self._tokenizer = tokenizer

    def encode(self, inputs: Sequence[Any]) -> list[Encoded]:
        """Turn texts, or pairs of them, into tokens; what is longer than `max_length` is cut off."""
        if not inputs:
            return []
        encoded = self._tokens(inputs, self.max_length)
        names = [name for name in encoded if name != "attention_mask"]
        items = []
        for values in zip(*(encoded[name] for name in names), strict=True):
            fields = dict(zip(names, values, strict=True))
            items.append(Encoded(np.asarray(values, np.int32).tobytes(), fields))
        return items

    def longer(self, inputs: Sequence[Any]) -> int:
        """Count the texts, or pairs of them, that are not read whole."""
        if not inputs or self.reads is None:
            return 0
        # One more token than is read tells which ones are longer.
        tokens = self._tokens(inputs, self.reads + 1)["input_ids"]
        return sum(len(ids) > self.reads for ids in tokens)

    def _tokens(self, inputs: Sequence[Any], max_length: int) -> Any:
        columns = [list(column) for column in zip(*inputs, strict=True)]
        return self._tokenizer(*columns, truncation="longest_first", max_length=max_length)

    def _run(self, batch: Sequence[Encoded], length: int) -> Any:
        """Outputs for a batch, padded to a length."""
        padded = _padded(self._tokenizer, batch, length, self._model.config)
        with torch.inference_mode():
            return self._model(**padded.to(self._model.device))


def _padded(
    tokenizer: PreTrainedTokenizerBase, batch: Sequence[Encoded], length: int, config: PreTrainedConfig | None
) -> BatchEncoding:
    """A batch of inputs, each padded to a length in tokens."""
    return tokenizer.pad(
        [item.fields for item in batch],
        padding="max_length",
        max_length=length,
        padding_side=padding_side(config),
        return_tensors="pt",
    )


class Victim(_Transformer):
    """The classifier under attack; answers texts, given as tuples of one or two, with class probabilities."""

    def compute(self, batch: Sequence[Encoded], length: int) -> list[NDArray[np.float32]]:
        """Class probabilities, each of shape (classes,).

        Raises:
            ModelError: If they are not numbers.
        """
        logits = self._run(batch, length).logits.float().cpu()
        if not torch.isfinite(logits).all():
            raise ModelError(
                "The model's output is not a number (NaN or infinite), so it cannot be attacked."
            )
        return list(torch.softmax(logits, dim=1).numpy())


class MaskedLM(_Transformer):
    """A masked language model; answers a text with the most likely tokens for each of its positions.

    Args:
        model: A transformers model with a masked-language-model head.
        tokenizer: Its tokenizer.
        name: How results name it.
        candidates: Tokens to name for each position.

    Raises:
        ResourceError: If the tokenizer has no mask token.
        ConfigError: If there are fewer tokens than candidates.
    """

    # The logits of a token are a vocabulary wide.
    most_tokens: int | None = 1_024

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str, candidates: int
    ) -> None:
        super().__init__(model, tokenizer)
        if tokenizer.mask_token is None:
            raise ResourceError(
                f"The tokenizer of '{name}' has no mask token: choose a masked language model."
            )
        if not 0 < candidates <= model.config.vocab_size:
            raise ConfigError(
                f"{candidates} candidates: choose 1 to {model.config.vocab_size}, the tokens of '{name}'."
            )
        self.name = name
        self.tokenizer = tokenizer
        self.candidates = candidates

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights."""
        return fingerprint(self._model)

    def compute(self, batch: Sequence[Encoded], length: int) -> list[NDArray[np.int32]]:
        """Token ids, most likely first, each of shape (tokens of the input, candidates)."""
        best = self._run(batch, length).logits.topk(self.candidates, dim=-1).indices.to(torch.int32).cpu()
        # Copies: a view of one input's would keep the answers to the whole batch in memory, padding included.
        return [ids[: item.length].copy() for ids, item in zip(best.numpy(), batch, strict=True)]


class SentenceEncoder:
    """A sentence-transformers model; answers texts with embeddings.

    Args:
        model: The model.
        name: How results name it.
    """

    most_tokens: int | None = None

    def __init__(self, model: SentenceTransformer, name: str) -> None:
        self.name = name
        packed = pack(model.eval())
        self._model = packed or model
        self.counts_rows = packed is None
        self.max_length = readable_by_encoder(model) or _WHOLE

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights."""
        return fingerprint(self._model)

    def encode(self, inputs: Sequence[str]) -> list[Encoded]:
        """Turn texts into tokens."""
        if not inputs:
            return []
        features = self._model.preprocess(list(inputs))
        mask = features["attention_mask"].bool()
        names = [name for name in features if name != "attention_mask" and isinstance(features[name], Tensor)]
        items = []
        for row, valid in enumerate(mask):
            fields = {name: features[name][row][valid].tolist() for name in names}
            items.append(Encoded(np.asarray(fields["input_ids"], np.int32).tobytes(), fields))
        return items

    def compute(self, batch: Sequence[Encoded], length: int) -> list[Tensor]:
        """Embeddings, each of shape (channels,), not necessarily of length 1."""
        config = getattr(getattr(self._model[0], "auto_model", None), "config", None)
        padded = _padded(self._model.tokenizer, batch, length, config)
        with torch.inference_mode():
            embeddings = self._model.forward(dict(padded.to(self._model.device)))["sentence_embedding"]
        if not torch.isfinite(embeddings).all():
            raise ModelError(
                f"The sentence encoder '{self.name}' gives NaN or infinite numbers: name another."
            )
        return [embedding.clone() for embedding in embeddings.float().cpu()]


class UniversalSentenceEncoder:
    """The Universal Sentence Encoder, which TextFooler and its successors were published with.

    Raises:
        ResourceError: If TensorFlow Hub is not installed or the model cannot be fetched.
    """

    name = "Universal Sentence Encoder 3"
    fingerprint = name  # there is one of this name only
    # Bytes, not tokens; no text is cut off.
    max_length = _WHOLE
    most_tokens: int | None = None
    counts_rows = True

    def __init__(self) -> None:
        try:
            import tensorflow_hub

            self._model = tensorflow_hub.load("https://tfhub.dev/google/universal-sentence-encoder/3")
        except Exception as error:  # whatever TensorFlow may raise, the encoder is not here
            raise ResourceError(
                "The Universal Sentence Encoder needs tensorflow, tensorflow_hub and, at first, a network: "
                "install them, or choose a sentence-transformers model."
            ) from error

    def encode(self, inputs: Sequence[str]) -> list[Encoded]:
        """Texts as their bytes: it takes them whole."""
        return [Encoded(text.encode(), {"input_ids": list(text.encode())}) for text in inputs]

    def compute(self, batch: Sequence[Encoded], length: int) -> list[Tensor]:
        """Embeddings, each of shape (512,)."""
        embeddings = self._model([item.key.decode() for item in batch])
        if isinstance(embeddings, dict):
            embeddings = embeddings["outputs"]
        return list(torch.from_numpy(embeddings.numpy()))
