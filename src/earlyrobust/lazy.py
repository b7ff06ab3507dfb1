"""A table whose entries are loaded on first use."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Generic, TypeVar, cast

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """An entry of a table that is not loaded yet.

    Attributes:
        module: The module of the package that defines the entry.
        name: The name of the entry in the module.
        description: A description of the entry in one line.
    """

    module: str
    name: str
    description: str = ""


class LazyTable(MutableMapping[str, T], Generic[T]):
    """A table whose entries are loaded when they are looked up. Loaded entries can be added, too.

    Args:
        package: The `__name__` of the package that has the modules.
        entries: The entries by name.
    """

    def __init__(self, package: str, entries: Mapping[str, Entry]) -> None:
        self._package = package
        self._entries: dict[str, Entry | T] = dict(entries)

    def __getitem__(self, key: str) -> T:
        entry = self._entries[key]
        if isinstance(entry, Entry):
            return cast("T", getattr(import_module(f"{self._package}.{entry.module}"), entry.name))
        return entry

    def __setitem__(self, key: str, value: T) -> None:
        self._entries[key] = value

    def __delitem__(self, key: str) -> None:
        del self._entries[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def described(self) -> dict[str, str]:
        """Return a description of each entry, without loading it.

        The description of an entry that was added after loading is the first line of its docstring.
        """
        return {
            key: entry.description
            if isinstance(entry, Entry)
            else (inspect.getdoc(entry) or "").partition("\n")[0]
            for key, entry in self._entries.items()
        }
