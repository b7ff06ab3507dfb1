"""Defines the interface through which a job reports its progress and messages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from earlyrobust.journal import AttackedExample
    from earlyrobust.tickets.ticket import Miniepoch


class Observer:
    """Receives progress and messages of a job. This base class ignores them; the command line shows them."""

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Surround one stage of the job.

        Args:
            title: Title of the stage.
        """
        yield

    def callbacks(self) -> list[TrainerCallback]:
        """Return Trainer callbacks for the training of the current stage."""
        return []

    def miniepoch(self, miniepoch: Miniepoch) -> None:
        """Receive a miniepoch of a search, at its end."""

    def attacked(self, done: Sequence[AttackedExample], total: int) -> None:
        """Receive the attacked examples after each example.

        Args:
            done: All attacked examples so far.
            total: Number of examples to attack.
        """

    def moved(self, done: int, total: int, before: int = 0) -> None:
        """Receive the progress of the current stage.

        Args:
            done: Number of finished parts.
            total: Number of all parts.
            before: Number of parts that were finished before an interruption.
        """

    def note(self, message: str) -> None:
        """Receive a message for the user."""

    def noting(self, kept: list[str]) -> Callable[[str], None]:
        """Return a function that passes messages to `note` and keeps them for the record.

        Args:
            kept: Receives the messages.
        """

        def note(message: str) -> None:
            kept.append(message)
            self.note(message)

        return note
