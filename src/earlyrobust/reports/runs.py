"""What a single run shows: its table, and the sentences that say what it comes to."""

from __future__ import annotations

from collections.abc import Callable

from earlyrobust.reports.confusion import confusion_table, percent_of
from earlyrobust.reports.tables import Cell, Number, Table
from earlyrobust.reports.validity import MEANING_OF_AUA, MEANING_OF_ECE, validity_of_models
from earlyrobust.results import Accuracy, Mean, ModelRecord, RunRecord, SearchRecord
from earlyrobust.results.measures import CALIBRATION, LARGEST_CLASS, MACRO_F1


def run_headlines(record: RunRecord) -> list[str]:
    """What a run comes to, in sentences."""
    model, dense = record.model, record.dense
    name = record.title
    told = f"The {name} is right on {100 * model.test.value:.1f} % of clean texts"
    for attack, result in model.attacks.items():
        told += f", on {100 * result.under_attack.value:.1f} % under {attack}"
    sentences = [f"{told}."]
    if dense is not None:
        told = f"The {record.rival}: {100 * dense.test.value:.1f} % clean"
        for attack, result in dense.attacks.items():
            told += f", {100 * result.under_attack.value:.1f} % under {attack}"
        sentences.append(f"{told}.")
    if record.speed is not None:
        sentences.append(
            f"A forward pass takes {record.speed.time_ratio:.2f} of the time of the {record.rival} "
            f"(its operations: {record.speed.flops_ratio:.2f})."
        )
    if record.search is not None:
        since = record.search.settled_since
        settled = (
            "its masks had settled" if since is None else f"its masks were settled since epoch {since:.2f}"
        )
        ends = {"converged": settled, "fixed": "as it was told"}
        why = ends.get(record.search.stop_reason, "its masks had not settled")
        sentences.append(f"The search stopped after {record.search.epochs:.2f} epochs: {why}.")
    return sentences + record.findings


def settling_headline(search: SearchRecord, gamma: float, patience: int, settling: str = "streak") -> str:
    """When the masks of a search settled, whether or not that ended it.

    Args:
        search: A search of at least two miniepochs.
        gamma: γ, the distance between consecutive masks below which they count as settled.
        patience: Miniepochs in a row for which both must be.
        settling: The rule by which they are, as the option of that name.
    """

    def epoch(step: int) -> str:
        return f"{step / search.steps_per_epoch:.2f}"

    told = []
    for part in ("heads", "neurons"):
        distances = [getattr(miniepoch, part) for miniepoch in search.miniepochs]
        moved = max(
            place for place, distance in enumerate(distances) if distance is None or distance >= gamma
        )
        still = search.miniepochs[moved + 1 :]
        told.append(f"{part} from epoch {epoch(still[0].step)} on" if still else f"{part} not by the end")
    met = next((place for place, seen in enumerate(search.miniepochs) if seen.streak >= patience), None)
    rule = f"both so for {patience} in a row" if patience > 1 else "both so once"
    if settling == "window":
        rule = f"both masks as close as that to each of the next {patience}"
    end = "was never met"
    if met is not None:
        first, last = (epoch(search.miniepochs[place].step) for place in (met - patience, met))
        end = f"was met by epoch {last}: the masks have been settled since epoch {first}"
    return (
        f"Masks change by less than γ = {gamma:g} from one miniepoch to the next: {', '.join(told)}. "
        f"The rule that ends a search, {rule}, {end}."
    )


def run_tables(record: RunRecord) -> list[Table]:
    """The tables of a run: a column for the dense model, if there is one, and one for the method's.

    The first is that of accuracy, the last that of seconds.
    """
    models = {record.column_of_dense: record.dense, record.title: record.model}
    shown = {title: model for title, model in models.items() if model is not None}

    def row(name: str, show: Callable[[ModelRecord], Cell]) -> list[Cell]:
        return [name, *(show(model) for model in shown.values())]

    rows = [
        row("Clean%", lambda model: _share(model.test)),
        row("Clean% on selection", lambda model: _share(model.selection)),
    ]
    if record.data.largest_class is not None:
        rows.insert(1, row(LARGEST_CLASS, lambda _: percent_of(record.data.largest_class)))
    if record.model.confusion is not None:
        rows.insert(2, row(MACRO_F1, _macro_f1))
    for attack in record.model.attacks:
        rows.append(row(f"Aua%, {attack}", lambda model, attack=attack: _aua(model, attack)))  # type: ignore[misc]
        rows.append(row(f"#Query, {attack}", lambda model, attack=attack: _queries(model, attack)))  # type: ignore[misc]
    notes = [MEANING_OF_AUA] if record.attacks else []
    if record.model.calibration_error is not None:
        rows.append(row(CALIBRATION, _calibration))
        notes.append(MEANING_OF_ECE)
    rows += [
        row("Parameters", lambda model: f"{model.parameters:,}"),
        row("... in the layers", lambda model: f"{model.encoder_parameters:,}"),
        row("MB", lambda model: f"{model.bytes / 1e6:.1f}"),
    ]
    seconds: list[list[Cell]] = [[stage, f"{took:.1f}"] for stage, took in record.seconds.items()]
    notes.append("In brackets the 95 % interval.")
    tables = [
        Table("Accuracy and size", ["", *shown], rows, " ".join(notes)),
        validity_of_models(shown),
        *(
            confusion_table(f"Answers by class: {title}", model.confusion, record.data.label_names)
            for title, model in shown.items()
            if model.confusion is not None
        ),
        Table("Seconds", ["stage", "s"], seconds),
    ]
    return [table for table in tables if table is not None]


def _macro_f1(model: ModelRecord) -> Cell:
    return "–" if model.confusion is None else percent_of(model.confusion.macro_f1)


def _share(share: Accuracy) -> Number:
    return Number(Mean(100 * share.value, 100 * share.low, 100 * share.high, 1))


def _calibration(model: ModelRecord) -> Cell:
    error = model.calibration_error
    return "–" if error is None else f"{100 * error:.1f}"


def _aua(model: ModelRecord, attack: str) -> Cell:
    return _share(model.attacks[attack].under_attack) if attack in model.attacks else "–"


def _queries(model: ModelRecord, attack: str) -> Cell:
    found = model.attacks[attack].queries if attack in model.attacks else None
    return "–" if found is None else Number(found)
