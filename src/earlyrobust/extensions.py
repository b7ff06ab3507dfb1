"""Finds classes of other packages by the name `module:Class`, or by entry points of installed packages."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

from earlyrobust.errors import ConfigError

T = TypeVar("T")
# The group of entry points of each kind of class.
GROUPS = {
    "adversary": "earlyrobust.adversaries",
    "attack": "earlyrobust.attacks",
    "search": "earlyrobust.searches",
    "family": "earlyrobust.families",
}


def installed(kind: str) -> dict[str, importlib.metadata.EntryPoint]:
    """Return the entry points of a kind in the installed packages, by name.

    Args:
        kind: A key of `GROUPS`.
    """
    return {entry.name: entry for entry in importlib.metadata.entry_points(group=GROUPS[kind])}


def names_of(kind: str, own: Mapping[str, Any]) -> list[str]:
    """Return the names to choose from: those of this package, then those of installed packages.

    Args:
        kind: A key of `GROUPS`.
        own: The classes of this package, by name.
    """
    return [*own, *(name for name in installed(kind) if name not in own)]


def find_class(
    kind: str, name: str, own: Mapping[str, type[T]], base: type, also: Sequence[str] = ()
) -> type[T]:
    """Return the class of a name.

    Args:
        kind: The kind of class, a key of `GROUPS`.
        name: A name in `own`, the name of an entry point, or `module:Class`. The module may be in the current
            folder.
        own: The classes of this package, by name.
        base: The class from which it must be derived.
        also: Further names to list in the error message.

    Raises:
        ConfigError: If there is no such class, it cannot be imported, it is not derived from `base`, or it
            lacks methods.
    """
    if name in own:
        return own[name]
    if ":" in name:
        found = _imported(kind, name)
    elif entry := installed(kind).get(name):
        try:
            found = entry.load()
        except Exception as error:  # code of another package can raise anything
            raise _broken(kind, f"{name} ({entry.value})", error) from error
    else:
        article = "an" if kind[0] in "aeiou" else "a"
        choices = ", ".join([*names_of(kind, own), *also])
        raise ConfigError(
            f"There is no {kind} '{name}': choose one of {choices}, or name {article} {kind} of your own as "
            "module:Class."
        )
    if not (inspect.isclass(found) and issubclass(found, base)):
        wanted = f"{base.__module__}.{base.__name__}"
        raise ConfigError(f"'{name}' is no {kind}: it must be a class derived from {wanted}.")
    if inspect.isabstract(found):
        missing = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        raise ConfigError(f"'{name}' does not have all methods of its kind: write {missing}.")
    return cast("type[T]", found)


def code_of(kind: type) -> str | None:
    """Return a hash of the files that define a class from outside this package, which shows a later edit.

    The files are the modules of the class and of its base classes, without those of this package and of
    Python itself.

    Args:
        kind: The class.

    Returns:
        The SHA-256. None for a class of this package, and for a class without a file, as in a notebook.
    """
    known = {"earlyrobust", *sys.stdlib_module_names}
    modules = {base.__module__ for base in kind.__mro__ if base.__module__.partition(".")[0] not in known}
    files = [getattr(sys.modules.get(module), "__file__", None) for module in sorted(modules)]
    try:
        content = [Path(file).read_bytes() for file in files if file is not None]
    except OSError:  # the module comes from an archive, or its file is gone
        return None
    return hashlib.sha256(b"".join(content)).hexdigest() if content else None


def code_named(kind: str, name: str) -> str | None:
    """Return `code_of` of the class of a name; None also for a class that cannot be imported.

    Args:
        kind: The kind of class, a key of `GROUPS`.
        name: A name as for `find_class`.
    """
    with suppress(Exception):  # code of another package can raise anything, and `find_class` tells of it
        entry = None if ":" in name else installed(kind).get(name)
        if ":" in name or entry is not None:
            return code_of(_imported(kind, name) if entry is None else entry.load())
    return None


def _imported(kind: str, name: str) -> Any:
    module_name, _, attribute = name.partition(":")
    here = os.getcwd()
    if here not in sys.path:  # sys.path of the installed script starts with the script's folder
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # code of another package can raise anything
        raise _broken(kind, name, error) from error
    if not hasattr(module, attribute):
        raise ConfigError(f"The module '{module_name}' has no '{attribute}': check the name after the colon.")
    return getattr(module, attribute)


def _broken(kind: str, name: str, error: Exception) -> ConfigError:
    reason = " ".join(str(error).split()).rstrip(".")
    return ConfigError(
        f"The {kind} '{name}' cannot be imported ({type(error).__name__}: {reason}): check the name and the "
        "module."
    )
