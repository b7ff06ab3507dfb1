"""The temperature at which a classifier's probabilities fit texts that are not attacked."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from earlyrobust.results import TemperatureRecord

# The temperature is looked for within this factor of the spread of the logits.
_RANGE = 1e4
# Equal on devices that round differently: an attack that goes on must find the temperature it began with.
_DIGITS = 3


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> TemperatureRecord:
    """Fit the temperature T that minimises the mean negative log-likelihood of softmax(logits / T).

    It is one-dimensional and convex in 1 / T, and is minimised over log T in float64 (Guo et al., "On
    Calibration of Modern Neural Networks", ICML 2017).

    Args:
        logits: Of texts that are not attacked, shape (texts, classes).
        labels: Their classes, shape (texts,).
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
