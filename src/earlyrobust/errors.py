"""The errors that a user can mend.

Each message is one sentence that says what is wrong, where, and what to do. The command line prints it and
ends with exit code 2; in Python they are ordinary exceptions with one common base.
"""

from __future__ import annotations

import errno


class EarlyRobustError(Exception):
    """Base of all errors that come from what the user asked for or handed over."""


class ConfigError(EarlyRobustError):
    """An option has a value that cannot be used, or options contradict each other."""


class DataError(EarlyRobustError):
    """A data file, column or label is missing or cannot be used."""


class ModelError(EarlyRobustError):
    """A model cannot be loaded, or its architecture is not one that can be cut."""


class TrainingError(EarlyRobustError):
    """A training has gone so wrong that there is no use in going on."""


class TicketError(EarlyRobustError):
    """A ticket cannot be drawn, read, or applied to the model at hand."""


class OutputError(EarlyRobustError):
    """The output folder cannot be used without losing what it holds."""


class ResourceError(EarlyRobustError):
    """A resource of an attack is missing or cannot be used."""


_NO_ROOM = "There is no room left on the disk{place}: make some, and the same command goes on."
_NO_MEMORY = (
    "There is not enough memory: choose a smaller --batch-size or --max-length to train, or a smaller "
    "--token-budget to attack."
)
_LOST = "Another process of this job has ended: what is done is kept, and the same command goes on."
# How libraries that wrap the system's errors tell them.
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
    """One sentence about an error that the user can mend; None about one that we did not foresee.

    Args:
        error: One of ours, or what the system or a library raised when disk or memory ran out, or when
            another process of the same job was gone.
    """
    if isinstance(error, EarlyRobustError):
        return str(error)
    if isinstance(error, MemoryError):
        return _NO_MEMORY
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _NO_ROOM.format(place=f" for '{error.filename}'" if error.filename else "")
    return next((sentence for told, sentence in _WRAPPED.items() if told in str(error)), None)
