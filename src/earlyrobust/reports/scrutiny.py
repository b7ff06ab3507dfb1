"""Renders the page of scrutiny: accuracy under each attack and its variants, as a table and curves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from earlyrobust.reports import plots
from earlyrobust.reports.html import environment, write_page
from earlyrobust.reports.numbers import percent
from earlyrobust.reports.tables import Cell, Table
from earlyrobust.results import AttackRecord, AttackReport, ScrutinyRecord, VariantRecord
from earlyrobust.statistics.measures import Accuracy, Mean

SCRUTINY_PAGE = "scrutiny.html"
_NAMES = {
    "plain": "plain attack",
    "margin": "score: logit margin",
    "temperature": "score: log odds at the fitted temperature",
    "words": "other words",
    "replay": "texts that broke the other model of the run",
    "random": "random substitutions",
}


def render_scrutiny(report: AttackReport, folder: Path) -> None:
    """Write the page of all attacks with scrutiny into a folder; write nothing if there are none."""
    parts = [
        _part(name, record, record.scrutiny)
        for name, record in report.attacks.items()
        if record.scrutiny is not None
    ]
    if parts:
        write_page(environment(), SCRUTINY_PAGE, folder / SCRUTINY_PAGE, parts=parts, model=report.model)


def scrutiny_table(title: str, record: AttackRecord, scrutiny: ScrutinyRecord) -> Table:
    """Make the table of accuracy under the plain attack, each variant, and all of them together."""
    rows = [_row("plain attack", record.under_attack, record.queries)]
    for name, variant in scrutiny.variants.items():
        rows.append(_row(name_of(name, variant), variant.under_attack, variant.queries, variant))
    rows.append(_row("all of these", scrutiny.under_scrutiny, None))
    columns = ["", "Aua%", "#Query", "newly broken", "missed", "p"]
    note = (
        "Newly broken: examples that the variant breaks and the plain attack does not. Missed: examples that "
        "the plain attack breaks and the variant does not. "
        f"Scrutiny took {scrutiny.costs:.1f} times the queries of the plain attack."
    )
    return Table(title, columns, rows, note)


def name_of(name: str, variant: VariantRecord) -> str:
    """Return the title of a variant; for the variant "words" it includes the name of the list."""
    return f"{_NAMES[name]}: {variant.settings['neighbours']}" if name == "words" else _NAMES[name]


def _row(
    name: str, share: Accuracy, queries: Mean | None, variant: VariantRecord | None = None
) -> list[Cell]:
    cells: list[Cell] = [name, percent(share)]
    cells.append("" if queries is None else f"{queries.value:.1f}")
    if variant is None:
        return [*cells, "", "", ""]
    return [*cells, str(variant.only_variant), str(variant.only_plain), f"{variant.adjusted_p:.2g}"]


def _part(title: str, record: AttackRecord, scrutiny: ScrutinyRecord) -> dict[str, Any]:
    return {
        "title": title,
        "headlines": [scrutiny.describe(record.under_attack)],
        "notes": list(_notes(scrutiny)),
        "table": scrutiny_table("Accuracy under attack, on the same examples", record, scrutiny),
        "pictures": list(_pictures(scrutiny)),
    }


def _notes(scrutiny: ScrutinyRecord) -> Iterator[str]:
    if (fitted := scrutiny.temperature) is not None:
        yield (
            f"On {fitted.texts:,} texts that are not attacked, the logits fit best after division by "
            f"{fitted.value:.3g}: the mean negative log-likelihood goes from {fitted.loss_before:.3g} to "
            f"{fitted.loss_after:.3g}. For a well calibrated model, the divisor is about 1."
        )
    for name, why in scrutiny.left_out.items():
        yield f"Left out: {_NAMES[name]}. {why}"
    if "words" in scrutiny.variants:
        yield "Other words may change the meaning of a text more than the words of the plain attack do."


def _pictures(scrutiny: ScrutinyRecord) -> Iterator[tuple[str, Figure]]:
    curves = {_NAMES[name]: curve for name, curve in scrutiny.by_queries.items()}
    yield (
        "Accuracy under attack by the number of allowed queries; shaded: interval of the plain attack",
        plots.against_allowed(curves, "queries for each example", 10, steps=True),
    )
    if (by_candidates := scrutiny.by_candidates) is not None:
        yield (
            "Accuracy under attack by the number of candidates for each word (K), scored by the logit "
            "margin; more candidates may mislead a greedy attack, so the curve may rise in places",
            plots.against_allowed(
                {_NAMES["margin"]: by_candidates}, "candidates for each word", 2, steps=False
            ),
        )
