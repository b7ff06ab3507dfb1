"""Delays interrupts until the next checkpoint, so that no work is lost."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class DelayedInterrupt:
    """Holds back the first interrupt (Ctrl-C) or termination until the training has written a checkpoint.

    While the context lasts, the first signal is only recorded. A second signal ends the program at once.
    Python delivers signals only to the main thread; in other threads this context does nothing.

    Args:
        report: Receives a message that the training is interrupted and ends after the next checkpoint.
    """

    def __init__(self, report: Callable[[str], object]) -> None:
        self._report = report
        self._handlers: dict[int, Any] = {}
        self._signal: int | None = None
        self._since = 0.0

    @property
    def seconds(self) -> float | None:
        """Seconds since the first signal; None if there was none."""
        return None if self._signal is None else time.monotonic() - self._since

    def deliver(self) -> None:
        """Pass a signal that was held back to its original handler."""
        if self._signal is not None:
            number, self._signal = self._signal, None
            self._act(number, None)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                # A handler that was not set from Python is None, and Python cannot restore it.
                if callable(handler := signal.getsignal(number)):
                    self._handlers[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if kind is None:  # The stage has ended without another checkpoint.
            self.deliver()
        self._signal = None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._signal is not None:
            self._act(number, frame)
            return
        self._signal, self._since = number, time.monotonic()
        self._report("Interrupted: the training writes a checkpoint. Interrupt it again to end at once.")

    def _act(self, number: int, frame: FrameType | None) -> None:
        self._handlers[number](number, frame)
