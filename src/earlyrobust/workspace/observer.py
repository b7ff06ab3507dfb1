"""What a run tells about itself while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from earlyrobust.journal import AttackedExample
    from earlyrobust.tickets.ticket import Miniepoch


class Observer:
    """Is told what a run is doing; this one does not listen. The command line's shows it."""

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Surrounds one stage of the run."""
        yield

    def callbacks(self) -> list[TrainerCallback]:
        """Trainer callbacks for the training of the stage at hand."""
        return []

    def miniepoch(self, miniepoch: Miniepoch) -> None:
        """Told at the end of every miniepoch of a search."""

    def attacked(self, done: Sequence[AttackedExample], total: int) -> None:
        """Told of every example that an attack is done with: all of them so far, of how many."""

    def moved(self, done: int, total: int, before: int = 0) -> None:
        """Is told the progress of the stage at hand.

        Args:
            done: Parts that are done.
            total: All parts.
            before: Those of them that were done before an interruption.
        """

    def note(self, message: str) -> None:
        """Told something worth knowing."""

    def noting(self, kept: list[str]) -> Callable[[str], None]:
        """A function that tells what it is told, and keeps it for the record.

        Args:
            kept: Where it is kept.
        """

        def note(message: str) -> None:
            kept.append(message)
            self.note(message)

        return note
