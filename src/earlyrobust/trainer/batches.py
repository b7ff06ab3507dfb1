"""What a training step must know of its batch: which tokens are no padding, and whether the labels exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from earlyrobust.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# The label of examples that losses leave out, in torch and in transformers.
_IGNORED = -100
_COLUMNS = ("labels", "label")


def valid_tokens(inputs: dict[str, Any], padding: int | None) -> Tensor:
    """Which tokens of a batch are no padding: its attention mask, or all tokens but the padding one.

    Args:
        inputs: Of the model.
        padding: Index of the padding token; None if there is none, so that every token counts.

    Returns:
        Shape (B, T), 0 at padding.

    Raises:
        DataError: If there are no token ids, or the mask is not of their shape.
    """
    tokens = inputs.get("input_ids")
    if tokens is None:
        raise DataError(
            f"The batches hold no input_ids, only {', '.join(inputs)}: an adversary perturbs the "
            "embeddings of tokens, so leave input_ids in what the data collator returns."
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


def check_labels(labels: Any, model: PreTrainedModel) -> None:
    """Check that labels are classes of a classifier, or -100, which losses leave out.

    Labels of other kinds, such as those of a regression or of several labels an example, may be anything.

    Args:
        labels: Of some examples.
        model: The classifier.

    Raises:
        DataError: If one is not.
    """
    classes = model.config.num_labels
    if model.config.problem_type not in (None, "single_label_classification") or classes == 1:
        return
    values = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        return
    wrong = values[((values < 0) | (values >= classes)) & (values != _IGNORED)]
    if len(wrong):
        raise DataError(
            f"A label is {wrong[0]}, but the model has {classes} classes, 0 to {classes - 1}: number the "
            "classes from 0, give the model as many as there are, and leave out examples without a label, or "
            f"label them {_IGNORED}."
        )


def check_labels_of(dataset: Any, model: PreTrainedModel) -> bool:
    """Check the labels of a whole data set, where they are a column that can be read at once.

    Returns:
        Whether they could be checked.

    Raises:
        DataError: If one is no class of the model.
    """
    columns = getattr(dataset, "column_names", None) or ()
    name = next((name for name in _COLUMNS if name in columns), None)
    if name is None or not hasattr(dataset, "unique"):
        return False
    check_labels(dataset.unique(name), model)
    return True
