"""Tests a model and a tokenizer on texts of the data before any training or evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from datasets import concatenate_datasets

from earlyrobust.errors import DataError, ModelError, explain
from earlyrobust.evaluation.clean import collate
from earlyrobust.workspace.observer import Observer

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

# The largest number of characters of a library's message in an error.
_LONGEST_REASON = 200
# Outputs whose relative difference is smaller differ only by rounding, even in 16 bits.
_ROUNDING = 0.1
_OWN = "put the tokenizer beside the model that it was trained with"


def check_names_classes(config: PreTrainedConfig, name: str) -> None:
    """Refuse a model whose outputs are not classes that exclude each other.

    Args:
        config: The configuration of the model.
        name: Name of the model, for the message.

    Raises:
        ModelError: If the model has a single output, was trained for regression, or may give a text several
            classes.
    """
    if config.problem_type == "multi_label_classification":
        raise ModelError(
            f"'{name}' may give a text several classes (multi-label), and this package needs exactly one: "
            "choose another classifier, or correct problem_type in its config.json."
        )
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
    """Check that a model can read the tokens of rows, and test it on the longest and the shortest row.

    Args:
        model: A classifier; it stays in its mode (training or evaluation).
        tokenizer: The tokenizer that has made the tokens.
        splits: Tokenised rows.
        observer: Receives a message if tokens that are not in the data lack an embedding, or if the model's
            output for a text depends on its padding.
        changes_texts: Whether an attack or the training will change the texts, which may then hold any token.

    Raises:
        ModelError: If the model has no embedding for a token, or fails on a row.
        DataError: If the model cannot find the end of a text.
    """
    splits = [rows for rows in splits if len(rows)]
    if not splits:
        return
    _check_tokens(model, tokenizer, splits, observer, changes_texts=changes_texts)
    _check_types(model, splits)
    _check_ends(model, tokenizer, splits)
    lengths = [np.asarray(rows["length"][:]) for rows in splits]
    of_longest = int(np.argmax([of_rows.max() for of_rows in lengths]))
    of_shortest = int(np.argmin([of_rows.min() for of_rows in lengths]))
    longest = splits[of_longest].select([int(lengths[of_longest].argmax())])
    shortest = splits[of_shortest].select([int(lengths[of_shortest].argmin())])
    _pass(model, tokenizer, longest, "the longest text of the data")
    if shortest[0]["length"] < longest[0]["length"]:
        alone = _pass(model, tokenizer, shortest, "the shortest text of the data")[0]
        both = concatenate_datasets([longest, shortest])
        beside = _pass(model, tokenizer, both, "texts of different lengths at once")[1]
        if (beside - alone).abs().max() > _ROUNDING * (1 + alone.abs().max()):
            observer.note(
                "The model's answer to a text depends on its padding, so that accuracy and attacks depend on "
                "the other texts of a batch."
            )


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
    # The rows are not padded yet, so they do not hold the padding token.
    largest = max(int(tokenizer.pad_token_id), *(_largest(rows, "input_ids") for rows in splits))
    # Added words, such as special tokens, are not part of the vocabulary from which texts get their tokens.
    own = max(set(tokenizer.get_vocab().values()) - set(tokenizer.added_tokens_decoder), default=0)
    if largest >= embeddings or (changes_texts and own >= embeddings):
        token = largest if largest >= embeddings else own
        raise ModelError(
            f"The tokenizer makes tokens that the model has no embedding for, such as number {token}, "
            f"'{tokenizer.convert_ids_to_tokens(token)}', where there are {embeddings} embeddings: {_OWN}."
        )
    if max(largest, len(tokenizer) - 1) >= embeddings:
        observer.note(
            f"The tokenizer has {len(tokenizer):,} tokens and the model {embeddings:,} embeddings; the data "
            "holds no token without an embedding."
        )


def _embeddings(model: PreTrainedModel) -> int | None:
    """Return the number of tokens for which a model has embeddings; None if it is unknown."""
    try:
        table = model.get_input_embeddings()
    except (AttributeError, NotImplementedError):  # ONNX graphs and character models have none
        return getattr(model.config, "vocab_size", None)
    weight = getattr(table, "weight", None)
    return len(weight) if isinstance(weight, torch.Tensor) else None


def _check_types(model: PreTrainedModel, splits: Sequence[Dataset]) -> None:
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
    """Refuse rows without exactly one end token for an encoder-decoder, which classifies at the end token."""
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
    """Return the largest number in a column of numbers or of lists of numbers."""
    chunks = _chunks(rows, column)
    flat = [pc.list_flatten(chunk) if pa.types.is_list(chunk.type) else chunk for chunk in chunks]
    return max((value for part in flat if (value := pc.max(part).as_py()) is not None), default=0)


def _occurrences(rows: Dataset, token: int) -> set[int]:
    """Return the set of the numbers of times that a token occurs in a row."""
    found: set[int] = set()
    for chunk in _chunks(rows, "input_ids"):
        of_row = np.asarray(pc.list_parent_indices(chunk))[np.asarray(pc.list_flatten(chunk)) == token]
        found.update(np.bincount(of_row, minlength=len(chunk)).tolist())
    return found


def _pass(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: Dataset, what: str
) -> torch.Tensor:
    """Pass rows through a model, and turn any error into one sentence.

    Args:
        model: A classifier.
        tokenizer: Pads the rows.
        rows: Tokenised rows.
        what: A description of the rows, for the message.

    Returns:
        The logits, shape (rows, classes).

    Raises:
        ModelError: If the model fails, or its logits have another shape than its configuration says.
    """
    training = model.training
    model.train(False)
    tokens = max(rows["length"])
    try:
        batch = collate(tokenizer, rows, model)
        batch.pop("labels", None)
        with torch.inference_mode():
            logits = model(**batch).logits.float().cpu()
    except Exception as error:  # Architectures raise many kinds of errors on unexpected inputs.
        if explain(error) is not None:
            raise
        reason = " ".join(str(error).split()).split(". ")[0].removesuffix(".")[:_LONGEST_REASON]
        raise ModelError(
            f"The model cannot read {what}, {tokens} tokens ({type(error).__name__}: {reason}): choose a "
            f"smaller --max-length, or {_OWN}."
        ) from error
    finally:
        model.train(training)
    if logits.shape != (len(rows), model.config.num_labels):
        raise ModelError(
            f"The model's configuration names {model.config.num_labels} classes, and its output for "
            f"{len(rows)} text(s) has the shape {list(logits.shape)}: correct its config.json."
        )
    return cast("torch.Tensor", logits)
