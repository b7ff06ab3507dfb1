"""The answers of a classifier by class: confusion matrix, recall, precision, F1."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from earlyrobust.statistics.measures import depend_on_classes


@dataclass(frozen=True)
class Confusion:
    """The confusion matrix of a classifier, and the measures by class that follow from it.

    Attributes:
        counts: Number of examples, by the right class and then by the class that was predicted. Shape
            (classes, classes).
    """

    counts: list[list[int]]

    @classmethod
    def of(cls, labels: Iterable[int], predicted: Iterable[int], classes: int) -> Confusion:
        """Count the answers.

        Args:
            labels: The right class of each example, as an index.
            predicted: The predicted class of each example.
            classes: Number of classes.
        """
        counts = [[0] * classes for _ in range(classes)]
        for label, answer in zip(labels, predicted, strict=True):
            counts[label][answer] += 1
        return cls(counts)

    @property
    def support(self) -> list[int]:
        """Number of examples of each class."""
        return [sum(row) for row in self.counts]

    @property
    def recall(self) -> list[float | None]:
        """Share of the examples of each class that are classified right; None for a class without any."""
        return [_share(row[index], sum(row)) for index, row in enumerate(self.counts)]

    @property
    def precision(self) -> list[float | None]:
        """Share of the answers with each class that are right; None for a class that is never predicted."""
        columns = zip(*self.counts, strict=True)
        return [_share(column[index], sum(column)) for index, column in enumerate(columns)]

    @property
    def f1(self) -> list[float | None]:
        """Harmonic mean of recall and precision of each class; None for a class that never occurs."""
        both = zip(self.counts, zip(*self.counts, strict=True), strict=True)
        return [_share(2 * row[index], sum(row) + sum(column)) for index, (row, column) in enumerate(both)]

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that occur among the labels or the answers."""
        return fmean(value for value in self.f1 if value is not None)

    @property
    def depends_on_classes(self) -> bool:
        """Whether the answers depend on the right classes, see `depend_on_classes`."""
        return depend_on_classes((row[index], sum(row)) for index, row in enumerate(self.counts))

    @property
    def largest_class(self) -> float:
        """Share of the examples that belong to the largest class: the accuracy of always naming it."""
        return max(self.support) / sum(self.support)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
