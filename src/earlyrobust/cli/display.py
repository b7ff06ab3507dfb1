"""What a command shows: progress while it works, and tables at the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import logging as transformers_logging

from earlyrobust.pipeline.observer import Observer
from earlyrobust.results import Accuracy, RunRecord, SearchRecord
from earlyrobust.ticket import Miniepoch, SearchTrace, Ticket

INTERRUPTED = 130


class Display(Observer):
    """Shows a command's progress on the terminal.

    As a context manager it also ends an interrupted command with a word on how to go on.

    Args:
        folder: Where the command keeps what it has done; None if it keeps nothing.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._console = Console(highlight=False, markup=False)  # brackets in paths are no markup
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        # Loading reports and download bars of the libraries below would tear the display apart.
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is KeyboardInterrupt:
            kept = self._folder is not None and self._folder.exists()
            rest = f" What is done is kept in {self._folder}; the same command goes on." if kept else ""
            self._say(f"\nInterrupted.{rest}")
            raise SystemExit(INTERRUPTED) from error

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Show a bar while a stage lasts, and a line with its time when it is done."""
        began = time.perf_counter()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        shown = self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=not shown) as self._progress:
            self._progress.add_task(title, total=None)
            yield
        took = _duration(time.perf_counter() - began)
        self._console.print(f"[green]✓[/green] {title} [dim]{took}[/dim]", markup=True)

    def callbacks(self) -> list[TrainerCallback]:
        """A callback that moves the bar of the stage at hand."""
        assert self._progress is not None
        return [_Bar(self._progress)]

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

    def note(self, message: str) -> None:
        """Show a remark."""
        self._console.print(message, style="dim", soft_wrap=True)

    def summarise(self, record: RunRecord) -> None:
        """Show the table that a run ends with."""
        table = Table(title=f"{record.data.name}: {record.config['model']}, seed {record.config['seed']}")
        table.add_column("")
        if record.dense is not None:
            table.add_column("dense", justify="right")
        table.add_column("ticket", justify="right")
        for name, dense, small in _rows(record):
            table.add_row(name, *([dense] if record.dense is not None else []), small)
        self._console.print("", table)
        if record.search is not None and "ticket" in record.seconds:
            self._say(_how_it_stopped(record.search))
        if record.speed is not None:
            self._console.print(
                f"A forward pass of the ticket takes {record.speed.time_ratio:.2f} of the dense model's time "
                f"(its operations: {record.speed.flops_ratio:.2f}; batch {record.speed.batch_size}, "
                f"{record.speed.tokens} tokens)."
            )
        self._say(f"The classifier is in {self._folder}/model, the record in {self._folder}/result.json.")

    def summarise_ticket(self, ticket: Ticket) -> None:
        """Show what a search found."""
        if ticket.trace is not None:
            self._say(_how_it_stopped(ticket.trace))
        self._say(
            f"The ticket keeps {ticket.heads.sum()} of {ticket.heads.size} heads "
            f"and {ticket.neurons.sum()} of {ticket.neurons.size} neurons."
        )
        self._say(f"The ticket is in {self._folder}/ticket: earlyrobust finetune --ticket {self._folder}")

    def summarise_accuracy(self, model: str, accuracy: Accuracy) -> None:
        """Show the result of an evaluation."""
        self._say(f"{model}: {_accuracy(accuracy)} ({accuracy.correct} of {accuracy.total} right)")

    def _say(self, sentence: str) -> None:
        """Show a line that may hold a path, which must not be broken."""
        self._console.print(sentence, soft_wrap=True)


def _how_it_stopped(search: SearchRecord | SearchTrace) -> str:
    count = len(search.miniepochs)
    told = (
        f"The search stopped after {search.epochs:.2f} epochs and {count} miniepochs of "
        f"{search.steps_per_miniepoch} steps: {search.stop_reason}"
    )
    if search.stop_reason == "converged":
        return f"{told}, the masks have settled."
    return f"{told}, the masks have not settled. On small data, raise --search-epochs."


def _rows(record: RunRecord) -> Iterator[tuple[str, str, str]]:
    dense, small = record.dense, record.model
    heads, neurons = record.ticket.heads_kept, record.ticket.neurons_kept

    def both(show: Any) -> tuple[str, str]:
        return ("" if dense is None else show(dense)), show(small)

    yield "Clean% (95 % interval)", *both(lambda model: _accuracy(model.test))
    yield "Clean% on selection", *both(lambda model: f"{100 * model.selection.value:.2f}")
    yield "Parameters", *both(lambda model: f"{model.parameters:,}")
    yield "... in the layers", *both(lambda model: f"{model.encoder_parameters:,}")
    yield "Heads", str(heads[1]), f"{heads[0]} of {heads[1]}"
    yield "FFN neurons", str(neurons[1]), f"{neurons[0]} of {neurons[1]}"
    if "ticket" in record.seconds:
        yield "Search", "", _duration(record.seconds["ticket"])
    dense_seconds = record.seconds.get("dense")
    yield (
        "Fine-tuning",
        "" if dense_seconds is None else _duration(dense_seconds),
        _duration(record.seconds["model"]),
    )


def _accuracy(accuracy: Accuracy) -> str:
    return f"{100 * accuracy.value:.2f} ({100 * accuracy.low:.1f} to {100 * accuracy.high:.1f})"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


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
