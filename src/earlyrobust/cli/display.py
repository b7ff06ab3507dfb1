"""What a command shows: progress while it works, and tables at the end."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from earlyrobust import processes
from earlyrobust.cli.rows import how_it_stopped, percent, rows_of_attack, rows_of_run
from earlyrobust.cli.tables import fits, terminal_tables
from earlyrobust.encoders import silent
from earlyrobust.journal import AttackedExample
from earlyrobust.pipeline.observer import Observer
from earlyrobust.pipeline.progress import Pace, PaceCallback, quiet_libraries, still_right
from earlyrobust.reports.benchmark import benchmark_tables, benchmark_verdicts
from earlyrobust.reports.confusion import confusion_table, percent_of
from earlyrobust.reports.overview import RATIOS, comparison_tables, headlines
from earlyrobust.reports.pages import REPORT_PAGE
from earlyrobust.reports.scrutiny import scrutiny_table
from earlyrobust.reports.tables import Table as Content
from earlyrobust.reports.validity import MEANING_OF_AUA, doubts_of_arms
from earlyrobust.reports.verdicts import verdicts_on_run
from earlyrobust.results import (
    AttackRecord,
    AttackReport,
    BenchmarkRecord,
    Comparison,
    EvaluationReport,
    ExportRecord,
    PredictionReport,
    ReplayReport,
    RunRecord,
    SearchRecord,
    TicketRecord,
    faults_of_ticket,
)
from earlyrobust.results.summary import summarise
from earlyrobust.results.wording import duration
from earlyrobust.tickets.ticket import Miniepoch, Ticket
from earlyrobust.tickets.weight_ticket import WeightTicket

# Exit codes, as shells know them.
INTERRUPTED, TERMINATED = 130, 143
# Names of resources among the settings of attacks.
_RESOURCES = ("neighbours", "sentence_encoder", "tagger", "masked_lm")


class Display(Observer):
    """Shows a command's progress on the terminal.

    As a context manager it also ends a command that is interrupted, or terminated as by a cluster that wants
    its machine back, with a word on how to go on.

    Args:
        folder: Where the command keeps what it has done; None if it keeps nothing.
        aside: Whether all is shown on standard error, because standard output is for the record.
    """

    def __init__(self, folder: Path | None = None, *, aside: bool = False) -> None:
        self._folder = folder
        # Brackets in paths are no markup; of several processes one is heard.
        self._console = Console(highlight=False, markup=False, quiet=not processes.is_first(), stderr=aside)
        self._progress: Progress | None = None
        self._pace = Pace("", self.note)
        self._handler: Any = None
        self._quiet = ExitStack()

    def __enter__(self) -> Self:
        # Reports and bars of libraries would tear the display apart.
        self._quiet.enter_context(quiet_libraries())
        if threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGTERM, _terminate)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._quiet.close()
        if self._handler is not None:
            signal.signal(signal.SIGTERM, self._handler)
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            kept = self._folder is not None and self._folder.exists()
            rest = f" What is done is kept in {self._folder}; the same command goes on." if kept else ""
            self._say(f"\n{'Ended from outside' if kind is _Terminated else 'Interrupted'}.{rest}")
            raise SystemExit(TERMINATED if kind is _Terminated else INTERRUPTED) from error

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Show a bar while a stage lasts, and a line with its time when it is done."""
        began = time.perf_counter()
        columns = (
            # On a narrow terminal the title gives way, not the numbers.
            TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            BarColumn(bar_width=14),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", table_column=Column(no_wrap=True)),
            TimeRemainingColumn(),
            TextColumn("left"),
        )
        shown = self._console.is_terminal
        self._pace = Pace(title, silent if shown else self.note)
        with Progress(
            *columns, console=self._console, transient=True, disable=not shown, expand=True
        ) as self._progress:
            self._progress.add_task(title, total=None, note="steps", queries=0)
            yield
        took = duration(time.perf_counter() - began)
        self._console.print(f"[green]✓[/green] {title} [dim]{took}[/dim]", markup=True)

    def callbacks(self) -> list[TrainerCallback]:
        """Callbacks that move the bar of the stage at hand, or write lines where there is no terminal."""
        assert self._progress is not None
        return [_Bar(self._progress), PaceCallback(self._pace)]

    def miniepoch(self, miniepoch: Miniepoch) -> None:
        """Show a line for every miniepoch."""
        if miniepoch.heads is None or miniepoch.neurons is None:
            distances = "no masks to compare yet"
        else:
            distances = (
                f"mask distance heads {miniepoch.heads:.3f}, neurons {miniepoch.neurons:.3f}, "
                f"settled for {miniepoch.streak}"
            )
        self._console.print(f"  [dim]step {miniepoch.step:>5}[/dim]  {distances}", markup=True)

    def attacked(self, done: Sequence[AttackedExample], total: int) -> None:
        """Move the bar of an attack, with accuracy so far and the queries of a second."""
        assert self._progress is not None
        task = self._progress.tasks[-1]
        if task.total is None:
            # An interrupted attack goes on; only what is left counts for the estimate.
            self._progress.reset(task.id, total=total, completed=len(done) - 1)
            self._progress.update(task.id, queries=sum(item.queries for item in done[:-1]))
        queries = sum(example.queries for example in done) - task.fields["queries"]
        right = still_right(done)
        note = f"{right}, {queries / (task.elapsed or 1):.0f} queries/s"
        self._progress.update(task.id, completed=len(done), note=note)
        self._pace.move(len(done), total, "texts", right, before=len(done) - 1)

    def moved(self, done: int, total: int, before: int = 0) -> None:
        """Move the bar of a stage."""
        assert self._progress is not None
        task = self._progress.tasks[-1]
        if task.total is None:
            self._progress.reset(task.id, total=total, completed=before, note="rows")
        self._progress.update(task.id, completed=done)
        self._pace.move(done, total, "rows", before=before)

    def note(self, message: str) -> None:
        """Show a remark."""
        self._console.print(message, style="dim", soft_wrap=True)

    def summarise(self, record: RunRecord) -> None:
        """Show the table that a run ends with."""
        table = Table(
            title=f"{record.data.name}: {record.config['model']}, seed {record.config['seed']}",
            caption=MEANING_OF_AUA if record.model.attacks else None,
        )
        table.add_column("")
        if record.dense is not None:
            table.add_column(record.column_of_dense, justify="right")
        table.add_column(record.title, justify="right")
        for name, dense, small in rows_of_run(record):
            table.add_row(name, *([dense] if record.dense is not None else []), small)
        self._console.print("", table)
        if self._folder is not None:
            for sentence in verdicts_on_run(record, self._folder):
                self._say(sentence)
        if record.search is not None and "ticket" in record.seconds:
            self._say(how_it_stopped(record.search))
        self._say_substitutes(record.model.attacks)
        if record.speed is not None:
            self._console.print(
                f"A forward pass of the ticket takes {record.speed.time_ratio:.2f} of the time of the "
                f"{record.rival} (its operations: {record.speed.flops_ratio:.2f}; batch "
                f"{record.speed.batch_size}, {record.speed.tokens} tokens)."
            )
        self._warn(record.findings)
        self._say(f"The classifier is in {self._folder}/model, the record in {self._folder}/result.json.")

    def summarise_ticket(self, ticket: Ticket | WeightTicket) -> None:
        """Show what a search found."""
        if isinstance(ticket, WeightTicket):
            self._say(f"The ticket keeps {ticket.kept:,} of {ticket.weights:,} weights.")
        else:
            if ticket.trace is not None:
                self._say(how_it_stopped(ticket.trace))
            self._say(
                f"The ticket keeps {ticket.heads.sum()} of {ticket.heads.size} heads "
                f"and {ticket.neurons.sum()} of {ticket.neurons.size} neurons."
            )
            self._warn(faults_of_ticket(ticket.origin, SearchRecord.of(ticket), TicketRecord.of(ticket)))
        self._say(f"The ticket is in {self._folder}/ticket: earlyrobust finetune --ticket {self._folder}")

    def summarise_comparison(self, comparison: Comparison, folder: Path) -> None:
        """Show what a comparison came to."""
        summaries = summarise(comparison)
        for content in comparison_tables(comparison, summaries):
            if content.name == RATIOS and not fits(content, self._console.width):
                continue  # a column for each arm: on a narrow terminal the costs relative to one must do
            self._show(content)
        for sentence in headlines(comparison, summaries):
            self._say(sentence)
        self._warn(doubts_of_arms(comparison))
        self._say(f"The report is in {folder / REPORT_PAGE}, the tables beside it.")

    def summarise_evaluation(self, report: EvaluationReport) -> None:
        """Show the result of an evaluation."""
        accuracy, confusion = report.accuracy, report.confusion
        self._say(f"{report.model}: {percent(accuracy)} ({accuracy.correct} of {accuracy.total} right)")
        if confusion is not None:
            self._show(confusion_table("Answers by class", confusion, report.outputs))
            largest = percent_of(confusion.largest_class, 2)
            self._say(
                f"Macro-F1: {percent_of(confusion.macro_f1, 2)} %. Always naming the largest class is right "
                f"in {largest} %."
            )
        self._warn(report.findings)

    def summarise_predictions(self, report: PredictionReport) -> None:
        """Show how many rows were given each class."""
        table = Table(title=f"{report.rows:,} rows of {report.file}")
        table.add_column("predicted")
        table.add_column("rows", justify="right")
        for name, count in report.named.items():
            table.add_row(name, f"{count:,}")
        self._console.print("", table)
        if report.without_text:
            self._warn([f"Rows without a text, and so without a prediction: {report.without_text:,}."])
        if report.cut:
            self._warn(
                [f"{report.cut:,} texts are longer than {report.max_length} tokens and lose their end."]
            )
        self._say(f"The predictions are in {report.output} ({report.rows_per_second:,.0f} rows a second).")

    def summarise_export(self, record: ExportRecord) -> None:
        """Show how an export compares with the model that it was made of."""
        check = record.check
        assert check is not None
        table = Table(
            title=f"{record.model} on {check.examples} examples of {check.data}",
            caption=MEANING_OF_AUA if check.attacks else None,
        )
        for name in ("", "model", record.to):
            table.add_column(name, justify="right" if name else "left")
        if check.accuracy is not None:
            table.add_row("Clean%", percent(check.accuracy.model), percent(check.accuracy.export))
        for name, pair in check.attacks.items():
            table.add_row(f"Aua% {name}", *(percent(attack.under_attack) for attack in pair))
        if table.row_count:
            self._console.print("", table)
        self._say_substitutes({name: model for name, (model, _) in check.attacks.items()})
        self._say(
            f"Logits differ by {check.largest_difference:.2g} at most, and so do {check.predictions_changed} "
            f"of {check.examples} predictions."
        )
        self._warn(check.findings)
        if record.to == "dense":
            self._say("It is as large and as slow as before it was cut: zeros take their time, too.")
        self._say(f"The export is in {self._folder} ({record.bytes / 1e6:.1f} MB).")

    def summarise_attacks(self, model: str, report: AttackReport) -> None:
        """Show the table that an attack ends with."""
        table = Table(
            title=f"{model} on {report.data}, {report.config['examples']} examples at most",
            caption=MEANING_OF_AUA,
        )
        table.add_column("(95 % interval)")
        for name in report.attacks:
            table.add_column(name, justify="right")
        columns = [list(rows_of_attack(record)) for record in report.attacks.values()]
        for cells in zip(*columns, strict=True):
            table.add_row(cells[0][0], *(value for _, value in cells))
        self._console.print("", table)
        self._say_substitutes(report.attacks)
        for name, record in report.attacks.items():
            if record.scrutiny is not None:
                self._show(scrutiny_table(f"{name} under scrutiny", record, record.scrutiny))
        self._warn(report.findings)
        self._say(f"The record, the journals and examples.html are in {self._folder}.")

    def summarise_replay(self, report: ReplayReport) -> None:
        """Show how many texts that broke another classifier break this one."""
        self._say(
            f"{report.texts} texts broke the other classifier. {report.model} is right about "
            f"{report.clean.correct} of them before the attack."
        )
        if (share := report.transferred) is not None:
            self._say(f"The replay breaks {share.correct} of these {share.total}: {percent(share)} %.")

    def summarise_benchmark(self, record: BenchmarkRecord) -> None:
        """Show the tables that a benchmark ends with."""
        for content in benchmark_tables(record):
            self._show(content)
        for sentence in benchmark_verdicts(record):
            self._say(sentence)

    def _show(self, content: Content) -> None:
        """Show a table, in parts if the terminal is too narrow."""
        for table in terminal_tables(content, self._console.width):
            self._console.print("", table)
        if content.note:
            self.note(content.note)

    def _say_substitutes(self, attacks: Mapping[str, AttackRecord]) -> None:
        """Name what the attacks leaned on: numbers do not compare between different resources."""
        for name, record in attacks.items():
            used = [
                f"{key.replace('_', ' ')}: {record.settings[key]}"
                for key in _RESOURCES
                if key in record.settings
            ]
            if used:
                self.note(f"{name} with {'; '.join(used)}.")

    def _warn(self, findings: Sequence[str]) -> None:
        """Show what has gone wrong."""
        for finding in findings:
            self._console.print(f"Beware: {finding}", style="yellow", soft_wrap=True)

    def _say(self, sentence: str) -> None:
        """Show a line that may hold a path, which must not be broken."""
        self._console.print(sentence, soft_wrap=True)


class _Terminated(KeyboardInterrupt):
    """Ends a command as an interrupt from the keyboard would."""


def _terminate(*_: object) -> NoReturn:
    raise _Terminated


class _Bar(TrainerCallback):  # type: ignore[misc]
    """Moves a progress bar with the optimiser's steps."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # An interrupted training goes on from its checkpoint; only what is left counts for the estimate.
        self._progress.reset(self._progress.task_ids[-1], total=state.max_steps, completed=state.global_step)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._progress.update(self._progress.task_ids[-1], completed=state.global_step)
