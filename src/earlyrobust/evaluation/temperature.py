"""Fits the temperature of a classifier's probabilities on texts that are not attacked."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from earlyrobust.results import TemperatureRecord

# The search covers temperatures within this factor of the mean spread of a text's logits.
_RANGE = 1e4
# Significant digits of the temperature. They are few, so that devices that round differently find the same
# temperature. An attack can be continued only at the temperature that it began with.
_DIGITS = 3


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> TemperatureRecord:
    """Fit the temperature T that minimises the mean negative log-likelihood of softmax(logits / T).

    The loss is convex in 1 / T. The function minimises it over log T in float64 (Guo et al., "On Calibration
    of Modern Neural Networks", ICML 2017).

    Args:
        logits: Logits of texts that are not attacked, shape (texts, classes).
        labels: The right classes, shape (texts,).

    Returns:
        The temperature with three significant digits, the number of texts, and the loss at T = 1 and at the
        temperature.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    exact = logits.astype(np.float64)
    spread = float((exact.max(axis=1) - exact.min(axis=1)).mean()) or 1.0

    def loss(log_temperature: float) -> float:
        scaled = exact / math.exp(log_temperature)
        own = scaled[np.arange(len(labels)), labels]
        return float((logsumexp(scaled, axis=1) - own).mean())

    middle, reach = math.log(spread), math.log(_RANGE)
    found = minimize_scalar(loss, bounds=(middle - reach, middle + reach), method="bounded")
    temperature = float(f"{math.exp(found.x):.{_DIGITS}g}")
    return TemperatureRecord(temperature, len(labels), loss(0.0), loss(math.log(temperature)))
