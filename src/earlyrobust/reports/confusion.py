"""Shows the answers of a classifier by class, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from earlyrobust.reports.tables import Table
from earlyrobust.results import Confusion

# A confusion matrix of more classes is too wide; recall, precision and F1 are shown without it.
MOST_CLASSES = 10


def confusion_table(title: str, confusion: Confusion, names: Sequence[str]) -> Table:
    """Show recall, precision and F1 of each class, and the confusion matrix if there are few classes.

    Args:
        title: Title of the table.
        confusion: The confusion matrix.
        names: Names of the classes, in the order of the matrix.
    """
    few = len(names) <= MOST_CLASSES
    columns = ["class", "examples", "recall %", "precision %", "F1 %"]
    shares = zip(confusion.recall, confusion.precision, confusion.f1, strict=True)
    rows = []
    for name, support, counts, measures in zip(
        names, confusion.support, confusion.counts, shares, strict=True
    ):
        predicted = [f"{count:,}" for count in counts] if few else []
        rows.append([name, f"{support:,}", *map(percent_of, measures), *predicted])
    note = (
        "Recall: the share of the examples of a class that are classified right. Precision: the share of the "
        "answers with a class that are right. F1: their harmonic mean."
    )
    return Table(
        title, [*columns, *(f"→ {name}" for name in names if few)], [list(row) for row in rows], note
    )


def percent_of(share: float | None, digits: int = 1) -> str:
    """Write a share in percent, with `digits` digits behind the point; a dash for None."""
    return "–" if share is None else f"{100 * share:.{digits}f}"
