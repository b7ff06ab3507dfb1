"""Timing passes of several classifiers in turns, so that what else the machine does befalls all of them."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
import torch

from earlyrobust.encoders import synchronize
from earlyrobust.onnx_classifier import OnnxClassifier
from earlyrobust.results import LatencyRecord

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

# Passes that are not timed: the first ones allocate memory and choose kernels.
_WARM_UP = 2
_LEAST_PASSES, _MOST_PASSES = 5, 200


def time_in_turns(
    models: Mapping[str, PreTrainedModel], batch_size: int, tokens: int, seconds: float, seed: int = 0
) -> dict[str, LatencyRecord]:
    """Time the passes of classifiers on the same batch of random tokens, one pass of each in turn.

    Args:
        models: Classifiers by name, in evaluation mode, of one vocabulary.
        batch_size: Texts in the batch.
        tokens: Length of each text.
        seconds: How long to go on with all of them together; at least five passes of each are timed.
        seed: Of the tokens.

    Returns:
        Median and 95th percentile of each.
    """
    took: dict[str, list[float]] = {name: [] for name in models}
    batches = {name: random_batch(model, batch_size, tokens, seed) for name, model in models.items()}
    names = list(models)
    began = time.perf_counter()
    with torch.inference_mode():
        for count in range(_WARM_UP + _MOST_PASSES):
            # Another order each time: threads of one runtime may still be awake when the next model begins.
            for place in range(len(names)):
                name = names[(place + count) % len(names)]
                start = time.perf_counter()
                answer(models[name], batches[name])
                took[name].append(time.perf_counter() - start)
            if count >= _WARM_UP + _LEAST_PASSES - 1 and time.perf_counter() - began > seconds:
                break
    records = {}
    for name, times in took.items():
        timed = times[_WARM_UP:]
        p50, p95 = (float(value) for value in np.quantile(timed, [0.5, 0.95]))
        records[name] = LatencyRecord(batch_size, tokens, len(timed), p50, p95)
    return records


def answer(model: PreTrainedModel, batch: dict[str, Tensor]) -> Tensor:
    """Logits of a batch, all of its rows at once, when the device is done with them."""
    if isinstance(model, OnnxClassifier):
        return model.run(batch)
    logits: Tensor = model(**batch).logits
    synchronize(model.device)
    return logits


def random_batch(model: PreTrainedModel, batch_size: int, tokens: int, seed: int) -> dict[str, Tensor]:
    """Rows of random tokens without padding, on a model's device."""
    vocabulary = model.config.vocab_size
    generator = torch.Generator().manual_seed(seed)
    # Special tokens, which a model may treat otherwise, are among the first ones.
    ids = torch.randint(vocabulary // 2, vocabulary, (batch_size, tokens), generator=generator)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if isinstance(model, OnnxClassifier) and "token_type_ids" in model.inputs:
        batch["token_type_ids"] = torch.zeros_like(ids)
    return {name: values.to(model.device) for name, values in batch.items()}


def memory_of(load: Callable[[str], PreTrainedModel], place: str, batch_size: int, tokens: int) -> int:
    """Bytes by which a fresh process grows that loads a classifier and runs a batch.

    Args:
        load: Loads the classifier; a function at the top of a module.
        place: What it is called with.
        batch_size: Texts in the batch.
        tokens: Length of each text.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_grow, (load, place, batch_size, tokens, torch.get_num_threads()))


def _grow(
    load: Callable[[str], PreTrainedModel], place: str, batch_size: int, tokens: int, threads: int
) -> int:
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(threads)
    before = _most_memory()
    model = load(place).eval()
    with torch.inference_mode():
        answer(model, random_batch(model, batch_size, tokens, 0))
    return _most_memory() - before


def _most_memory() -> int:
    """The most bytes that this process has held in memory; where nothing tells it, what it holds now."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
    except (OSError, StopIteration):
        return int(psutil.Process().memory_info().rss)
