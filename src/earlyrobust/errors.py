"""The errors that a user can mend.

Each message is one sentence that says what is wrong, where, and what to do. The command line prints it and
ends with exit code 2; in Python they are ordinary exceptions with one common base.
"""

from __future__ import annotations


class EarlyRobustError(Exception):
    """Base of all errors that come from what the user asked for or handed over."""


class ConfigError(EarlyRobustError):
    """An option has a value that cannot be used, or options contradict each other."""


class DataError(EarlyRobustError):
    """A data file, column or label is missing or cannot be used."""


class ModelError(EarlyRobustError):
    """A model cannot be loaded, or its architecture is not one that can be cut."""


class TicketError(EarlyRobustError):
    """A ticket cannot be drawn, read, or applied to the model at hand."""


class OutputError(EarlyRobustError):
    """The output folder cannot be used without losing what it holds."""


class ResourceError(EarlyRobustError):
    """A resource of an attack is missing or cannot be used."""
