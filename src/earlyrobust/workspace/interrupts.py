"""Interrupts that wait for a checkpoint, so that no work is lost."""

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

    While the context lasts, the first signal is only noted. A second one ends the program at once. Python
    delivers signals to the main thread alone; in other threads this does nothing.

    Args:
        report: Is told that the training is interrupted and ends after the next checkpoint.
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
        """Hand a signal that was held back to the handler that it was meant for."""
        if self._signal is not None:
            number, self._signal = self._signal, None
            self._act(number, None)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                # A handler that another language has set is None, and cannot be put back.
                if callable(handler := signal.getsignal(number)):
                    self._handlers[number] = handler
                    signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        if kind is None:  # the stage has ended before it could write a checkpoint
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
