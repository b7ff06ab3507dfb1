"""Makes the tables of a single run, and the sentences that sum it up."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from earlyrobust.reports.confusion import confusion_table, percent_of
from earlyrobust.reports.numbers import NOTHING, attack_cells, describe_stop, percent
from earlyrobust.reports.tables import Cell, Table
from earlyrobust.reports.validity import (
    MEANING_OF_AUA,
    MEANING_OF_ECE,
    MEANING_OF_WEAKEST,
    NEVER_OFFERED,
    validity_of_models,
)
from earlyrobust.results import ModelRecord, RunRecord, SearchRecord
from earlyrobust.results.wording import listed as _and
from earlyrobust.statistics.measures import (
    AUA,
    CALIBRATION,
    CLEAN,
    LARGEST_CLASS,
    MACRO_F1,
    MEGABYTES,
    PARAMETERS,
    QUERIES,
    WEAKEST,
    of_attack,
)


def run_headlines(record: RunRecord) -> list[str]:
    """Sum up a run in sentences: accuracies, time of a forward pass, search, and findings."""
    sentences = describe_accuracies(record)
    if (cost := describe_cost(record)) is not None:
        sentences.append(cost)
    if record.search is not None:
        sentences.append(describe_stop(record.search))
    return sentences + record.findings


def describe_accuracies(record: RunRecord) -> list[str]:
    """Tell the accuracies of a run's classifier and of the dense model, a sentence for each model."""
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
    return sentences


def describe_cost(record: RunRecord) -> str | None:
    """Compare the cost of a run's classifier with that of the dense model; None without a dense model."""
    model, dense, speed = record.model, record.dense, record.speed
    if dense is None:
        return None
    parts = []
    if fewer := 1 - model.parameters / dense.parameters:
        parts.append(f"has {100 * fewer:.0f} % fewer parameters than the {record.rival}")
    if speed is not None and speed.plausible_time_ratio is not None:
        parts.append(
            f"takes {speed.plausible_time_ratio:.2f} of the time of a forward pass "
            f"({speed.flops_ratio:.2f} of the floating-point operations)"
        )
    elif speed is not None:
        parts.append(f"takes {speed.flops_ratio:.2f} of the floating-point operations of a forward pass")
    if not record.given and record.seconds.get("dense"):
        times = record.training_seconds / record.seconds["dense"]
        parts.append(f"took {times:.2f} times the training time of the {record.rival}")
    return f"The {record.title} {_and(parts)}." if parts else None


