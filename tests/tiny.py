"""Tiny random classifiers and tokenised data, which train in milliseconds."""

import random

import torch
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
    TrainingArguments,
)

VOCABULARY = 40
LAYERS, HEADS, NEURONS = 2, 4, 20


def classifier(seed=0, dropout=0.0, kind=BertForSequenceClassification):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = kind(
            BertConfig(
                vocab_size=VOCABULARY,
                hidden_size=16,
                num_hidden_layers=LAYERS,
                num_attention_heads=HEADS,
                intermediate_size=NEURONS,
                max_position_embeddings=24,
                hidden_dropout_prob=dropout,
                attention_probs_dropout_prob=dropout,
                initializer_range=0.3,
            )
        )
    return model.to(torch.get_default_dtype())


def tokenizer():
    words = {"[PAD]": 0, **{f"word{index}": index for index in range(1, VOCABULARY)}}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="[PAD]")),
        pad_token="[PAD]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def dataset(examples=32, seed=0):
    draw = random.Random(seed)
    lengths = [draw.randint(3, 14) for _ in range(examples)]
    firsts = [draw.randint(1, length) for length in lengths]
    return Dataset.from_dict(
        {
            "input_ids": [[draw.randrange(1, VOCABULARY) for _ in range(length)] for length in lengths],
            "attention_mask": [[1] * length for length in lengths],
            "token_type_ids": [
                [0] * first + [1] * (length - first) for first, length in zip(firsts, lengths, strict=True)
            ],
            "labels": [index % 2 for index in range(examples)],
            "length": lengths,
        }
    )


def batch(examples=4, seed=0):
    rows = dataset(examples, seed).remove_columns("length")
    return dict(tokenizer().pad(rows.to_list(), return_tensors="pt"))


def arguments(folder, **changes):
    defaults = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-2,
        "report_to": "none",
        "save_strategy": "no",
        "disable_tqdm": True,
        "use_cpu": True,
        "seed": 1,
    }
    return TrainingArguments(**(defaults | changes))
