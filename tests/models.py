"""Tiny random classifiers of every family, tickets that cut them unevenly, and something to feed them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from earlyrobust.tickets.ticket import Miniepoch, SearchTrace, Ticket

LAYERS, HEADS, NEURONS, HIDDEN, VOCABULARY = 3, 4, 24, 32, 100
ATTENTIONS = ("eager", "sdpa")
EAGER_ONLY = ("mpnet", "deberta-v2")
# BERT's or RoBERTa's layers under another name: the quick tests leave them out.
KIN = ("xlm-roberta", "camembert", "data2vec-text")
NO_TOKEN_TYPES = ("distilbert", "mpnet", "modernbert")

BERT_SIZES = {
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": NEURONS,
    "hidden_size": HIDDEN,
    "max_position_embeddings": 40,
}

ROBERTA_SIZES = BERT_SIZES | {"pad_token_id": 1, "type_vocab_size": 2}

# One line a family: how its configuration says LAYERS, HEADS, NEURONS and HIDDEN.
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": BERT_SIZES,
    "roberta": ROBERTA_SIZES,
    "xlm-roberta": ROBERTA_SIZES,
    "camembert": ROBERTA_SIZES,
    "data2vec-text": ROBERTA_SIZES,
    "distilbert": {
        "n_layers": LAYERS,
        "n_heads": HEADS,
        "hidden_dim": NEURONS,
        "dim": HIDDEN,
        "max_position_embeddings": 40,
    },
    "electra": BERT_SIZES | {"embedding_size": 20},
    "mpnet": BERT_SIZES | {"pad_token_id": 1},
    # As DeBERTa v3: content projections also project positions, in buckets.
    "deberta-v2": BERT_SIZES
    | {
        "type_vocab_size": 2,
        "relative_attention": True,
        "pos_att_type": ["c2p", "p2c"],
        "share_att_key": True,
        "position_buckets": 4,
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
    },
    # Short texts are longer than its window, too; the second layer attends to everything.
    "modernbert": BERT_SIZES
    | {
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "cls_token_id": 2,
        "sep_token_id": 3,
        "local_attention": 4,
        "global_attn_every_n_layers": 2,
        "norm_bias": True,
    },
    # Layers with weights of their own; how they are shared has tests of its own.
    "albert": BERT_SIZES | {"num_hidden_groups": LAYERS, "embedding_size": 20},
}


def attentions(names: Iterable[str] = CONFIGS) -> list[tuple[str, str]]:
    """Each family with each implementation of attention that it has."""
    return [
        (name, attention)
        for name in names
        for attention in ATTENTIONS
        if attention == "eager" or name not in EAGER_ONLY
    ]


# Where the cut entries of a layer's weights are: by head or by neuron, in rows or in columns.
_BERT_LIKE = {
    **{f"attention.self.{name}": ("head", "rows") for name in ("query", "key", "value")},
    "attention.output.dense": ("head", "columns"),
    "intermediate.dense": ("neuron", "rows"),
    "output.dense": ("neuron", "columns"),
}
_DISTILBERT = {
    **{f"attention.{name}_lin": ("head", "rows") for name in ("q", "k", "v")},
    "attention.out_lin": ("head", "columns"),
    "ffn.lin1": ("neuron", "rows"),
    "ffn.lin2": ("neuron", "columns"),
}
_MPNET = {
    **{f"attention.attn.{name}": ("head", "rows") for name in ("q", "k", "v")},
    "attention.attn.o": ("head", "columns"),
    "intermediate.dense": ("neuron", "rows"),
    "output.dense": ("neuron", "columns"),
}
_DEBERTA_V2 = {
    **{f"attention.self.{name}_proj": ("head", "rows") for name in ("query", "key", "value")},
    "attention.output.dense": ("head", "columns"),
    "intermediate.dense": ("neuron", "rows"),
    "output.dense": ("neuron", "columns"),
}
_MODERNBERT = {
    "attn.Wqkv": ("head", "rows"),
    "attn.Wo": ("head", "columns"),
    "mlp.Wi": ("neuron", "rows"),
    "mlp.Wo": ("neuron", "columns"),
}
_ALBERT = {
    **{f"attention.{name}": ("head", "rows") for name in ("query", "key", "value")},
    "attention.dense": ("head", "columns"),
    "ffn": ("neuron", "rows"),
    "ffn_output": ("neuron", "columns"),
}
# Where a layer is, and its matrices.
LAYOUTS = {
    "bert": ("bert.encoder.layer.{}", _BERT_LIKE),
    "roberta": ("roberta.encoder.layer.{}", _BERT_LIKE),
    "xlm-roberta": ("roberta.encoder.layer.{}", _BERT_LIKE),
    "camembert": ("roberta.encoder.layer.{}", _BERT_LIKE),
    "data2vec-text": ("data2vec_text.encoder.layer.{}", _BERT_LIKE),
    "electra": ("electra.encoder.layer.{}", _BERT_LIKE),
    "distilbert": ("distilbert.transformer.layer.{}", _DISTILBERT),
    "mpnet": ("mpnet.encoder.layer.{}", _MPNET),
    "deberta-v2": ("deberta.encoder.layer.{}", _DEBERTA_V2),
    "modernbert": ("model.layers.{}", _MODERNBERT),
    "albert": ("albert.encoder.albert_layer_groups.{}.albert_layers.0", _ALBERT),
}

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{index}" for index in range(5, VOCABULARY))]


def classifier(
    family: str, attention: str | None = None, labels: int = 3, seed: int = 0, **changes: Any
) -> PreTrainedModel:
    config = AutoConfig.for_model(
        family,
        vocab_size=VOCABULARY,
        num_labels=labels,
        initializer_range=0.4,
        **CONFIGS[family] | changes,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_config(config, attn_implementation=attention)
        for parameter in model.parameters():
            # Fresh biases are 0 and fresh norms 1, which would hide a wrong slice of them.
            torch.nn.init.normal_(parameter, parameter.mean().item(), 0.2)
    return model.eval()


def batch(family: str, rows: int = 5, length: int = 11) -> dict[str, torch.Tensor]:
    """Rows of different lengths, padded, with token types where the family has them."""
    generator = torch.Generator().manual_seed(7)
    lengths = torch.linspace(3, length, rows).long()
    valid = torch.arange(length) < lengths[:, None]
    padding = CONFIGS[family].get("pad_token_id", 0)
    tokens = torch.randint(5, VOCABULARY, (rows, length), generator=generator)
    fed = {"input_ids": tokens.where(valid, torch.tensor(padding)), "attention_mask": valid.long()}
    if family not in NO_TOKEN_TYPES:
        fed["token_type_ids"] = (torch.arange(length) >= lengths[:, None] // 2).long() * valid
    return fed


def logits(model: PreTrainedModel, fed: dict[str, torch.Tensor] | None = None) -> torch.Tensor:
    with torch.no_grad():
        return model(**(fed or batch(model.config.model_type.removeprefix("earlyrobust-")))).logits


def ticket(family: str, **parts: Any) -> Ticket:
    """A ticket that leaves every layer another number of heads and neurons, and the second a single head."""
    heads = np.array([[1, 0, 1, 1], [0, 0, 1, 0], [1, 1, 1, 1]], dtype=bool)
    neurons = np.random.default_rng(3).random((LAYERS, NEURONS)) < np.array([[0.2], [0.5], [0.9]])
    return Ticket(family, heads, neurons, **parts)


def searched_ticket(family: str) -> Ticket:
    """A ticket with all that a search leaves in it."""
    random = np.random.default_rng(4)
    plain = ticket(family)
    return ticket(
        family,
        head_scores=random.normal(size=plain.heads.shape).astype(np.float32),
        neuron_scores=random.normal(size=plain.neurons.shape).astype(np.float32),
        trace=SearchTrace(
            miniepochs=(
                Miniepoch(5, None, None, 0),
                Miniepoch(10, 0.25, 0.125, 0),
                Miniepoch(15, 0.0, 0.1, 1),
            ),
            head_masks=random.random((3, LAYERS, HEADS)) < 0.5,
            neuron_masks=random.random((3, LAYERS, NEURONS)) < 0.5,
            stop_reason="limit",
            epochs=0.15,
            steps_per_miniepoch=5,
            steps_per_epoch=100,
        ),
        origin={"method": "earlyrobust", "seed": 3, "settings": {"γ": 0.1, "names": ["a", "b"]}},
    )


def assert_equal_tickets(first: Ticket, second: Ticket) -> None:
    assert first.model_type == second.model_type
    assert first.origin == second.origin
    for name in ("heads", "neurons", "head_scores", "neuron_scores"):
        assert_equal_arrays(getattr(first, name), getattr(second, name))
    assert (first.trace is None) == (second.trace is None)
    if first.trace is not None and second.trace is not None:
        mine, theirs = vars(first.trace).copy(), vars(second.trace).copy()
        for name in ("head_masks", "neuron_masks"):
            assert_equal_arrays(mine.pop(name), theirs.pop(name))
        assert mine == theirs


def assert_equal_arrays(first: Any, second: Any) -> None:
    assert (first is None) == (second is None)
    if first is not None:
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)


def tokenizer() -> PreTrainedTokenizerFast:
    backend = Tokenizer(
        models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]")
    )
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
