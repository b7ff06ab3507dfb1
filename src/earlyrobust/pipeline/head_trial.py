"""Tests the head of a given classifier on training texts: whether it is trained, and fits the classes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from earlyrobust.analysis.findings import describe_swapped, swapped_classes
from earlyrobust.encoders import fit_tokenizer, readable_tokens
from earlyrobust.errors import DataError
from earlyrobust.evaluation import predict
from earlyrobust.options.run import OWN_DATA, RunConfig
from earlyrobust.pipeline.model_object import outputs_of

# Number of training texts on which a head is tested.
_TRIED = 256
# Number of random orders of the answers, and the share of them that may be as good as the answers.
_ORDERS, _LEVEL = 999, 0.05


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
    """Return whether the answers of a classifier on some training texts agree with the labels by design.

    They do if hardly any random order of the answers agrees as well. So a head that finds a rare class is
    better than chance, and one that always gives the same answer is not.

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
    _refuse_swapped(right.tolist(), found[1].tolist(), outputs_of(model))
    return _beats_chance(found[1], right, lambda answers: int((answers == right).sum()))


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

    def most_correct(answers: NDArray[np.intp]) -> int:
        counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
        np.add.at(counts, (right, answers), 1)
        return int(counts[linear_sum_assignment(counts, maximize=True)].sum())

    return _beats_chance(found[1], right, most_correct)


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
    tokenizer = copy.deepcopy(tokenizer)
    fit_tokenizer(tokenizer, copy.deepcopy(model.config))
    limits = (form.max_length or int(OWN_DATA["max_length"]), readable_tokens(model, tokenizer))
    length = min(limit for limit in limits if limit is not None)
    tokens = tokenizer(*texts, truncation=True, max_length=length)
    answers = predict(model, tokenizer, Dataset.from_dict(dict(tokens))).argmax(axis=1)
    return list(rows[form.label_column]), answers


def _beats_chance(
    answers: NDArray[np.intp], right: NDArray[np.int64], correct: Callable[[NDArray[np.intp]], int]
) -> bool:
    """Test by permutations whether answers agree with the right ones more than by chance.

    Args:
        answers: The answers.
        right: The right answers.
        correct: Counts the correct ones of some answers.
    """
    if len(set(right.tolist())) < 2:  # there is nothing to tell apart
        return True
    random, most = np.random.default_rng(0), correct(answers)
    as_good = sum(correct(random.permutation(answers)) >= most for _ in range(_ORDERS))
    return (as_good + 1) / (_ORDERS + 1) < _LEVEL
