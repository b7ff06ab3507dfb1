"""Measures accuracy on clean text."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from earlyrobust import processes
from earlyrobust.encoders import padding_side
from earlyrobust.errors import DataError, ModelError
from earlyrobust.statistics.measures import Accuracy

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def evaluate_clean(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, dataset: Dataset, batch_size: int = 64
) -> Accuracy:
    """Measure the accuracy of a classifier on a tokenised data set.

    Args:
        model: Any sequence classifier.
        tokenizer: The model's tokenizer, which pads the batches.
        dataset: Tokenised examples with `labels` or `label`, in any format; other columns are ignored.
        batch_size: Number of examples in a batch. It does not change the result.

    Returns:
        The share of right answers, with a 95 % interval.

    Raises:
        DataError: If the examples are not tokenised or have no labels, or a label is no class of the model.
        ModelError: If a logit is NaN or infinite.
    """
    labels, classes = _labels_of(dataset), model.config.num_labels
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise DataError(
            f"A label is {wrong[0]}, but the model has {classes} classes, 0 to {classes - 1}: leave out "
            "examples without a label, and number the classes as the model does."
        )
    return accuracy_of(predict(model, tokenizer, dataset, batch_size).argmax(axis=1), dataset)


def accuracy_of(predicted: NDArray[np.int64], dataset: Dataset) -> Accuracy:
    """Return the accuracy of predictions.

    Args:
        predicted: Indices of classes, shape (examples,).
        dataset: The examples, with `labels` or `label`.

    Returns:
        The share of right predictions, with a 95 % interval.

    Raises:
        DataError: If the data set has no examples, or no column with one class for each example.
    """
    return Accuracy.of(int((predicted == _labels_of(dataset)).sum()), len(dataset))


def _labels_of(dataset: Dataset) -> NDArray[np.int64]:
    name = next((name for name in ("labels", "label") if name in dataset.column_names), None)
    if name is None or not len(dataset):
        raise DataError(
            f"The data set has {len(dataset)} examples and the columns {', '.join(dataset.column_names)}: "
            "accuracy needs examples with a column 'labels' or 'label'."
        )
    labels = np.asarray(dataset.with_format(None)[name])
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"The column '{name}' holds {dataset.with_format(None)[0][name]!r}, but accuracy needs the "
            "index of one class for each example."
        )
    return labels


def predict(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, dataset: Dataset, batch_size: int = 64
) -> NDArray[np.float32]:
    """Compute the logits of a classifier on a tokenised data set.

    The function puts the model into evaluation mode, and restores its mode at the end. Processes that share a
    job share the examples.

    Args:
        model: Any sequence classifier.
        tokenizer: The model's tokenizer, which pads the batches.
        dataset: Tokenised examples, in any format; columns that the model does not read are ignored.
        batch_size: Number of examples in a batch.

    Returns:
        The logits in the order of the data set, shape (examples, classes).

    Raises:
        ModelError: If a logit is NaN or infinite.
        DataError: If the examples are not tokenised.
    """
    lengths, dataset = _inputs_of(dataset, model, tokenizer)
    order = np.argsort(lengths, kind="stable")[::-1]  # texts of similar length need little padding
    batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
    training = model.training
    model.train(False)
    own: list[list[list[float]]] = []
    with torch.inference_mode():
        for rows in batches[processes.rank() :: processes.count()]:
            batch = collate(tokenizer, dataset.select(rows), model)
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


def _inputs_of(
    dataset: Dataset, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> tuple[Any, Dataset]:
    """Return the lengths of the examples, and the examples without columns that the model does not read."""
    dataset = dataset.with_format(None)
    if "input_ids" not in dataset.column_names:
        raise DataError(
            f"The examples are not tokenised, their columns are {', '.join(dataset.column_names)}: apply the "
            "tokenizer first, as in dataset.map(lambda row: tokenizer(row['text'], truncation=True))."
        )
    known = {*tokenizer.model_input_names, *inspect.signature(getattr(model, "forward", model)).parameters}
    inputs = dataset.select_columns(
        [name for name in dataset.column_names if name in known and not name.startswith("label")]
    )
    prepared = getattr(dataset.features.get("length"), "dtype", "").startswith("int")
    return dataset["length"] if prepared else [len(row) for row in dataset["input_ids"]], inputs


def collate(tokenizer: PreTrainedTokenizerBase, rows: Dataset, model: PreTrainedModel) -> dict[str, Tensor]:
    """Pad rows into one batch on a model's device.

    Args:
        tokenizer: The model's tokenizer, which pads the rows.
        rows: Tokenised examples with the model's inputs. A column `length` is left out.
        model: The model.

    Returns:
        The inputs by name, each of shape (rows, tokens).
    """
    columns = {name: values for name, values in rows[:].items() if name != "length"}
    batch: Any = tokenizer.pad(columns, padding_side=padding_side(model.config), return_tensors="pt")
    return cast("dict[str, Tensor]", dict(batch.to(model.device)))
