"""The models that attacks ask: the victim, a sentence encoder, and a masked language model."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earlyrobust.attacks.asks import Encoded
from earlyrobust.attacks.padding import cut_up, encoded_from
from earlyrobust.attacks.precision import Precision
from earlyrobust.attacks.prepared import Prepared
from earlyrobust.attacks.scores import PROBABILITY, Answer, Score
from earlyrobust.encoders import readable_by_encoder, readable_tokens
from earlyrobust.errors import ConfigError, ModelError, ResourceError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# The longest input of a model that reads texts of any length.
_WHOLE = 10**9


def _named_in(name: str, precision: Precision) -> str:
    """Return the name of a model in records, with its precision unless that is float32."""
    return name if precision == "float32" else f"{name} in {precision}"


class _Transformer:
    """A transformers model with its tokenizer, prepared to answer the server.

    Args:
        model: The model. It is put into evaluation mode.
        tokenizer: The model's tokenizer.
        max_length: Maximum number of tokens of a text that are read; None for the model's own limit.
        precision: The precision in which the model is computed.

    Attributes:
        precision: The precision in which the model is computed.
        reads: Maximum number of tokens of a text that are read; None if there is no limit.
        reads_all_it_can: Whether `reads` is the model's own limit.
        named_positions: The number of positions in the model's configuration; 512 if it names none.
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
        blanks = (tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id)
        self._blank = next((token for token in blanks if token is not None), 0)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights."""
        return self._prepared.fingerprint

    @property
    def model(self) -> PreTrainedModel:
        """The model as it was given."""
        return self._prepared.model

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return self._prepared.device

    def encode(self, inputs: Sequence[Any]) -> list[Encoded]:
        """Tokenise texts or pairs of texts, and cut off what exceeds `max_length` tokens."""
        if not inputs:
            return []
        tokens = self._tokens(inputs, self.max_length)
        fields = {name: tokens[name] for name in tokens if name != "attention_mask"}
        # A model needs a token, but a tokenizer without special tokens gives none to an empty text.
        if not all(fields["input_ids"]):
            for name, rows in fields.items():
                fields[name] = [ids or [self._blank if name == "input_ids" else 0] for ids in rows]
        return encoded_from(fields)

    def longer(self, inputs: Sequence[Any]) -> int:
        """Return the number of texts, or pairs of texts, that have more than `reads` tokens."""
        if not inputs or self.reads is None:
            return 0
        # Only texts with more than `reads` tokens fill one token more.
        tokens = self._tokens(inputs, self.reads + 1)["input_ids"]
        return sum(len(ids) > self.reads for ids in tokens)

    def _tokens(self, inputs: Sequence[Any], max_length: int) -> Any:
        columns = [list(column) for column in zip(*inputs, strict=True)]
        return self._tokenizer(*columns, truncation="longest_first", max_length=max_length)


class Victim(_Transformer):
    """The classifier under attack. It answers inputs, which are tuples of one text or two.

    Args:
        model: The classifier.
        tokenizer: The classifier's tokenizer.
        max_length: Maximum number of tokens of a text that are read; None for the model's own limit.
        precision: The precision in which the classifier is computed.
        score: The kind of answers; by default class probabilities.
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
        """Return a victim with these weights whose answers suit a score, if possible this victim."""
        if score.describe() == self._score.describe():
            return self
        other = copy(self)
        other._score = score
        return other

    @property
    def classes(self) -> int:
        """Number of classes."""
        return int(self._prepared.model.config.num_labels)

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, in the order of the outputs."""
        names = self._prepared.model.config.id2label or {}
        return [str(names.get(index, f"class {index}")) for index in range(self.classes)]

    def compute(self, batch: Sequence[Encoded], length: int) -> list[Answer]:
        """Return the answers to a batch, each of shape (classes,).

        Raises:
            ModelError: If a logit is NaN or infinite.
        """
        logits = self._prepared.answer(batch, length, lambda model, inputs: model(**inputs).logits)
        if not torch.isfinite(logits).all():
            raise ModelError(
                "The model's output is not a number (NaN or infinite), so it cannot be attacked: train it "
                "again with a smaller learning rate, or choose another model."
            )
        return self._score.answers(logits)


class MaskedLM(_Transformer):
    """A masked language model. It answers a text with the most likely tokens for each position.

    Args:
        model: A transformers model with a masked-language-model head.
        tokenizer: The model's tokenizer.
        name: The model's name in records.
        candidates: Number of tokens in the answer for each position.
        precision: The precision in which the model is computed.

    Raises:
        ResourceError: If the tokenizer has no mask token.
        ConfigError: If `candidates` is not positive or exceeds the size of the vocabulary.
    """

    # The model returns as many logits for each token as the vocabulary has tokens.
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
        """Return token ids, the likeliest first, each of shape (tokens of the input, candidates)."""

        def likeliest(model: Any, inputs: dict[str, Tensor]) -> Tensor:
            best: Tensor = model(**inputs).logits.topk(self.candidates, dim=-1).indices
            return best.to(torch.int32)

        best = self._prepared.answer(batch, length, likeliest)
        # Copies, because a view would keep the answers to the whole batch in memory, padding included.
        return [ids[: item.length].copy() for ids, item in zip(best.numpy(), batch, strict=True)]


class SentenceEncoder:
    """A sentence-transformers model. It answers texts with embeddings.

    Args:
        model: The model.
        name: The model's name in records.
        precision: The precision in which the model is computed.
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
        """Tokenise texts."""
        if not inputs:
            return []
        features = self._prepared.model.preprocess(list(inputs))
        tables = {name: values.numpy() for name, values in features.items() if isinstance(values, Tensor)}
        holds_token = tables.pop("attention_mask").astype(bool)
        numbers = np.stack([values[holds_token].astype(np.int32) for values in tables.values()])
        return cut_up(tuple(tables), numbers, holds_token.sum(axis=1).tolist())

    def compute(self, batch: Sequence[Encoded], length: int) -> list[Tensor]:
        """Return embeddings, each of shape (channels,). Their norms are arbitrary.

        Raises:
            ModelError: If an embedding has NaN or infinite numbers.
        """
        embeddings = self._prepared.answer(
            batch, length, lambda model, inputs: model.forward(inputs)["sentence_embedding"].float()
        )
        if not torch.isfinite(embeddings).all():
            raise ModelError(
                f"The sentence encoder '{self.name}' gives NaN or infinite numbers: name another."
            )
        return [embedding.clone() for embedding in embeddings]


