"""Accuracy on clean text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from earlyrobust import processes
from earlyrobust.encoders import padding_side
from earlyrobust.errors import ModelError
from earlyrobust.results import Accuracy

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


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
    return accuracy_of(predict(model, tokenizer, dataset, batch_size).argmax(axis=1), dataset)


def accuracy_of(predicted: NDArray[np.int64], dataset: Dataset) -> Accuracy:
    """Accuracy of predictions.

    Args:
        predicted: Indices of classes, shape (examples,).
        dataset: The examples, with `labels`.
    """
    return Accuracy.of(int((predicted == np.asarray(dataset["labels"])).sum()), len(dataset))


def predict(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, dataset: Dataset, batch_size: int = 64
) -> NDArray[np.float32]:
    """Logits of a classifier on a tokenised data set, in the data set's order, shape (examples, classes).

    The model is in evaluation mode meanwhile and left in the mode it was in. Processes that share a job share
    the examples.

    Raises:
        ModelError: If they are not numbers.
    """
    order = np.argsort(dataset["length"], kind="stable")[::-1]  # neighbours in length need little padding
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    training = model.training
    model.train(False)
    own: list[list[list[float]]] = []
    with torch.inference_mode():
        for rows in batches[processes.rank() :: processes.count()]:
            batch = collate(tokenizer, dataset.select(rows), model)
            batch.pop("labels", None)
            own.append(model(**batch).logits.float().tolist())
    model.train(training)
    logits = np.empty((len(order), model.config.num_labels), dtype=np.float32)
    for process, computed in enumerate(processes.gathered(own)):
        for rows, values in zip(batches[process :: processes.count()], computed, strict=True):
            logits[rows] = values
    if not np.isfinite(logits).all():
        raise ModelError(
            "The model's output is not a number (NaN or infinite), so its accuracy would mean nothing: train "
            "it again, with a smaller learning rate."
        )
    return logits


def collate(tokenizer: PreTrainedTokenizerBase, rows: Dataset, model: PreTrainedModel) -> dict[str, Tensor]:
    """Pad rows to one batch on a model's device, without the columns that are no input."""
    columns = {name: values for name, values in rows[:].items() if name != "length"}
    batch: Any = tokenizer.pad(columns, padding_side=padding_side(model.config), return_tensors="pt")
    return cast("dict[str, Tensor]", dict(batch.to(model.device)))
