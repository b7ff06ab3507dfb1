"""Measures how well a classifier's probabilities match its accuracy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_BINS = 15


def calibration_error(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Compute the expected calibration error (ECE): the mean distance between confidence and accuracy.

    The confidence of a text is its largest class probability. The function sorts the texts by confidence into
    15 bins of equal width. ECE is the mean over all texts of |mean confidence − accuracy| of their bin (Guo
    et al., "On Calibration of Modern Neural Networks", ICML 2017).

    Args:
        logits: Shape (texts, classes).
        labels: The right classes, shape (texts,).

    Returns:
        The ECE as a share, from 0 to 1.
    """
    from scipy.special import softmax

    probabilities = softmax(logits.astype(np.float64), axis=1)
    confidence = probabilities.max(axis=1)
    right = logits.argmax(axis=1) == labels
    # As in the definition, a bin contains its upper end.
    place = np.clip(np.ceil(confidence * _BINS).astype(np.int64) - 1, 0, _BINS - 1)
    gaps = np.bincount(place, confidence - right, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(labels))
