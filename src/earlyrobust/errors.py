"""The errors that a user can fix.

Each message is one sentence that says what is wrong, where, and what to do. The command line prints it and
ends with exit code 2. In Python, the errors are ordinary exceptions with one common base.
"""

from __future__ import annotations

import errno


class EarlyRobustError(Exception):
    """Base class of all errors that the user's options or inputs cause."""


class ConfigError(EarlyRobustError):
    """An option has a value that cannot be used, or options contradict each other."""


class DataError(EarlyRobustError):
    """A data file, column or label is missing or cannot be used."""


class ModelError(EarlyRobustError):
    """A model cannot be loaded, or its architecture cannot be cut."""


class TrainingError(EarlyRobustError):
    """A training has failed and cannot usefully continue."""


class TicketError(EarlyRobustError):
    """A ticket cannot be drawn or read, or does not fit the model."""


class OutputError(EarlyRobustError):
    """The output folder cannot be used without loss of its content."""


class ResourceError(EarlyRobustError):
    """A resource of an attack is missing or cannot be used."""


_NO_ROOM = "There is no room left on the disk{place}: free some, then run the same command again to continue."
_NO_MEMORY = (
    "There is not enough memory: choose a smaller --batch-size or --max-length to train, or a smaller "
    "--token-budget to attack."
)
_LOST = (
    "Another process of this job has ended. The finished work is kept: run the same command again to "
    "continue."
)
# Words in the messages of libraries that wrap errors of the system, with the sentence to show instead.
_WRAPPED = {
    "No space left on device": _NO_ROOM.format(place=""),
    "inline_container.cc": _NO_ROOM.format(place=""),
    "can't allocate memory": _NO_MEMORY,
    "out of memory": _NO_MEMORY,
    "Connection closed by peer": _LOST,
    "Connection reset by peer": _LOST,
    "remote process exited": _LOST,
}


def explain(error: BaseException) -> str | None:
    """Return a sentence on an error that the user can fix; None for any other error.

    Args:
        error: An error of this package; or an error of the system or a library because the disk is full, the
            memory is used up, or another process of the same job has ended.
    """
    if isinstance(error, EarlyRobustError):
        return str(error)
    if isinstance(error, MemoryError):
        return _NO_MEMORY
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _NO_ROOM.format(place=f" for '{error.filename}'" if error.filename else "")
    return next((sentence for told, sentence in _WRAPPED.items() if told in str(error)), None)
