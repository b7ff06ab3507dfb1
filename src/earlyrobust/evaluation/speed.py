"""What a forward pass costs: measured time, and counted operations."""

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
    """Floating-point operations of the cut model's transformer layers / those of the dense model's.

    Args:
        dense: The dense model.
        ticket: What was cut out of it.
        tokens: Length of a text in tokens, on which the share of attention depends.
    """
    family = FAMILIES[dense.config.model_type]
    size = family.dimensions(dense.config)
    hidden = int(dense.config.hidden_size)

    def layer_flops(heads: int, neurons: int) -> int:
        """Operations for one token in one layer: four projections, attention, the FFN matrices."""
        channels = heads * size.head_size
        return 2 * (4 * hidden * channels + 2 * tokens * channels + family.ffn_matrices * hidden * neurons)

    kept = zip(ticket.heads_per_layer, ticket.neurons_per_layer, strict=True)
    cut = sum(layer_flops(heads, neurons) for heads, neurons in kept)
    return cut / (size.layers * layer_flops(size.heads, size.neurons))
