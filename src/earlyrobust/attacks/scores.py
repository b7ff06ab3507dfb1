"""Scores: how near a classifier is to erring on a text, which is what an attack raises.

A score also says how the classifier answers. The published attacks see probabilities in float32. These hide
what an attack needs when logits are very large (all probabilities are 0 or 1) or very small (all are alike).
Logits in float64 do not.
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
    """How near a classifier is to erring on a text."""

    def describe(self) -> dict[str, Any]:
        """The score's name and settings as JSON types; nothing for the score of the published attacks."""
        return {}

    @abstractmethod
    def answers(self, logits: Tensor) -> list[Answer]:
        """Turn logits, shape (texts, classes), into what the classifier answers, each of shape (classes,)."""

    @abstractmethod
    def of(self, answer: Answer, label: int) -> float:
        """The score of an answer, given the class that is right."""

    def share(self, score: float, start: float) -> float:
        """How far a score is on the way to an error, to be multiplied with others: 1 where the victim errs.

        Args:
            score: The score of a changed text.
            start: The score of the untouched text, on which the victim does not err.
        """
        return score

    @abstractmethod
    def probability(self, answer: Answer, label: int) -> float:
        """The probability that an answer gives to a class."""


class Probability(Score):
    """1 - p(label) in float32: the score of the published attacks."""

    def answers(self, logits: Tensor) -> list[Answer]:
        """Class probabilities in float32."""
        return list(torch.softmax(logits.float(), dim=1).numpy())

    def of(self, answer: Answer, label: int) -> float:
        """1 - p(label), with the precision of float32."""
        return float(1 - answer[label])

    def probability(self, answer: Answer, label: int) -> float:
        """The probability itself."""
        return float(answer[label])


class LogitMargin(Score):
    """The largest logit of another class less that of the label, in float64.

    With two classes it ranks texts as 1 - p(label) does in exact arithmetic, whatever the temperature.
    """

    def describe(self) -> dict[str, Any]:
        """The name."""
        return {"score": "logit margin"}

    def answers(self, logits: Tensor) -> list[Answer]:
        """Logits in float64."""
        return list(logits.double().numpy())

    def of(self, answer: Answer, label: int) -> float:
        """The margin, which is positive where the classifier errs."""
        return float(np.delete(answer, label).max() - answer[label])

    def share(self, score: float, start: float) -> float:
        """The part of the way from the untouched text's margin to 0, whatever the scale of the logits."""
        return (score - start) / -start if start < 0 else score

    def probability(self, answer: Answer, label: int) -> float:
        """Of the softmax in float64."""
        return float(np.exp(answer[label] - np.logaddexp.reduce(answer)))


class LogOdds(LogitMargin):
    """The log odds that the label is wrong, with the logits divided by a temperature, in float64.

    It ranks texts as 1 - p(label) does at that temperature, but does not saturate. With two classes it is the
    logit margin / temperature, and ranks texts as the margin does.

    Args:
        temperature: T > 0, as fitted on texts that are not attacked.
    """

    def __init__(self, temperature: float) -> None:
        self._temperature = temperature

    def describe(self) -> dict[str, Any]:
        """Name and temperature."""
        return {"score": "log odds", "temperature": self._temperature}

    def of(self, answer: Answer, label: int) -> float:
        """log((1 - p) / p) of the label."""
        scaled = answer / self._temperature
        return float(np.logaddexp.reduce(np.delete(scaled, label)) - scaled[label])


PROBABILITY, LOGIT_MARGIN = Probability(), LogitMargin()
