"""Tokenises a split once, and keeps the result on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import pyarrow as pa
import pyarrow.compute as pc

from earlyrobust.data.digests import combined_digest, split_digest
from earlyrobust.data.rows import write_stream
from earlyrobust.errors import DataError, ModelError
from earlyrobust.storage import A_DAY, cache_folder, remove_leftovers, write_atomically

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Raise this number whenever the same input gives another cache entry.
FORMAT_VERSION = 2
BATCH_ROWS = 1_000
# A column that only the cache has: whether a row has lost tokens.
_CUT = "cut"


def tokenize(
    split: datasets.Dataset,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    *,
    cache_dir: Path | None = None,
) -> datasets.Dataset:
    """Tokenise a split, or read the result of an earlier call from the cache.

    The key of a cache entry is the content of the split and of the tokenizer, so a changed file or vocabulary
    never gets stale tokens.

    Args:
        split: Columns `text`, `label` and optionally `pair`.
        tokenizer: A fast tokenizer.
        max_length: Longest input in tokens, special tokens included. In a pair, the longer text is truncated
            first.
        cache_dir: Folder whose subfolder `tokenized` is the cache. None for `$EARLYROBUST_CACHE`, or
            `~/.cache/earlyrobust` if the variable is not set.

    Returns:
        A memory-mapped data set in the order of the split. Its columns are those of the tokenizer
        (`input_ids`, `attention_mask` and possibly `token_type_ids`, not padded), `labels`, and `length`, the
        number of tokens.

    Raises:
        ModelError: The tokenizer is not a fast tokenizer.
        DataError: The cache cannot be written.
    """
    return tokenize_and_count(split, tokenizer, max_length, cache_dir=cache_dir)[0]


def tokenize_and_count(
    split: datasets.Dataset,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    *,
    cache_dir: Path | None = None,
) -> tuple[datasets.Dataset, int]:
    """Tokenise a split as `tokenize` does, and count the rows that are longer than `max_length`.

    Args:
        split: Columns `text`, `label` and optionally `pair`.
        tokenizer: A fast tokenizer.
        max_length: Longest input in tokens, special tokens included.
        cache_dir: Folder whose subfolder `tokenized` is the cache, as for `tokenize`.

    Returns:
        The data set, and the number of its rows that have lost tokens.

    Raises:
        ModelError: The tokenizer is not a fast tokenizer.
        DataError: The cache cannot be written.
    """
    if not tokenizer.is_fast:
        raise ModelError(f"{type(tokenizer).__name__} is not a fast tokenizer: use a model that has one.")
    path = cache_folder("tokenized", cache_dir) / f"{_key(split, tokenizer, max_length)}.arrow"
    tokens = _read(path, len(split))
    if tokens is None:
        try:
            remove_leftovers(path.parent, age=A_DAY)
            write_atomically(path, lambda temporary: _write(temporary, split, tokenizer, max_length))
        except OSError as error:
            raise DataError(
                f"The token cache {path.parent} cannot be written ({error.strerror}): "
                "set EARLYROBUST_CACHE to a folder that can be written."
            ) from error
        tokens = datasets.Dataset.from_file(str(path))
    cut = int(pc.sum(tokens.data.column(_CUT)).as_py() or 0)
    return tokens.remove_columns(_CUT), cut


def _key(split: datasets.Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int) -> str:
    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    # These two entries only hold the options of the tokenizer's latest call.
    del backend["truncation"], backend["padding"]
    parts = [type(tokenizer).__name__, tokenizer.truncation_side, *tokenizer.model_input_names]
    if tokenizer.split_special_tokens:  # which the backend's description does not include
        parts.append("split_special_tokens")
    return combined_digest(
        [split_digest(split), json.dumps(backend), *parts, str(max_length), str(FORMAT_VERSION)]
    )


def _read(path: Path, rows: int) -> datasets.Dataset | None:
    """Open a cache entry; return None if it is absent or damaged."""
    try:
        tokens = datasets.Dataset.from_file(str(path))
        tokens.data.validate(full=True)
    except (pa.ArrowException, OSError):
        return None
    # A stream that breaks off between two batches reads as a shorter stream.
    return tokens if len(tokens) == rows else None


def _write(path: Path, split: datasets.Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
    write_stream(path, (_encode(batch, tokenizer, max_length) for batch in split.iter(BATCH_ROWS)))


def _encode(batch: dict[str, list[Any]], tokenizer: PreTrainedTokenizerBase, max_length: int) -> pa.Table:
    encoded = tokenizer(batch["text"], batch.get("pair"), truncation="longest_first", max_length=max_length)
    columns = {
        name: pa.array(values, pa.list_(pa.int32() if name == "input_ids" else pa.int8()))
        for name, values in encoded.items()
    }
    columns["labels"] = pa.array(batch["label"], pa.int64())
    columns["length"] = pa.array(map(len, encoded["input_ids"]), pa.int32())
    columns[_CUT] = pa.array([bool(row.overflowing) for row in encoded.encodings], pa.bool_())
    return pa.table(columns)
