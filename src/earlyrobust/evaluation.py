"""Judging classifiers: accuracy on clean text, and what a forward pass costs."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DataCollatorWithPadding

from earlyrobust.families import FAMILIES, Dimensions
from earlyrobust.results import Accuracy, SpeedRecord

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from earlyrobust.ticket import Ticket


def evaluate_clean(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, dataset: Dataset, batch_size: int = 64
) -> Accuracy:
    """Accuracy of a classifier on a tokenised data set.

    Args:
        model: Any sequence classifier.
        tokenizer: Pads the batches.
        dataset: Tokenised examples with `labels`.
        batch_size: Examples in a batch; it does not change the result.

    Returns:
        Right answers of all, with a 95 % interval.
    """
    predicted = predict(model, tokenizer, dataset, batch_size).argmax(axis=1)
    return Accuracy.of(int((predicted == np.asarray(dataset["labels"])).sum()), len(dataset))


def predict(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, dataset: Dataset, batch_size: int = 64
) -> NDArray[np.float32]:
    """Logits of a classifier on a tokenised data set, in the data set's order, shape (examples, classes).

    The model is in evaluation mode meanwhile and left in the mode it was in.
    """
    order = np.argsort(dataset["length"], kind="stable")[::-1]  # neighbours in length need little padding
    training = model.training
    model.train(False)
    logits: list[NDArray[np.float32]] = []
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            batch = _collate(tokenizer, dataset.select(order[start : start + batch_size]), model.device)
            batch.pop("labels", None)
            logits.append(model(**batch).logits.float().cpu().numpy())
    model.train(training)
    restored = np.empty((len(order), logits[0].shape[1]), dtype=np.float32)
    restored[order] = np.concatenate(logits)
    return restored


def measure_speed(
    dense: PreTrainedModel,
    small: PreTrainedModel,
    ticket: Ticket,
    tokenizer: PreTrainedTokenizerBase,
    dataset: Dataset,
    *,
    batch_size: int = 32,
    rounds: int = 15,
) -> SpeedRecord:
    """Time the forward passes of a dense and a cut model in turns, on the same real batch.

    Args:
        dense: The dense model.
        small: The cut model, on the same device.
        ticket: What it was cut by.
        tokenizer: Pads the batch.
        dataset: Tokenised examples; those in the middle of its lengths make the batch.
        batch_size: Examples in the batch.
        rounds: Timed passes of each model, after two untimed ones.

    Returns:
        Median time ratio and the ratio of operations that would explain it.
    """
    order = np.argsort(dataset["length"], kind="stable")
    start = max(0, (len(order) - batch_size) // 2)
    batch = _collate(tokenizer, dataset.select(order[start : start + batch_size]), dense.device)
    batch.pop("labels", None)
    seconds: dict[str, list[float]] = {"dense": [], "small": []}
    models = {"dense": dense, "small": small}
    for model in models.values():
        model.train(False)
    with torch.inference_mode():
        for _ in range(rounds + 2):
            for name, model in models.items():
                began = time.perf_counter()
                model(**batch)
                if model.device.type == "cuda":
                    torch.cuda.synchronize()
                seconds[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(times[2:]) for name, times in seconds.items()}
    examples, tokens = batch["input_ids"].shape
    return SpeedRecord(
        time_ratio=medians["small"] / medians["dense"],
        flops_ratio=flops_ratio(dense, ticket, tokens),
        batch_size=examples,
        tokens=tokens,
    )


def flops_ratio(dense: PreTrainedModel, ticket: Ticket, tokens: int) -> float:
    """Floating-point operations of the cut model's transformer layers / those of the dense model's.

    Args:
        dense: The dense model.
        ticket: What was cut out of it.
        tokens: Length of a text in tokens, on which the share of attention depends.
    """
    family = FAMILIES[dense.config.model_type]
    size = family.dimensions(dense.config)
    hidden = dense.config.hidden_size
    cut = sum(
        _layer_flops(size, hidden, heads, neurons, tokens)
        for heads, neurons in zip(ticket.heads_per_layer, ticket.neurons_per_layer, strict=True)
    )
    return cut / (size.layers * _layer_flops(size, hidden, size.heads, size.neurons, tokens))


def _layer_flops(size: Dimensions, hidden: int, heads: int, neurons: int, tokens: int) -> int:
    """Operations for one token in one layer: four projections, attention, two FFN matrices."""
    channels = heads * size.head_size
    return 2 * (4 * hidden * channels + 2 * tokens * channels + 2 * hidden * neurons)


def _collate(tokenizer: PreTrainedTokenizerBase, rows: Dataset, device: torch.device) -> dict[str, Tensor]:
    """Pad rows to one batch, without the bookkeeping columns."""
    columns = [name for name in rows.column_names if name != "length"]
    collator = DataCollatorWithPadding(tokenizer)
    batch: Any = collator([{name: row[name] for name in columns} for row in rows])
    return cast("dict[str, Tensor]", dict(batch.to(device)))
