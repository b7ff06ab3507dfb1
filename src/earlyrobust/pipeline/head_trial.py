"""Tests the head of a given classifier on training texts: whether it is trained, and fits the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from earlyrobust.analysis.findings import describe_swapped, swapped_classes
from earlyrobust.errors import DataError
from earlyrobust.evaluation import predict
from earlyrobust.options.run import OWN_DATA, RunConfig
from earlyrobust.statistics.measures import Accuracy

# Number of training texts on which a head is tested.
_TRIED = 256


def check_order_of_classes(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: Dataset, names: Sequence[str]
) -> None:
    """Refuse a trained classifier that gives some training texts systematically another class.

    A training from its head would give its outputs the meaning of other classes, and keep their names.

    Args:
        model: The classifier.
        tokenizer: Its tokenizer.
        rows: The tokenised training texts, with `labels`.
        names: The names of the classes.

    Raises:
        DataError: If the classes seem to be swapped.
    """
    tried = rows.shuffle(seed=0).select(range(min(_TRIED, len(rows))))
    answers = predict(model, tokenizer, tried.remove_columns("labels")).argmax(axis=1)
    _refuse_swapped(tried["labels"][:], answers.tolist(), names)


def is_better_than_chance(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    table: Dataset,
    outputs: Mapping[Any, int],
    form: RunConfig,
) -> bool:
    """Return whether a classifier is better on some training texts than predicting the largest class.

    Args:
        model: The classifier.
        tokenizer: Its tokenizer.
        table: The training texts and their labels.
        outputs: The output of each label.
        form: The options of the user.

    Raises:
        DataError: If the classes seem to be swapped.
    """
    found = _try_head(model, tokenizer, table, form)
    if found is None:
        return True
    labels = [label if label in outputs else str(label) for label in found[0]]
    if not set(labels) <= set(outputs):
        return True  # The run reports the unknown label.
    right = np.array([outputs[label] for label in labels])
    id2label = model.config.id2label
    names = [str(id2label[index]) for index in range(model.config.num_labels)]
    _refuse_swapped(right.tolist(), found[1].tolist(), names)
    return _beats_chance(int((found[1] == right).sum()), right)


def could_match(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    table: Dataset,
    classes: Sequence[str],
    form: RunConfig,
) -> bool:
    """Return whether some match of outputs and classes makes a classifier better than chance.

    Args:
        model: The classifier, with one output for each class.
        tokenizer: Its tokenizer.
        table: The training texts and their labels.
        classes: The classes.
        form: The options of the user.
    """
    found = _try_head(model, tokenizer, table, form)
    if found is None:
        return True
    right = np.array([classes.index(str(label)) for label in found[0]])
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(counts, (right, found[1]), 1)
    most = int(counts[linear_sum_assignment(counts, maximize=True)].sum())
    return _beats_chance(most, right)


def _refuse_swapped(labels: Sequence[int], answers: Sequence[int], names: Sequence[str]) -> None:
    if swapped := swapped_classes(labels, answers, names):
        raise DataError(
            f"The trained classifier gives most training texts {describe_swapped(swapped)}, so the classes "
            "may be swapped: say by --labels which class each output stands for, or choose --start "
            "pretrained for a new head."
        )


def _try_head(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, table: Dataset, form: RunConfig
) -> tuple[list[Any], NDArray[np.intp]] | None:
    """Return the labels of some training texts and the outputs that a classifier gives them.

    Returns:
        Both, for each text; None if a text is missing, which the run reports.
    """
    rows = table.shuffle(seed=0).select(range(min(_TRIED, len(table))))
    columns = [form.text_column] if form.pair_column is None else [form.text_column, form.pair_column]
    texts = [list(rows[column]) for column in columns]
    if not all(isinstance(text, str) for column in texts for text in column):
        return None
    length = form.max_length or int(OWN_DATA["max_length"])
    tokens = tokenizer(*texts, truncation=True, max_length=length)
    answers = predict(model, tokenizer, Dataset.from_dict(dict(tokens))).argmax(axis=1)
    return list(rows[form.label_column]), answers


def _beats_chance(correct: int, right: NDArray[np.int64]) -> bool:
    return Accuracy.of(correct, len(right)).beats(float(np.bincount(right).max() / len(right)))
