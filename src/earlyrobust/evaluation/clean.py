"""Accuracy on clean text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DataCollatorWithPadding

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
            batch = collate(tokenizer, dataset.select(order[start : start + batch_size]), model.device)
            batch.pop("labels", None)
            logits.append(model(**batch).logits.float().cpu().numpy())
    model.train(training)
    restored = np.empty((len(order), logits[0].shape[1]), dtype=np.float32)
    restored[order] = np.concatenate(logits)
    return restored


def collate(tokenizer: PreTrainedTokenizerBase, rows: Dataset, device: torch.device) -> dict[str, Tensor]:
    """Pad rows to one batch on a device, without the columns that are no input."""
    columns = [name for name in rows.column_names if name != "length"]
    collator = DataCollatorWithPadding(tokenizer)
    batch: Any = collator([{name: row[name] for name in columns} for row in rows])
    return cast("dict[str, Tensor]", dict(batch.to(device)))
