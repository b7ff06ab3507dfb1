"""Measures the time and counts the operations of a forward pass."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from earlyrobust.encoders import synchronize
from earlyrobust.evaluation.clean import collate
from earlyrobust.families import FAMILIES
from earlyrobust.results import SpeedRecord

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from earlyrobust.tickets.ticket import Ticket


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
    """Time forward passes of a dense and a cut model in turns, on the same batch of real texts.

    Args:
        dense: The dense model.
        small: The cut model, on the same device.
        ticket: The ticket by which the model was cut.
        tokenizer: The models' tokenizer, which pads the batch.
        dataset: Tokenised examples with a column `length`. The batch consists of examples of medium length.
        batch_size: Number of examples in the batch.
        rounds: Number of timed passes of each model, after two untimed ones.

    Returns:
        Median time of the cut model / median time of the dense model, and the ratio of their operations.
    """
    order = np.argsort(dataset["length"], kind="stable")
    start = max(0, (len(order) - batch_size) // 2)
    batch = collate(tokenizer, dataset.select(order[start : start + batch_size]), dense)
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
                synchronize(model.device)
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
    """Return the floating-point operations of the cut model's layers / those of the dense model's layers.

    Args:
        dense: The dense model.
        ticket: The ticket by which the dense model is cut.
        tokens: Length of a text in tokens. The share of attention in the operations depends on it.
    """
    family = FAMILIES[dense.config.model_type]
    size = family.dimensions(dense.config)
    hidden = int(dense.config.hidden_size)

    def layer_flops(heads: int, neurons: int) -> int:
        """Count the operations for one token in one layer: four projections, attention, the FFN matrices."""
        channels = heads * size.head_size
        return 2 * (4 * hidden * channels + 2 * tokens * channels + family.ffn_matrices * hidden * neurons)

    kept = zip(ticket.heads_per_layer, ticket.neurons_per_layer, strict=True)
    cut = sum(layer_flops(heads, neurons) for heads, neurons in kept)
    return cut / (size.layers * layer_flops(size.heads, size.neurons))
