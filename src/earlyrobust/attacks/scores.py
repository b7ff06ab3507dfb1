"""Scores: numbers that tell how close a classifier is to an error on a text. An attack raises the score.

A score also decides in which form the classifier answers. The published attacks read probabilities in
float32. If logits are very large, these probabilities are all 0 or 1. If logits are very small, they are all
alike. Then they do not tell an attack which text is better. Logits in float64 still tell it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Answer = NDArray[np.float32] | NDArray[np.float64]


class Score(ABC):
    """Tells how close a classifier is to an error on a text; the base class of all scores."""

    def describe(self) -> dict[str, Any]:
        """Return name and settings as JSON types; an empty dict for the score of the published attacks."""
        return {}

    @abstractmethod
    def answers(self, logits: Tensor) -> list[Answer]:
        """Turn logits, shape (texts, classes), into one answer for each text, each of shape (classes,)."""

    @abstractmethod
    def of(self, answer: Answer, label: int) -> float:
        """Return the score of an answer, given the index of the right class."""

    def share(self, score: float, start: float) -> float:
        """Return a score on a scale that suits products of scores, as in PWWS.

        Args:
            score: The score of a changed text.
            start: The score of the original text, on which the victim does not err.

        Returns:
            The score itself; subclasses with another scale rescale it.
        """
        return score

    @abstractmethod
    def probability(self, answer: Answer, label: int) -> float:
        """Return the probability that an answer gives to a class."""


class Probability(Score):
    """1 - p(label) in float32: the score of the published attacks."""

    def answers(self, logits: Tensor) -> list[Answer]:
        """Return class probabilities in float32, one array of shape (classes,) for each text."""
        return list(torch.softmax(logits.float(), dim=1).numpy())

    def of(self, answer: Answer, label: int) -> float:
        """Return 1 - p(label), with the precision of float32."""
        return float(1 - answer[label])

    def probability(self, answer: Answer, label: int) -> float:
        """Return p(label), which the answer holds."""
        return float(answer[label])


class LogitMargin(Score):
    """The largest logit of the other classes minus the logit of the label, in float64.

    With two classes it ranks texts as 1 - p(label) does in exact arithmetic, at any temperature.
    """

    def describe(self) -> dict[str, Any]:
        """Return the name of the score."""
        return {"score": "logit margin"}

    def answers(self, logits: Tensor) -> list[Answer]:
        """Return logits in float64, one array of shape (classes,) for each text."""
        return list(logits.double().numpy())

    def of(self, answer: Answer, label: int) -> float:
        """Return the margin, which is positive where the classifier errs."""
        return float(np.delete(answer, label).max() - answer[label])

    def share(self, score: float, start: float) -> float:
        """Return the progress towards an error: 0 at the margin of the original text, 1 at a margin of 0.

        The progress does not depend on the scale of the logits.
        """
        return (score - start) / -start if start < 0 else score

    def probability(self, answer: Answer, label: int) -> float:
        """Return the softmax probability of the label, in float64."""
        return float(np.exp(answer[label] - np.logaddexp.reduce(answer)))


class LogOdds(LogitMargin):
    """The log odds that the label is wrong, with the logits divided by a temperature, in float64.

    It ranks texts as 1 - p(label) does at that temperature, but does not saturate. With two classes it equals
    the logit margin / temperature, so it ranks texts as the margin does.

    Args:
        temperature: T > 0, fitted on texts that are not attacked.
    """

    def __init__(self, temperature: float) -> None:
        self._temperature = temperature

    def describe(self) -> dict[str, Any]:
        """Return the name of the score and the temperature."""
        return {"score": "log odds", "temperature": self._temperature}

    def of(self, answer: Answer, label: int) -> float:
        """Return log((1 - p) / p), where p is the probability of the label."""
        scaled = answer / self._temperature
        return float(np.logaddexp.reduce(np.delete(scaled, label)) - scaled[label])


PROBABILITY, LOGIT_MARGIN = Probability(), LogitMargin()
