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
from earlyrobust.workspace.progress import Pace, PaceCallback, quiet_libraries, still_right

# Exit codes, as shells know them.
INTERRUPTED, TERMINATED = 130, 143


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
            self.say(f"\n{'Ended from outside' if kind is _Terminated else 'Interrupted'}.{rest}")
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

    def has_room_for(self, content: Table) -> bool:
        """Whether a table fits on the terminal in one piece."""
        return fits(content, self._console.width)

    def show(self, content: Table) -> None:
        """Show a table, in parts if the terminal is too narrow."""
        for table in terminal_tables(content, self._console.width):
            self._console.print("", table)
        if content.note:
            self.note(content.note)

    def warn(self, findings: Sequence[str]) -> None:
        """Show sentences on what has gone wrong."""
        for finding in findings:
            self._console.print(f"Beware: {finding}", style="yellow", soft_wrap=True)

    def say(self, sentence: str) -> None:
        """Show a sentence, unbroken: it may hold a path."""
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
