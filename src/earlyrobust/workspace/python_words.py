"""Rewrites the messages of a run for Python: names of options replace flags."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from earlyrobust.errors import EarlyRobustError
from earlyrobust.options.run import RunConfig
from earlyrobust.workspace.observer import Observer

if TYPE_CHECKING:
    from transformers import TrainerCallback

    from earlyrobust.journal import AttackedExample
    from earlyrobust.tickets.ticket import Miniepoch

# A command in backticks, which keeps its flags, or a flag.
_COMMAND_OR_FLAG = re.compile(r"`[^`]*`|--([a-z][a-z0-9-]*)")


def in_python(message: str) -> str:
    """Replace the flags in a message by the options of `fit`: `--text-column` by `text_column`.

    `--no-bf16` becomes `bf16=False`.
    """

    def renamed(found: re.Match[str]) -> str:
        option = (found[1] or "").replace("-", "_")
        if option in RunConfig.model_fields:
            return option
        switched_off = option.removeprefix("no_")
        return f"{switched_off}=False" if switched_off in RunConfig.model_fields else found[0]

    return _COMMAND_OR_FLAG.sub(renamed, message)


@contextmanager
def errors_in_python() -> Iterator[None]:
    """Replace the flags in the messages of errors by the options of `fit`."""
    try:
        yield
    except EarlyRobustError as error:
        error.args = tuple(in_python(part) if isinstance(part, str) else part for part in error.args)
        raise


class PythonObserver(Observer):
    """Passes progress and messages to another observer, with options in place of flags.

    Args:
        observer: The other observer.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Surround one stage of the job."""
        with self._observer.stage(title):
            yield

    def callbacks(self) -> list[TrainerCallback]:
        """Return the other observer's Trainer callbacks."""
        return self._observer.callbacks()

    def miniepoch(self, miniepoch: Miniepoch) -> None:
        """Pass on a miniepoch of a search."""
        self._observer.miniepoch(miniepoch)

    def attacked(self, done: Sequence[AttackedExample], total: int) -> None:
        """Pass on the attacked examples."""
        self._observer.attacked(done, total)

    def moved(self, done: int, total: int, before: int = 0) -> None:
        """Pass on the progress of the current stage."""
        self._observer.moved(done, total, before)

    def note(self, message: str) -> None:
        """Pass on a message, with options in place of flags."""
        self._observer.note(in_python(message))
