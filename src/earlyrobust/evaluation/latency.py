"""Times several classifiers in turns, so that other work on the machine slows all of them alike."""

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

# Number of first passes that are not timed, because they allocate memory and choose kernels.
_WARM_UP = 2
_LEAST_PASSES, _MOST_PASSES = 5, 200


def time_in_turns(
    models: Mapping[str, PreTrainedModel], batch_size: int, tokens: int, seconds: float, seed: int = 0
) -> dict[str, LatencyRecord]:
    """Time forward passes of classifiers on the same batch of random tokens, one pass of each in turn.

    Args:
        models: Classifiers by name, in evaluation mode, with the same vocabulary.
        batch_size: Number of texts in the batch.
        tokens: Length of each text.
        seconds: Time limit for all classifiers together. At least five passes of each are timed, and at most
            200.
        seed: Seed of the random tokens.

    Returns:
        For each classifier the median and the 95th percentile of its times, in seconds.
    """
    took: dict[str, list[float]] = {name: [] for name in models}
    batches = {name: random_batch(model, batch_size, tokens, seed) for name, model in models.items()}
    names = list(models)
    began = time.perf_counter()
    with torch.inference_mode():
        for count in range(_WARM_UP + _MOST_PASSES):
            # The order changes each time, because threads of one runtime may still be awake when the next
            # model begins.
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
    """Return the logits of a batch, computed for all rows at once; wait until the device has finished."""
    if isinstance(model, OnnxClassifier):
        return model.run(batch)
    logits: Tensor = model(**batch).logits
    synchronize(model.device)
    return logits


def random_batch(model: PreTrainedModel, batch_size: int, tokens: int, seed: int) -> dict[str, Tensor]:
    """Make a batch of random tokens without padding, on a model's device.

    Args:
        model: The classifier that will read the batch.
        batch_size: Number of texts in the batch.
        tokens: Length of each text.
        seed: Seed of the random tokens.

    Returns:
        The inputs by name, each of shape (batch_size, tokens).
    """
    vocabulary = model.config.vocab_size
    generator = torch.Generator().manual_seed(seed)
    # Models may treat special tokens differently. These have low ids, so only the upper half is drawn.
    ids = torch.randint(vocabulary // 2, vocabulary, (batch_size, tokens), generator=generator)
    end = getattr(model.config, "eos_token_id", None)
    if model.config.is_encoder_decoder and isinstance(end, int):
        ids[:, -1] = end  # such models read their answer off the end token
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if isinstance(model, OnnxClassifier) and "token_type_ids" in model.inputs:
        batch["token_type_ids"] = torch.zeros_like(ids)
    return {name: values.to(model.device) for name, values in batch.items()}


def memory_of(load: Callable[[str], PreTrainedModel], place: str, batch_size: int, tokens: int) -> int:
    """Measure the memory that a fresh process needs to load a classifier and run one batch.

    Args:
        load: A function that loads the classifier. It is defined at the top level of a module.
        place: The argument of `load`.
        batch_size: Number of texts in the batch.
        tokens: Length of each text.

    Returns:
        The growth of the process's memory, in bytes.
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
    """Return the peak memory of this process in bytes; its present memory where the peak is unknown."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
    except (OSError, StopIteration):
        return int(psutil.Process().memory_info().rss)
