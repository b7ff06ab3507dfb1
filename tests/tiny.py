"""Tiny random classifiers and tokenised data, which train in milliseconds."""

import gc
import random
from contextlib import contextmanager

import torch
from datasets import Dataset
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerFast,
    TrainerCallback,
    TrainingArguments,
)

from earlyrobust.pruning import ImportanceCoefficients

# Every training starts by collecting garbage; nothing that was imported until here is any.
gc.freeze()
# On tensors this small, threads only wait for one another.
torch.set_num_threads(1)

VOCABULARY = 40
LAYERS, HEADS, NEURONS = 2, 4, 20


class Interrupt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **_):
        if state.global_step == self.step:
            raise KeyboardInterrupt


@contextmanager
def float64():
    """New tensors and models have double precision; also a decorator."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


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


def attach_random_coefficients(model, seed=5):
    gates = ImportanceCoefficients.attach(model)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for coefficients in gates.parameters():
            torch.nn.init.uniform_(coefficients, -1.5, 1.5)
    return gates


def tokenizer():
    words = {"[PAD]": 0, **{f"word{index}": index for index in range(1, VOCABULARY)}}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel(words, unk_token="[PAD]")),
        pad_token="[PAD]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def dataset(examples=32, seed=0):
    draw = random.Random(seed)
    return Dataset.from_list([row(draw, label=index % 2) for index in range(examples)])


def row(draw, label):
    length = draw.randint(3, 14)
    first = draw.randint(1, length)
    return {
        "input_ids": [draw.randrange(1, VOCABULARY) for _ in range(length)],
        "attention_mask": [1] * length,
        "token_type_ids": [0] * first + [1] * (length - first),
        "labels": label,
        "length": length,
    }


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
