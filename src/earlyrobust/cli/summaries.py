"""Shows the tables and sentences at the end of commands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.analysis.findings import faults_of_ticket
from earlyrobust.analysis.summary import summarise
from earlyrobust.cli.display import Display
from earlyrobust.reports.benchmark import benchmark_tables, benchmark_verdicts
from earlyrobust.reports.comparisons import RATIOS, comparison_tables, headlines
from earlyrobust.reports.confusion import confusion_table, percent_of
from earlyrobust.reports.numbers import attack_cells, describe_stop, percent
from earlyrobust.reports.pages import REPORT_PAGE
from earlyrobust.reports.resources import resources_of, resources_of_arms
from earlyrobust.reports.runs import describe_accuracies, describe_cost, results_table
from earlyrobust.reports.scrutiny import scrutiny_table
from earlyrobust.reports.tables import Cell, Table
from earlyrobust.reports.validity import MEANING_OF_AUA, MEANING_OF_WEAKEST, doubts_of_arms, faults_of_runs
from earlyrobust.reports.verdicts import verdicts_on_run
from earlyrobust.results import (
    MODEL_FOLDER,
    AttackRecord,
    AttackReport,
    BenchmarkRecord,
    EvaluationReport,
    ExportRecord,
    PredictionReport,
    ReplayReport,
    RunRecord,
    SearchRecord,
    TicketRecord,
)
from earlyrobust.statistics.measures import AUA, CLEAN, of_attack
from earlyrobust.tickets.ticket import Ticket
from earlyrobust.tickets.weight_ticket import WeightTicket
from earlyrobust.workspace.finding import bytes_of_weights


def show_run(display: Display, record: RunRecord, folder: Path) -> None:
    """Show the results of a run, and its verdict."""
    title = f"{record.data.name}: {record.config['model']}, seed {record.config['seed']}"
    display.show(replace(results_table(record, with_never_offered=True), title=title))
    for sentence in [*verdicts_on_run(record, folder), *describe_accuracies(record)]:
        display.say(sentence)
    if (cost := describe_cost(record)) is not None:
        display.say(cost)
    if record.search is not None and "ticket" in record.seconds:
        display.say(describe_stop(record.search))
    _note_resources(display, record.model.attacks)
    display.warn(record.findings)
    display.say(f"The report is in {folder}/report.html.")
    model = folder / MODEL_FOLDER
    if model.is_dir() and bytes_of_weights(model):
        display.say(f"The classifier is in {folder}/model, the record in {folder}/result.json.")
        return
    display.say(f"The record is in {folder}/result.json.")
    display.warn(
        [
            f"The classifier is not in {folder}/model any more: restore it, or delete the folder of the run "
            "and give the command again."
        ]
    )


def show_ticket(display: Display, ticket: Ticket | WeightTicket, folder: Path) -> None:
    """Show the ticket of a search: how the search stopped, and the size of the ticket."""
    if isinstance(ticket, WeightTicket):
        display.say(f"The ticket keeps {ticket.kept:,} of {ticket.weights:,} weights.")
    else:
        search = SearchRecord.of(ticket)
        if search is not None:
            display.say(describe_stop(search, "raise --search-epochs or lower --miniepoch-min-steps"))
        display.say(
            f"The ticket keeps {ticket.heads.sum()} of {ticket.heads.size} heads and {ticket.neurons.sum()} "
            f"of {ticket.neurons.size} neurons."
        )
        display.warn(faults_of_ticket(ticket.origin, search, TicketRecord.of(ticket)))
    display.say(f"The ticket is in {folder}/ticket: earlyrobust finetune --ticket {folder}")


def show_comparison(display: Display, comparison: Comparison, folder: Path) -> None:
    """Show the tables and verdicts of a comparison."""
    summaries = summarise(comparison)
    for table in comparison_tables(comparison, summaries):
        # A narrow terminal shows only the training times relative to the baseline.
        if table.name != RATIOS or display.has_room_for(table):
            display.show(table)
    for sentence in headlines(comparison, summaries):
        display.say(sentence)
    for name, used in resources_of_arms(comparison).items():
        display.note(f"{name} with {used}.")
    display.warn([*doubts_of_arms(comparison), *faults_of_runs(comparison)])
    display.say(f"The report is in {folder / REPORT_PAGE}, the tables beside it.")
    places = (folder / cell.folder / MODEL_FOLDER for cell in comparison.record.cells if cell.error is None)
    # A comparison needs only the records, so users may delete the classifiers.
    if kept := [place for place in places if place.is_dir()]:
        # The folder of a cell is relative to that of the comparison, and may be outside of it.
        display.say(f"The classifier of a run is in its folder, such as {os.path.normpath(kept[-1])}.")


def show_evaluation(display: Display, report: EvaluationReport) -> None:
    """Show the accuracy of a classifier, overall and by class."""
    accuracy, confusion = report.accuracy, report.confusion
    display.say(f"{report.model}: {CLEAN} {percent(accuracy)} ({accuracy.correct} of {accuracy.total} right)")
    if confusion is not None:
        display.show(confusion_table("Answers by class", confusion, report.outputs))
        display.say(
            f"Macro-F1: {percent_of(confusion.macro_f1)} %. A classifier that always names the largest class "
            f"is right in {percent_of(confusion.largest_class)} %."
        )
    display.warn(report.findings)


def show_predictions(display: Display, report: PredictionReport) -> None:
    """Show the number of rows with each predicted class."""
    rows: list[list[Cell]] = [[name, f"{count:,}"] for name, count in report.named.items()]
    display.show(Table(f"{report.rows:,} rows of {report.file}", ["predicted", "rows"], rows))
    if report.without_text:
        display.warn([f"Rows without a text: {report.without_text:,}. They have no prediction."])
    if report.cut:
        display.warn([f"{report.cut:,} texts are longer than {report.max_length} tokens and lose their end."])
    display.say(f"The predictions are in {report.output} ({report.rows_per_second:,.0f} rows a second).")


def show_export(display: Display, record: ExportRecord, folder: Path) -> None:
    """Show the comparison of an export with its model."""
    check = record.check
    assert check is not None
    rows: list[list[Cell]] = []
    if check.accuracy is not None:
        rows.append([CLEAN, percent(check.accuracy.model), percent(check.accuracy.export)])
    for name, pair in check.attacks.items():
        rows.append([of_attack(AUA, name), *(percent(attack.under_attack) for attack in pair)])
    if rows:
        title = f"{record.model} on {check.examples} examples of {check.data}"
        note = MEANING_OF_AUA if check.attacks else ""
        display.show(Table(title, ["", "model", record.to], rows, note))
    _note_resources(display, {name: model for name, (model, _) in check.attacks.items()})
    display.say(
        f"The largest difference of a logit is {check.largest_difference:.2g}. {check.predictions_changed} "
        f"of {check.examples} predictions differ."
    )
    display.warn(check.findings)
    if record.to == "dense":
        display.say(
            "The export is as large and as slow as the dense model: it stores and computes zeros, too."
        )
    display.say(f"The export is in {folder} ({record.bytes / 1e6:.1f} MB).")


def show_attacks(display: Display, model: str, report: AttackReport, folder: Path) -> None:
    """Show all numbers of attacks on a classifier."""
    examples = max(record.clean.total for record in report.attacks.values())
    title = f"{model} on {examples:,} examples of {report.data}"
    columns = [attack_cells(record) for record in report.attacks.values()]
    rows: list[list[Cell]] = [[name, *(column[name] for column in columns)] for name in columns[0]]
    note = f"{MEANING_OF_AUA} {MEANING_OF_WEAKEST} The 95 % interval is in brackets."
    display.show(Table(title, ["", *report.attacks], rows, note))
    _note_resources(display, report.attacks)
    for name, record in report.attacks.items():
        if record.scrutiny is not None:
            display.show(scrutiny_table(f"{name} under scrutiny", record, record.scrutiny))
    display.warn(report.findings)
    display.say(f"The record, the journals and examples.html are in {folder}.")


def show_replay(display: Display, report: ReplayReport) -> None:
    """Show how many texts that broke another classifier break this one."""
    display.say(
        f"{report.texts} texts broke the other classifier. {report.model} is right about "
        f"{report.clean.correct} of them before the attack."
    )
    if (share := report.transferred) is not None:
        display.say(f"The replay breaks {share.correct} of these {share.total}: {percent(share)} %.")


def show_benchmark(display: Display, record: BenchmarkRecord) -> None:
    """Show the tables of a benchmark, and sentences that sum it up."""
    for table in benchmark_tables(record):
        display.show(table)
    for sentence in benchmark_verdicts(record):
        display.say(sentence)


def _note_resources(display: Display, attacks: Mapping[str, AttackRecord]) -> None:
    """Show the resources of attacks."""
    for name, record in attacks.items():
        if used := resources_of(record):
            display.note(f"{name} with {used}.")
