"""The models that attacks ask: the victim, sentence encoders, a masked language model."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earlyrobust.attacks.engine import Encoded
from earlyrobust.attacks.padding import cut_up, encoded_from
from earlyrobust.attacks.precision import Precision
from earlyrobust.attacks.prepared import Prepared
from earlyrobust.attacks.scores import PROBABILITY, Answer, Score
from earlyrobust.encoders import readable_by_encoder, readable_tokens
from earlyrobust.errors import ConfigError, ModelError, ResourceError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Where nothing limits a model.
_WHOLE = 10**9


def _named_in(name: str, precision: Precision) -> str:
    """How results name a model that is computed in a precision; numbers compare only between equal names."""
    return name if precision == "float32" else f"{name} in {precision}"


class _Transformer:
    """Tokenises, pads and runs a transformers model.

    Args:
        model: The model; it is put into evaluation mode.
        tokenizer: Its tokenizer.
        max_length: Most tokens of a text that are read; None for as many as the model reads.
        precision: In which it is computed.

    Attributes:
        precision: In which it is computed.
        reads: How many those are; None where nothing limits them.
        reads_all_it_can: Whether those are as many as the model reads.
        named_positions: The number of positions in the model's configuration; 512 where it names none.
    """

    most_tokens: int | None = None

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int | None = None,
        precision: Precision = "float32",
    ) -> None:
        most = readable_tokens(model, tokenizer)
        self.reads = min((limit for limit in (max_length, most) if limit is not None), default=None)
        self.reads_all_it_can = self.reads == most
        self.named_positions = getattr(model.config, "max_position_embeddings", None) or 512
        self.max_length = self.reads or _WHOLE
        self._prepared = Prepared(model, tokenizer, model.config, precision)
        self.precision = precision
        self.counts_rows = self._prepared.counts_rows
        self._tokenizer = tokenizer

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights."""
        return self._prepared.fingerprint

    def encode(self, inputs: Sequence[Any]) -> list[Encoded]:
        """Turn texts, or pairs of them, into tokens; what is longer than `max_length` is cut off."""
        if not inputs:
            return []
        tokens = self._tokens(inputs, self.max_length)
        return encoded_from({name: tokens[name] for name in tokens if name != "attention_mask"})

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


class Victim(_Transformer):
    """The classifier under attack; answers texts, given as tuples of one or two.

    Args:
        model: The classifier.
        tokenizer: Its tokenizer.
        max_length: Most tokens of a text that are read; None for as many as the model reads.
        precision: In which it is computed.
        score: Says how it answers; by default with class probabilities.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int | None = None,
        precision: Precision = "float32",
        score: Score = PROBABILITY,
    ) -> None:
        super().__init__(model, tokenizer, max_length, precision)
        self._score = score

    def answering(self, score: Score) -> Victim:
        """Return this victim if it answers as a score says, else one of the same weights that does."""
        if score.describe() == self._score.describe():
            return self
        other = copy(self)
        other._score = score
        return other

    @property
    def classes(self) -> int:
        """How many it knows."""
        return int(self._prepared.model.config.num_labels)

    def compute(self, batch: Sequence[Encoded], length: int) -> list[Answer]:
        """Answers, each of shape (classes,).

        Raises:
            ModelError: If they are not numbers.
        """
        logits = self._prepared.answer(batch, length, lambda model, inputs: model(**inputs).logits)
        if not torch.isfinite(logits).all():
            raise ModelError(
                "The model's output is not a number (NaN or infinite), so it cannot be attacked."
            )
        return self._score.answers(logits)


class MaskedLM(_Transformer):
    """A masked language model; answers a text with the most likely tokens for each of its positions.

    Args:
        model: A transformers model with a masked-language-model head.
        tokenizer: Its tokenizer.
        name: How results name it.
        candidates: Tokens to name for each position.
        precision: In which it is computed.

    Raises:
        ResourceError: If the tokenizer has no mask token.
        ConfigError: If there are fewer tokens than candidates.
    """

    # The logits of a token are a vocabulary wide.
    most_tokens: int | None = 1_024

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        name: str,
        candidates: int,
        precision: Precision = "float32",
    ) -> None:
        super().__init__(model, tokenizer, precision=precision)
        if tokenizer.mask_token is None:
            raise ResourceError(
                f"The tokenizer of '{name}' has no mask token: choose a masked language model."
            )
        if not 0 < candidates <= model.config.vocab_size:
            raise ConfigError(
                f"{candidates} candidates: choose 1 to {model.config.vocab_size}, the tokens of '{name}'."
            )
        self.name = _named_in(name, precision)
        self.tokenizer = tokenizer
        self.candidates = candidates

    def compute(self, batch: Sequence[Encoded], length: int) -> list[NDArray[np.int32]]:
        """Token ids, most likely first, each of shape (tokens of the input, candidates)."""

        def likeliest(model: Any, inputs: dict[str, Tensor]) -> Tensor:
            best: Tensor = model(**inputs).logits.topk(self.candidates, dim=-1).indices
            return best.to(torch.int32)

        best = self._prepared.answer(batch, length, likeliest)
        # Copies: a view of one input's would keep the answers to the whole batch in memory, padding included.
        return [ids[: item.length].copy() for ids, item in zip(best.numpy(), batch, strict=True)]


class SentenceEncoder:
    """A sentence-transformers model; answers texts with embeddings.

    Args:
        model: The model.
        name: How results name it.
        precision: In which it is computed.
    """

    most_tokens: int | None = None

    def __init__(self, model: SentenceTransformer, name: str, precision: Precision = "float32") -> None:
        config = getattr(getattr(model[0], "auto_model", None), "config", None)
        self._prepared = Prepared(model, model.tokenizer, config, precision)
        self.name = _named_in(name, precision)
        self.counts_rows = self._prepared.counts_rows
        self.max_length = readable_by_encoder(model) or _WHOLE

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights."""
        return self._prepared.fingerprint

    def encode(self, inputs: Sequence[str]) -> list[Encoded]:
        """Turn texts into tokens."""
        if not inputs:
            return []
        features = self._prepared.model.preprocess(list(inputs))
        tables = {name: values.numpy() for name, values in features.items() if isinstance(values, Tensor)}
        holds_token = tables.pop("attention_mask").astype(bool)
        numbers = np.stack([values[holds_token].astype(np.int32) for values in tables.values()])
        return cut_up(tuple(tables), numbers, holds_token.sum(axis=1).tolist())

    def compute(self, batch: Sequence[Encoded], length: int) -> list[Tensor]:
        """Embeddings, each of shape (channels,), not necessarily of length 1."""
        embeddings = self._prepared.answer(
            batch, length, lambda model, inputs: model.forward(inputs)["sentence_embedding"].float()
        )
        if not torch.isfinite(embeddings).all():
            raise ModelError(
                f"The sentence encoder '{self.name}' gives NaN or infinite numbers: name another."
            )
        return [embedding.clone() for embedding in embeddings]


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
        return [
            Encoded(text.encode(), {"input_ids": np.frombuffer(text.encode(), np.uint8)}) for text in inputs
        ]

    def compute(self, batch: Sequence[Encoded], length: int) -> list[Tensor]:
        """Embeddings, each of shape (512,)."""
        embeddings = self._model([item.key.decode() for item in batch])
        if isinstance(embeddings, dict):
            embeddings = embeddings["outputs"]
        return list(torch.from_numpy(embeddings.numpy()))
