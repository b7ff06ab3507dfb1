"""Reports progress in lines of text, for logs and for Python programs."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import logging as transformers_logging

from earlyrobust.results.wording import duration
from earlyrobust.workspace.observer import Observer

if TYPE_CHECKING:
    from earlyrobust.journal import AttackedExample

# Fewest seconds between two lines on the progress of a stage.
SECONDS = 15.0


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence the messages and bars of libraries, and warnings of this package that observers receive."""
    loggers = [logging.getLogger(name) for name in ("earlyrobust", "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    verbosity, had_bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        transformers_logging.set_verbosity(verbosity)
        if had_bars:
            transformers_logging.enable_progress_bar()


class Pace:
    """Reports the progress of a stage from time to time, with an estimate of the remaining time.

    Args:
        title: Title of the stage.
        say: Receives each line.
    """

    def __init__(self, title: str, say: Callable[[str], object]) -> None:
        self._title = title
        self._say = say
        self.start(0)

    def start(self, total: int, done: int = 0) -> None:
        """Begin to count.

        Args:
            total: Number of parts of the stage.
            done: Number of parts that are finished already; the estimate leaves them out.
        """
        self._total, self._before = total, done
        self._began = self._said = time.perf_counter()

    def move(self, done: int, total: int, unit: str, note: str = "", before: int = 0) -> None:
        """Report the finished parts, unless the last line is less than 15 seconds old.

        The first call begins to count.

        Args:
            done: Number of finished parts.
            total: Number of parts of the stage.
            unit: Name of the parts, such as "steps".
            note: Another remark; empty for none.
            before: Number of parts that were finished before the stage began.
        """
        if not self._total:
            self.start(total, before)
        now = time.perf_counter()
        if now - self._said < SECONDS or done <= self._before:
            return
        self._said = now
        left = (now - self._began) * (self._total - done) / (done - self._before)
        told = f", {note}" if note else ""
        self._say(f"{self._title}: {done:,} of {self._total:,} {unit}{told}, about {duration(left)} left")


class PaceCallback(TrainerCallback):  # type: ignore[misc]
    """Reports the optimiser steps of a training to a `Pace`."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin to count; the steps before an interruption are finished."""
        self._pace.start(state.max_steps, state.global_step)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count a step."""
        self._pace.move(state.global_step, state.max_steps, "steps")


class ProgressLines(Observer):
    """Reports a job in lines: its stages with their times, and their progress from time to time.

    Args:
        say: Receives each line; None to print the lines to standard error.
    """

    def __init__(self, say: Callable[[str], object] | None = None) -> None:
        self._say = say or _print
        self._pace = Pace("", self._say)

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Report the title of a stage, and its time at its end."""
        began = time.perf_counter()
        self._pace = Pace(title, self._say)
        self._say(f"{title} ...")
        yield
        self._say(f"{title}: done in {duration(time.perf_counter() - began)}")

    def callbacks(self) -> list[TrainerCallback]:
        """Return a callback that reports the steps of the current stage."""
        return [PaceCallback(self._pace)]

    def attacked(self, done: Sequence[AttackedExample], total: int) -> None:
        """Report the attacked examples, with the number of those that withstood."""
        self._pace.move(len(done), total, "texts", told_ends(done), before=len(done) - 1)

    def moved(self, done: int, total: int, before: int = 0) -> None:
        """Report the finished rows of the current stage."""
        self._pace.move(done, total, "rows", before=before)

    def note(self, message: str) -> None:
        """Report a message."""
        self._say(message)


def told_ends(done: Sequence[AttackedExample]) -> str:
    """Return the numbers of attacked examples by their end, as part of a line.

    A share would mislead, because many examples are attacked side by side, and those that break end first.
    """
    ends = Counter(example.status for example in done)
    return f"{ends['failed']:,} withstood, {ends['succeeded']:,} broke, {ends['skipped']:,} wrong before"


def _print(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
