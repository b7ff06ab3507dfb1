"""Checks of batches: which tokens are valid, and whether the labels are classes of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from earlyrobust.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# The losses of torch and transformers ignore examples with this label.
IGNORED = -100
_COLUMNS = ("labels", "label")


def valid_tokens(inputs: dict[str, Any], padding: int | None) -> Tensor:
    """Return which tokens of a batch are valid: the attention mask, or else all tokens but padding.

    Args:
        inputs: The inputs of the model.
        padding: Id of the padding token; None if there is none, so that all tokens are valid.

    Returns:
        Shape (B, T), 0 at padding.

    Raises:
        DataError: If the batch has no token ids, or its mask has another shape than they.
    """
    tokens = inputs.get("input_ids")
    if tokens is None:
        raise DataError(
            f"The batches hold no input_ids, only {', '.join(inputs)}: an adversary perturbs the "
            "embeddings of tokens, so keep input_ids in the batches of the data collator."
        )
    mask = inputs.get("attention_mask")
    if mask is None:
        return torch.ones_like(tokens) if padding is None else tokens.ne(padding).to(tokens.dtype)
    if mask.shape != tokens.shape:
        raise DataError(
            f"The attention mask has shape {tuple(mask.shape)}, but the token ids have shape "
            f"{tuple(tokens.shape)}: an adversary needs a mask that holds one number for each token."
        )
    return mask  # type: ignore[no-any-return]


def ignores_all(labels: Any) -> bool:
    """Return whether losses ignore all labels of a batch."""
    return isinstance(labels, Tensor) and bool((labels == IGNORED).all())


def check_labels(labels: Any, model: PreTrainedModel) -> None:
    """Check that labels are classes of a classifier, or -100, which losses ignore.

    Labels of other kinds are not checked, such as those of a regression, or several labels per example.

    Args:
        labels: The labels of some examples.
        model: The classifier.

    Raises:
        DataError: If a label is neither a class nor -100.
    """
    classes = model.config.num_labels
    if model.config.problem_type not in (None, "single_label_classification") or classes == 1:
        return
    values = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        return
    wrong = values[((values < 0) | (values >= classes)) & (values != IGNORED)]
    if len(wrong):
        raise DataError(
            f"A label is {wrong[0]}, but the model has {classes} classes, 0 to {classes - 1}: number the "
            "classes from 0, give the model as many as there are, and leave out examples without a label, or "
            f"label them {IGNORED}."
        )


def check_labels_of(dataset: Any, model: PreTrainedModel) -> bool:
    """Check the labels of a whole data set, if they are a column that can be read at once.

    Args:
        dataset: The data set.
        model: The classifier.

    Returns:
        Whether later batches need no check of their labels.

    Raises:
        DataError: If a label is no class of the model.
    """
    features = getattr(dataset, "features", None) or {}
    name = next((name for name in _COLUMNS if name in features), None)
    if name is None or not hasattr(dataset, "unique"):
        return False
    if "int" in getattr(features[name], "dtype", ""):
        check_labels(dataset.unique(name), model)
    return True
