"""Trying a model and a tokenizer on the longest text of the data before anything is trained or judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from earlyrobust.errors import DataError, ModelError, explain
from earlyrobust.evaluation.clean import collate
from earlyrobust.pipeline.observer import Observer

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

# Of what libraries say a sentence holds so many characters.
_LONGEST_REASON = 200
_OWN = "put the tokenizer beside the model that it was trained with"


def check_names_classes(config: PreTrainedConfig, name: str) -> None:
    """Refuse a model whose outputs are no classes of which a text has one.

    Raises:
        ModelError: If it has a single output, or was trained for regression.
    """
    if config.num_labels < 2 or config.problem_type == "regression":
        raise ModelError(
            f"'{name}' is a model for regression, whose output is a number and no class: choose a classifier."
        )


def try_out(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    splits: Sequence[Dataset],
    observer: Observer,
    *,
    changes_texts: bool,
) -> None:
    """See whether a model can read tokens, and let it read the longest row.

    Args:
        model: A classifier; it is left in the mode that it was in.
        tokenizer: What has made the tokens.
        splits: Tokenised rows.
        observer: Is told of tokens that the model lacks and the data, too.
        changes_texts: Whether texts will be changed, and may come to hold any token.

    Raises:
        ModelError: If the model has no embedding for a token, or fails on the longest row.
        DataError: If it cannot tell where a text ends.
    """
    splits = [rows for rows in splits if len(rows)]
    if not splits:
        return
    _check_tokens(model, tokenizer, splits, observer, changes_texts=changes_texts)
    _check_types(model, tokenizer, splits)
    _check_ends(model, tokenizer, splits)
    rows = max(splits, key=lambda rows: _largest(rows, "length"))
    _pass(model, tokenizer, rows.select([int(np.argmax(rows["length"]))]))


def _check_tokens(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    splits: Sequence[Dataset],
    observer: Observer,
    *,
    changes_texts: bool,
) -> None:
    embeddings = _embeddings(model)
    if embeddings is None:
        return
    # Padding is in no row yet.
    largest = max(int(tokenizer.pad_token_id), *(_largest(rows, "input_ids") for rows in splits))
    # Words that are added to a tokenizer, as special tokens are, are no part of what its model may make.
    own = max(set(tokenizer.get_vocab().values()) - set(tokenizer.added_tokens_decoder), default=0)
    if largest >= embeddings or (changes_texts and own >= embeddings):
        token = largest if largest >= embeddings else own
        raise ModelError(
            f"The tokenizer makes tokens that the model has no embedding for, such as number {token}, "
            f"'{tokenizer.convert_ids_to_tokens(token)}', where there are {embeddings} embeddings: {_OWN}."
        )
    if max(largest, len(tokenizer) - 1) >= embeddings:
        observer.note(
            f"The tokenizer has {len(tokenizer):,} tokens and the model {embeddings:,} embeddings; no token "
            "without one is in the data."
        )


def _embeddings(model: PreTrainedModel) -> int | None:
    """The number of tokens that a model has embeddings for; None where nothing tells it."""
    try:
        table = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):  # an ONNX graph, or a model that is fed with characters
        return getattr(model.config, "vocab_size", None)
    weight = getattr(table, "weight", None)
    return len(weight) if isinstance(weight, torch.Tensor) else None


def _check_types(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, splits: Sequence[Dataset]
) -> None:
    tables = [
        module for path, module in model.named_modules() if path.rpartition(".")[2] == "token_type_embeddings"
    ]
    if not tables or "token_type_ids" not in splits[0].column_names:
        return
    types = min(len(table.weight) for table in tables)
    largest = max(_largest(rows, "token_type_ids") for rows in splits)
    if largest >= types:
        raise ModelError(
            f"The tokenizer marks tokens with type {largest}, and the model knows the types 0 to {types - 1} "
            f"only: {_OWN}."
        )


def _check_ends(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, splits: Sequence[Dataset]
) -> None:
    """Refuse rows that an encoder-decoder cannot be asked about: it reads a text at its last end token."""
    end = getattr(model.config, "eos_token_id", None)
    if not model.config.is_encoder_decoder or not isinstance(end, int):
        return
    counts = {count for rows in splits for count in _occurrences(rows, end)}
    if 0 in counts:
        raise ModelError(
            f"The model reads a text at its end token, number {end}, which the tokenizer does not set after "
            f"each text: {_OWN}."
        )
    if len(counts) > 1:
        raise DataError(
            f"Some texts hold the token '{tokenizer.convert_ids_to_tokens(end)}', which ends texts for this "
            "model: take it out of them."
        )


def _chunks(rows: Dataset, column: str) -> Sequence[pa.Array]:
    return cast("Sequence[pa.Array]", rows.with_format("arrow")[:][column].chunks)


def _largest(rows: Dataset, column: str) -> int:
    """The largest number in a column of numbers or of lists of them."""
    chunks = _chunks(rows, column)
    flat = [pc.list_flatten(chunk) if pa.types.is_list(chunk.type) else chunk for chunk in chunks]
    return max((value for part in flat if (value := pc.max(part).as_py()) is not None), default=0)


def _occurrences(rows: Dataset, token: int) -> set[int]:
    """How many times a token may be in a row: each number of times that there is."""
    found: set[int] = set()
    for chunk in _chunks(rows, "input_ids"):
        of_row = np.asarray(pc.list_parent_indices(chunk))[np.asarray(pc.list_flatten(chunk)) == token]
        found.update(np.bincount(of_row, minlength=len(chunk)).tolist())
    return found


def _pass(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, row: Dataset) -> None:
    """Pass a row through a model, and say in one sentence what goes wrong, if anything does."""
    training = model.training
    model.train(False)
    tokens = row[0]["length"]
    try:
        batch = collate(tokenizer, row, model)
        batch.pop("labels", None)
        with torch.inference_mode():
            shape = tuple(model(**batch).logits.cpu().shape)
    except Exception as error:  # whatever an architecture may raise that is not fed as it expects
        if explain(error) is not None:
            raise
        reason = " ".join(str(error).split()).split(". ")[0].removesuffix(".")[:_LONGEST_REASON]
        raise ModelError(
            f"The model cannot read the longest text of the data, {tokens} tokens ({type(error).__name__}: "
            f"{reason}): choose a smaller --max-length, or {_OWN}."
        ) from error
    finally:
        model.train(training)
    if shape != (1, model.config.num_labels):
        raise ModelError(
            f"The model's configuration names {model.config.num_labels} classes, and its output for a text "
            f"has the shape {list(shape)}: correct its config.json."
        )
