"""Writes accuracies, the numbers of an attack and the stop of a search for all tables and pages."""

from __future__ import annotations

from earlyrobust.reports.tables import Cell, Number
from earlyrobust.reports.validity import validity_rows
from earlyrobust.results import AttackRecord, SearchRecord
from earlyrobust.statistics.measures import (
    AUA,
    CLEAN,
    QUERIES,
    SIMILARITY,
    SUCCESS,
    WEAKEST,
    WORDS_CHANGED,
    Accuracy,
    Mean,
)

NOTHING = "–"


def percent(accuracy: Accuracy | None) -> Cell:
    """Return an accuracy in percent with its interval; a dash for None."""
    return NOTHING if accuracy is None else Number(percent_mean(accuracy))


def percent_mean(accuracy: Accuracy) -> Mean:
    """Return an accuracy and its interval in percent."""
    return Mean(100 * accuracy.value, 100 * accuracy.low, 100 * accuracy.high, 1)


def number(mean: Mean | None, digits: int, scale: float = 1) -> Cell:
    """Return a mean with its interval, times a factor; a dash for None."""
    if mean is None:
        return NOTHING
    return Number(Mean(scale * mean.value, scale * mean.low, scale * mean.high, 1), digits)


def attack_cells(record: AttackRecord) -> dict[str, Cell]:
    """Return all numbers of an attack by their names."""
    return {
        CLEAN: percent(record.clean),
        AUA: percent(record.under_attack),
        WEAKEST: percent(None if record.weakest is None else record.weakest.under_attack),
        SUCCESS: percent(record.success_rate),
        QUERIES: number(record.queries, 1),
        WORDS_CHANGED: number(record.words_changed, 1, scale=100),
        SIMILARITY: number(record.similarity, 3),
        **validity_rows(record),
    }


def describe_stop(search: SearchRecord, advice: str = "raise --epochs or --search-epochs") -> str:
    """Return a sentence on when and why a search stopped.

    Args:
        search: The search.
        advice: What to do on small data if the masks have not settled.
    """
    count = len(search.miniepochs)
    told = (
        f"The search stopped after {search.epochs:.2f} epochs ({count} miniepoch{'s' * (count != 1)} of "
        f"{search.steps_per_miniepoch} steps)"
    )
    if search.stop_reason == "fixed":
        return f"{told}, the time that was set."
    if search.stop_reason == "callback":
        return f"{told}: a callback ended it before the masks had settled."
    if search.stop_reason != "converged":
        return f"{told}, its limit: the masks have not settled. On small data, {advice}."
    if search.settled_since is None:
        return f"{told}: the masks have settled."
    return f"{told}: the masks have been settled since epoch {search.settled_since:.2f}."
