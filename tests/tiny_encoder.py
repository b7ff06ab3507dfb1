"""A tiny random BERT classifier with a WordPiece tokenizer of its own, as a folder that `--model` takes."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from earlyrobust.data.corpus import lexical_items

LAYERS, HEADS, NEURONS, HIDDEN, POSITIONS = 3, 4, 64, 32, 128
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write_encoder(
    folder: Path,
    label_names: tuple[str, ...] = ("negative", "positive"),
    seed: int = 0,
    *,
    head: bool = True,
) -> Path:
    """Write the classifier, or its encoder alone, and its tokenizer into a folder, and return the folder."""
    config = BertConfig(
        vocab_size=len(vocabulary()),
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=NEURONS,
        max_position_embeddings=POSITIONS,
        initializer_range=0.2,
        id2label=dict(enumerate(label_names)),
        label2id={name: index for index, name in enumerate(label_names)},
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = BertForSequenceClassification(config)
    # Biases of exactly 0 are those of a head that was never trained.
    torch.nn.init.constant_(model.classifier.bias, 1e-6)
    (model if head else model.bert).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def vocabulary() -> list[str]:
    """Special tokens, pieces to spell any ASCII text with, and the words of the built-in corpus."""
    characters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    words = {word.lower() for item in lexical_items() for word in item.split()}
    pieces = [*characters, *(f"##{character}" for character in characters), *sorted(words)]
    return [*SPECIAL, *dict.fromkeys(pieces)]


def tokenizer() -> PreTrainedTokenizerFast:
    """A lower-casing WordPiece tokenizer that frames texts and pairs as BERT's does."""
    ids = {piece: index for index, piece in enumerate(vocabulary())}
    backend = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=POSITIONS,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **{f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")},
    )
