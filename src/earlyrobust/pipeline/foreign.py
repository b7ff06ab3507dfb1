"""Names the class of a user's own in which an error arises, so that the user can correct it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from traceback import walk_tb
from typing import Any

from earlyrobust.errors import ConfigError, explain
from earlyrobust.extensions import GROUPS

# The name of an attack is part of the names of its files.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_OURS = __package__.partition(".")[0]


def named(kind: type) -> str:
    """Return the name by which an option names a class, such as `mine:RandomStep`."""
    return f"{kind.__module__}:{kind.__qualname__}"


@contextmanager
def blaming(*kinds: type | None, call: str = "") -> Iterator[None]:
    """Turn an unforeseen error in the code of a user's classes into a sentence that names its line.

    Errors of this package, and errors that have an explanation, such as a lack of memory, pass unchanged.

    Args:
        *kinds: The classes that the work uses. Those of this package are never blamed.
        call: Name of the attribute of the first class that is all of the work. Then this class is also blamed
            for errors that no line of its code raises, such as a call with wrong arguments.

    Raises:
        ConfigError: If an error arises in the code of such a class.
    """
    foreign = {_package(kind.__module__) for kind in kinds if kind is not None} - {_OURS}
    try:
        yield
    except Exception as error:  # code of a user can raise anything
        if explain(error) is not None or not foreign:
            raise
        place = _place(error, foreign) or (call and kinds[0] is not None and f"{named(kinds[0])}.{call}")
        if not place:
            raise
        reason = " ".join(str(error).split()).rstrip(".")
        raise ConfigError(
            f"{place} fails ({type(error).__name__}: {reason}): correct it, or add --debug to see the "
            "traceback."
        ) from error


def _package(module: str) -> str:
    return module.partition(".")[0]


def _place(error: Exception, packages: set[str]) -> str | None:
    """Return the innermost line of some packages that an error has passed through; None if there is none."""
    place = None
    for frame, line in walk_tb(error.__traceback__):
        module, code = str(frame.f_globals.get("__name__", "")), frame.f_code
        if _package(module) in packages:
            place = f"{module}:{code.co_qualname} (line {line} of {code.co_filename})"
    return place


def check_returned(of: object, method: str, value: object, kind: Any, told: str) -> None:
    """Check the type of what a method of a user's class has returned.

    Args:
        of: The object with the method.
        method: Name of the method.
        value: The returned value.
        kind: The type that it must have, or several.
        told: The type in words, with its article.

    Raises:
        ConfigError: If the value has another type.
    """
    if not isinstance(value, kind):
        raise ConfigError(
            f"{method} of {named(type(of))} returned {type(value).__name__}, but must return {told}."
        )


def check_name(kind: str, spec: str, found: type, taken: Collection[str]) -> None:
    """Check that a user's class has a name of its own, by which records tell it from other classes.

    Args:
        kind: The kind of class, a key of `GROUPS`.
        spec: The name of the class in the options.
        found: The class.
        taken: The names that it cannot have.

    Raises:
        ConfigError: If the class itself defines no name, or a name that it cannot have.
    """
    name = vars(found).get("name")
    if isinstance(name, str) and name not in taken and _NAME.fullmatch(name):
        return
    told = getattr(found, "name", None)
    has = "no name" if told is None else f"the name {told!r}"
    kinds = GROUPS[kind].rpartition(".")[2]
    raise ConfigError(
        f"The {kind} '{spec}' has {has}, by which records tell {kinds} apart: set its "
        "attribute `name` to a name of its own, of letters, digits and hyphens."
    )
