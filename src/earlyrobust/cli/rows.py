"""The rows and numbers of the tables that a command ends with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from earlyrobust.reports.confusion import percent_of
from earlyrobust.reports.validity import NEVER_OFFERED, validity_rows
from earlyrobust.results import Accuracy, AttackRecord, Mean, RunRecord, SearchRecord
from earlyrobust.results.measures import LARGEST_CLASS, MACRO_F1
from earlyrobust.results.wording import duration
from earlyrobust.tickets.ticket import SearchTrace

# The rows of each attack that a run shows.
_ATTACK_ROWS_OF_A_RUN = ("Aua%", "#Query", NEVER_OFFERED)


def how_it_stopped(search: SearchRecord | SearchTrace) -> str:
    """Say when and why a search stopped."""
    count = len(search.miniepochs)
    told = (
        f"The search stopped after {search.epochs:.2f} epochs and {count} miniepoch{'s' * (count != 1)} of "
        f"{search.steps_per_miniepoch} steps: {search.stop_reason}"
    )
    if search.stop_reason == "converged":
        since = search.settled_since
        return f"{told}, the masks have {'' if since is None else 'been '}settled{_since(since)}."
    if search.stop_reason == "fixed":
        return f"{told}, as it was told."
    return f"{told}, the masks have not settled. On small data, raise --search-epochs."


def _since(epochs: float | None) -> str:
    return "" if epochs is None else f" since epoch {epochs:.2f}"


def rows_of_run(record: RunRecord) -> Iterator[tuple[str, str, str]]:
    """Name each result of a run, with the dense model's value and the method's; an empty text for none."""
    dense, small = record.dense, record.model

    def both(show: Any) -> tuple[str, str]:
        return ("" if dense is None else show(dense)), show(small)

    yield "Clean% (95 % interval)", *both(lambda model: percent(model.test))
    if record.data.largest_class is not None:
        yield LARGEST_CLASS, *both(lambda _: _share(record.data.largest_class))
    if small.confusion is not None:
        yield (
            MACRO_F1,
            *both(lambda model: "" if model.confusion is None else _share(model.confusion.macro_f1)),
        )
    for name in small.attacks:
        for row in _ATTACK_ROWS_OF_A_RUN:
            yield (
                f"{row}, {name}",
                *both(lambda model, name=name, row=row: dict(rows_of_attack(model.attacks[name]))[row]),
            )
    yield "Clean% on selection", *both(lambda model: f"{100 * model.selection.value:.2f}")
    if small.calibration_error is not None:
        yield (
            "ECE% (calibration error)",
            *both(
                lambda model: (
                    "" if model.calibration_error is None else f"{100 * model.calibration_error:.1f}"
                )
            ),
        )
    yield "Parameters", *both(lambda model: f"{model.parameters:,}")
    yield "... in the layers", *both(lambda model: f"{model.encoder_parameters:,}")
    if record.ticket is not None:
        for name, (kept, total) in (
            ("Heads", record.ticket.heads_kept),
            ("FFN neurons", record.ticket.neurons_kept),
        ):
            yield name, str(total), f"{kept} of {total}"
    if record.weights is not None:
        yield "Weights that are not zero", f"{record.weights.total:,}", f"{record.weights.kept:,}"
    if "ticket" in record.seconds:
        yield "Search", "", duration(record.seconds["ticket"])
    dense_seconds = None if record.given else record.seconds.get("dense")
    yield (
        "Fine-tuning",
        "" if dense_seconds is None else duration(dense_seconds),
        duration(record.seconds["model"]),
    )


def rows_of_attack(record: AttackRecord) -> Iterator[tuple[str, str]]:
    """Name each result of an attack, with its value and interval."""
    yield "Clean%", percent(record.clean)
    yield "Aua%", percent(record.under_attack)
    yield "Attack success rate %", "" if record.success_rate is None else percent(record.success_rate)
    yield "#Query", _mean(record.queries, 1, ".1f")
    yield "Words changed %", _mean(record.words_changed, 100, ".1f")
    yield "Similarity", _mean(record.similarity, 1, ".3f")
    yield from validity_rows(record).items()


def _mean(mean: Mean | None, scale: float, form: str) -> str:
    if mean is None:
        return ""
    value, low, high = (format(scale * number, form) for number in (mean.value, mean.low, mean.high))
    return f"{value} ({low} to {high})"


def percent(accuracy: Accuracy) -> str:
    """Write an accuracy in percent, with its interval."""
    return f"{100 * accuracy.value:.2f} ({100 * accuracy.low:.1f} to {100 * accuracy.high:.1f})"


def _share(value: float | None) -> str:
    return percent_of(value, digits=2)
