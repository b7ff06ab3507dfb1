"""Shows the progress of a command on the terminal."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Sequence
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
from rich.table import Column
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from earlyrobust import processes
from earlyrobust.cli.tables import fits, terminal_tables
from earlyrobust.encoders import silent
from earlyrobust.journal import AttackedExample
from earlyrobust.reports.tables import Table
from earlyrobust.results.wording import duration
from earlyrobust.tickets.ticket import Miniepoch
from earlyrobust.workspace.observer import Observer
from earlyrobust.workspace.progress import Pace, PaceCallback, quiet_libraries, told_ends

# Exit codes after the signals SIGINT and SIGTERM, as in shells.
INTERRUPTED, TERMINATED = 130, 143


class Display(Observer):
    """Shows the progress of a command on the terminal.

    As a context manager, it also ends a command that is interrupted or terminated, for example by a cluster,
    with a sentence on how to continue.

    Args:
        folder: Folder of the command's results; None if it keeps nothing.
        aside: Whether all output goes to standard error, because standard output is for the record.
    """

    def __init__(self, folder: Path | None = None, *, aside: bool = False) -> None:
        self._folder = folder
        # Markup is off, because paths may contain brackets. Of several processes, only the first one writes.
        self._console = Console(highlight=False, markup=False, quiet=not processes.is_first(), stderr=aside)
        self._progress: Progress | None = None
        self._pace = Pace("", self.note)
        self._handler: Any = None
        self._quiet = ExitStack()

    def __enter__(self) -> Self:
        # Messages and progress bars of libraries would disturb the display.
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
            ended = "Terminated." if kind is _Terminated else "Interrupted."
            if kept:
                ended += f" The finished work is kept in {self._folder}; the same command continues."
            self.say(f"\n{ended}")
            raise SystemExit(TERMINATED if kind is _Terminated else INTERRUPTED) from error

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Show a progress bar during a stage, and a line with its time at its end."""
        began = time.perf_counter()
        columns = (
            # On a narrow terminal, the title is shortened, not the numbers.
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
        """Return callbacks that move the bar of the current stage, or write lines without a terminal."""
        assert self._progress is not None
        return [_Bar(self._progress), PaceCallback(self._pace)]

    def miniepoch(self, miniepoch: Miniepoch) -> None:
        """Show a line for a finished miniepoch."""
        if miniepoch.heads is None or miniepoch.neurons is None:
            distances = "no masks to compare yet"
        else:
            distances = (
                f"mask distance heads {miniepoch.heads:.3f}, neurons {miniepoch.neurons:.3f}, "
                f"settled for {miniepoch.streak}"
            )
        self._console.print(f"  [dim]step {miniepoch.step:>5}[/dim]  {distances}", markup=True)

    def attacked(self, done: Sequence[AttackedExample], total: int) -> None:
        """Move the bar of an attack, and show how the examples ended and the queries per second."""
        assert self._progress is not None
        task = self._progress.tasks[-1]
        if task.total is None:
            # After an interruption, only the remaining examples count for the estimate of the time left.
            self._progress.reset(task.id, total=total, completed=len(done) - 1)
            self._progress.update(task.id, queries=sum(item.queries for item in done[:-1]))
        queries = sum(example.queries for example in done) - task.fields["queries"]
        ends = told_ends(done)
        note = f"{ends}, {queries / (task.elapsed or 1):.0f} queries/s"
        self._progress.update(task.id, completed=len(done), note=note)
        self._pace.move(len(done), total, "texts", ends, before=len(done) - 1)

    def moved(self, done: int, total: int, before: int = 0) -> None:
        """Move the bar of a stage that counts rows."""
        assert self._progress is not None
        task = self._progress.tasks[-1]
        if task.total is None:
            self._progress.reset(task.id, total=total, completed=before, note="rows")
        self._progress.update(task.id, completed=done)
        self._pace.move(done, total, "rows", before=before)

    def note(self, message: str) -> None:
        """Show a note."""
        self._console.print(message, style="dim", soft_wrap=True)

    def has_room_for(self, content: Table) -> bool:
        """Return whether a table fits on the terminal in one piece."""
        return fits(content, self._console.width)

    def show(self, content: Table) -> None:
        """Show a table, in parts if the terminal is too narrow."""
        for table in terminal_tables(content, self._console.width):
            self._console.print("", table)
        if content.note:
            self.note(content.note)

    def warn(self, findings: Sequence[str]) -> None:
        """Show the findings as warnings, a line each."""
        for finding in findings:
            self._console.print(f"Beware: {finding}", style="yellow", soft_wrap=True)

    def say(self, sentence: str) -> None:
        """Show a sentence without line breaks, because it may contain a path."""
        self._console.print(sentence, soft_wrap=True)


class _Terminated(KeyboardInterrupt):
    """Ends a command on SIGTERM in the same way as an interrupt from the keyboard."""


def _terminate(*_: object) -> NoReturn:
    raise _Terminated


class _Bar(TrainerCallback):  # type: ignore[misc]
    """Moves a progress bar with the steps of the optimiser."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # After an interruption, only the remaining steps count for the estimate of the time left.
        self._progress.reset(self._progress.task_ids[-1], total=state.max_steps, completed=state.global_step)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._progress.update(self._progress.task_ids[-1], completed=state.global_step)