class UniversalSentenceEncoder:
    """The Universal Sentence Encoder, which the papers on TextFooler and later attacks use.

    Raises:
        ResourceError: If TensorFlow Hub is not installed or the model cannot be fetched.
    """

    name = "Universal Sentence Encoder 3"
    fingerprint = name  # only one model has this name
    # It reads bytes instead of tokens, and cuts off no text.
    max_length = _WHOLE
    most_tokens: int | None = None
    counts_rows = True

    def __init__(self) -> None:
        try:
            import tensorflow_hub

            self._model = tensorflow_hub.load("https://tfhub.dev/google/universal-sentence-encoder/3")
        except Exception as error:  # TensorFlow raises errors of many types
            raise ResourceError(
                "The Universal Sentence Encoder needs tensorflow, tensorflow_hub and, at first, a network: "
                "install them, or choose a sentence-transformers model."
            ) from error

    def encode(self, inputs: Sequence[str]) -> list[Encoded]:
        """Return the bytes of texts, because the model takes texts whole."""
        return [
            Encoded(text.encode(), {"input_ids": np.frombuffer(text.encode(), np.uint8)}) for text in inputs
        ]

    def compute(self, batch: Sequence[Encoded], length: int) -> list[Tensor]:
        """Return embeddings, each of shape (512,)."""
        embeddings = self._model([item.key.decode() for item in batch])
        if isinstance(embeddings, dict):
            embeddings = embeddings["outputs"]
        return list(torch.from_numpy(embeddings.numpy()))