def settling_headline(search: SearchRecord, gamma: float, patience: int, settling: str = "streak") -> str:
    """Return a sentence on when the masks of a search settled, even if the search did not end there.

    Args:
        search: A search with at least two miniepochs.
        gamma: γ, the distance between consecutive masks below which they count as settled.
        patience: Number of miniepochs in a row for which the masks of heads and of neurons must be settled.
        settling: The rule, "streak" or "window", as the option `settling`.
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
    rule = f"both below γ for {patience} miniepochs in a row" if patience > 1 else "both below γ once"
    if settling == "window":
        rule = f"both masks closer than γ to each of the next {patience}"
    end = "was never met"
    if met is not None:
        first, last = (epoch(search.miniepochs[place].step) for place in (met - patience, met))
        end = f"was met by epoch {last}: the masks have been settled since epoch {first}"
    return (
        f"Masks change by less than γ = {gamma:g} from one miniepoch to the next: {', '.join(told)}. "
        f"The rule that ends a search ({rule}) {end}."
    )


def run_tables(record: RunRecord) -> list[Table]:
    """Make the tables of a run, with a column for the dense model, if any, and one for the method's model.

    The first table holds accuracy, size and training time; the last one holds the seconds of all stages.
    """
    shown = _models(record)
    return [
        table
        for table in [
            results_table(record),
            validity_of_models(shown),
            *(
                confusion_table(f"Answers by class: {title}", model.confusion, record.data.label_names)
                for title, model in shown.items()
                if model.confusion is not None
            ),
            Table(
                "Seconds", ["stage", "s"], [[stage, f"{took:.1f}"] for stage, took in record.seconds.items()]
            ),
        ]
        if table is not None
    ]


def results_table(record: RunRecord, *, with_never_offered: bool = False) -> Table:
    """Make the table of accuracy, size and training time.

    Args:
        record: The record of the run.
        with_never_offered: Whether the table also counts the examples for which an attack offered no
            candidate.
    """
    shown = _models(record)
    of_attacks = (AUA, WEAKEST, QUERIES, *((NEVER_OFFERED,) if with_never_offered else ()))
    return Table("Results", ["", *shown], _rows(record, [*shown.values()], of_attacks), _notes(record))


def _models(record: RunRecord) -> dict[str, ModelRecord]:
    """Return the models of a run by the headings of their columns."""
    models = {record.column_of_dense: record.dense, record.title: record.model}
    return {title: model for title, model in models.items() if model is not None}


def _rows(record: RunRecord, models: Sequence[ModelRecord], of_attacks: Sequence[str]) -> list[list[Cell]]:
    """Make the rows of the table of results.

    Args:
        record: The record of the run.
        models: The models of the columns; the last one is the method's model.
        of_attacks: Names of the measures of each attack.
    """

    def row(name: str, show: Callable[[ModelRecord], Cell]) -> list[Cell]:
        return [name, *map(show, models)]

    def row_of_model(name: str, of_dense: str, of_model: str) -> list[Cell]:
        return [name, *([of_dense] if len(models) > 1 else []), of_model]

    model = record.model
    rows = [row(CLEAN, lambda model: percent(model.test))]
    if record.data.largest_class is not None:
        rows.append(row(LARGEST_CLASS, lambda _: percent_of(record.data.largest_class)))
    if model.confusion is not None:
        rows.append(row(MACRO_F1, _macro_f1))
    for attack in model.attacks:
        for name in of_attacks:
            if name == WEAKEST and model.attacks[attack].weakest is None:
                continue  # the record of an older version, or examples of one class
            rows.append(
                row(
                    of_attack(name, attack),
                    lambda model, attack=attack, name=name: _attack_cell(model, attack, name),  # type: ignore[misc]
                )
            )
    rows.append(row("Clean% on selection", lambda model: percent(model.selection)))
    if model.calibration_error is not None:
        rows.append(row(CALIBRATION, _calibration))
    rows += [
        row(PARAMETERS, lambda model: f"{model.parameters:,}"),
        row("... in the layers", lambda model: f"{model.encoder_parameters:,}"),
        row(MEGABYTES, lambda model: f"{model.bytes / 1e6:.1f}"),
    ]
    if record.ticket is not None:
        kept = {"Heads": record.ticket.heads_kept, "FFN neurons": record.ticket.neurons_kept}
        rows += [row_of_model(name, f"{total:,}", f"{of:,}") for name, (of, total) in kept.items()]
    if record.weights is not None:
        weights = record.weights
        rows.append(row_of_model("Weights that are not zero", f"{weights.total:,}", f"{weights.kept:,}"))
    dense_seconds = NOTHING if record.given else _seconds(record, "dense")
    if "ticket" in record.seconds:
        rows.append(row_of_model("Search s", NOTHING, _seconds(record, "ticket")))
    rows.append(row_of_model("Fine-tuning s", dense_seconds, _seconds(record, "model")))
    return rows


def _notes(record: RunRecord) -> str:
    """Return the note below the table of results, which explains its numbers."""
    notes = ["The 95 % interval is in brackets."]
    if record.attacks:
        known = any(attack.weakest is not None for attack in record.model.attacks.values())
        notes[:0] = [MEANING_OF_AUA, *([MEANING_OF_WEAKEST] if known else [])]
    if record.model.calibration_error is not None:
        notes.append(MEANING_OF_ECE)
    return " ".join(notes)


def _seconds(record: RunRecord, stage: str) -> str:
    return f"{record.seconds[stage]:.1f}" if stage in record.seconds else NOTHING


def _attack_cell(model: ModelRecord, attack: str, name: str) -> Cell:
    return attack_cells(model.attacks[attack])[name] if attack in model.attacks else NOTHING


def _macro_f1(model: ModelRecord) -> Cell:
    return NOTHING if model.confusion is None else percent_of(model.confusion.macro_f1)


def _calibration(model: ModelRecord) -> Cell:
    error = model.calibration_error
    return NOTHING if error is None else f"{100 * error:.1f}"
