"""Reads the labels of user files, which may be integers, whole decimals, truth values or strings."""

from __future__ import annotations

import math
import re
import reprlib
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from earlyrobust.data.chunks import Chunk
from earlyrobust.errors import DataError

# By default, Python converts at most 4,300 digits to an integer.
_INTEGER = re.compile(r"[+-]?[0-9]{1,4300}")
_WHOLE_DECIMAL = re.compile(r"([+-]?[0-9]{1,4300})\.0*")
_DEFAULT_NAME = re.compile(r"LABEL_([0-9]{1,4300})")
_TRUTH = {"false": 0, "true": 1}
# White space, and characters without width, which `str.strip` does not remove.
_EDGES = re.compile(r"^[\s\u200b\u2060\ufeff]+|[\s\u200b\u2060\ufeff]+$")


def plain(name: str) -> str:
    """Return a class name without blanks at its ends, in Unicode's composed form (NFC); "3.0" gives "3"."""
    name = unicodedata.normalize("NFC", _EDGES.sub("", name))
    decimal = _WHOLE_DECIMAL.fullmatch(name)
    return str(int(decimal[1])) if decimal else name


def folded(name: str) -> str:
    """Return a class name in plain form with its case folded."""
    return unicodedata.normalize("NFC", plain(name).casefold())


def number_of(name: str) -> int | None:
    """Return the whole number in a class name, or None: 3 for "3", "03" and "LABEL_3", 1 for "true"."""
    name = plain(name)
    if _INTEGER.fullmatch(name):
        return int(name)
    default = _DEFAULT_NAME.fullmatch(name)
    return int(default[1]) if default else _TRUTH.get(name.casefold())


@dataclass
class LabelReader:
    """Reads the labels of one or several files, and counts the spellings of each class.

    Attributes:
        column: Column of the label.
        spellings: For each class, the number of rows of each spelling.
        defined: All classes in the order of their indices; None if no Parquet metadata name them.
    """

    column: str
    spellings: dict[str, Counter[str]] = field(default_factory=dict)
    defined: tuple[str, ...] | None = None

    def read(self, table: Chunk) -> list[str]:
        """Return the class name of every row; whole numbers, also `1.0`, become their decimal digits.

        Raises:
            DataError: A label is missing or is neither a whole number nor a string.
        """
        defined = table.class_names.get(self.column)
        if defined is not None:
            self.defined = tuple(map(plain, defined))
        values = table.labels(self.column)
        # The type is part of the key, because True, 1 and 1.0 are equal but are different labels.
        keys = [(value.__class__, value if isinstance(value, Hashable) else None) for value in values]
        first = dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))
        names = {
            key: self._class_name(table, row, values[row])
            for key, row in sorted(first.items(), key=itemgetter(1))
        }
        for key, count in Counter(keys).items():
            name = names[key]
            spelling = name if self.defined is not None and isinstance(key[1], int) else str(key[1])
            self.spellings.setdefault(name, Counter())[spelling] += count
        return [names[key] for key in keys]

    @property
    def merged(self) -> dict[str, str]:
        """The spellings that differ from the name of their class: spelling → class."""
        return {
            spelling: name
            for name, counts in self.spellings.items()
            if len(counts) > 1
            for spelling in counts
            if spelling != name
        }

    def notes(self, where: str) -> Iterator[str]:
        """Describe classes with several spellings, and classes with nearly equal names, one sentence each.

        Args:
            where: Source of the classes, for the sentences.
        """
        for name, counts in self.spellings.items():
            if len(counts) > 1:
                yield f"One class of {where} is spelt {_counted(counts)}; all count as {reprlib.repr(name)}."
        alike: dict[Any, Counter[str]] = {}
        for name, counts in self.spellings.items():
            number = number_of(name)
            key = _skeleton(name) if number is None else number
            alike.setdefault(key, Counter())[name] = counts.total()
        for counts in alike.values():
            if len(counts) > 1:
                yield (
                    f"Classes of {where} are spelt nearly alike, {_counted(counts)}, and count as different "
                    "ones: correct the labels if they are meant to be one class."
                )

    def _class_name(self, table: Chunk, row: int, value: Any) -> str:
        if isinstance(value, bool):
            return str(value)
        name = None
        if isinstance(value, str):
            name = plain(value)
        elif isinstance(value, int) or (
            isinstance(value, float) and math.isfinite(value) and value.is_integer()
        ):
            name = self._defined_name(table, row, int(value))
        if name is None:
            raise DataError(
                f"The label {reprlib.repr(value)} in column {self.column!r}, {table.place(row)}, is neither "
                "an integer nor a string: name the column that holds the class."
            )
        return name

    def _defined_name(self, table: Chunk, row: int, index: int) -> str:
        if self.defined is None:
            return str(index)
        if not 0 <= index < len(self.defined):
            raise DataError(
                f"The label {index} in {table.place(row)} is not one of the {len(self.defined)} classes that "
                "the file's metadata name: correct it, or drop the row."
            )
        return self.defined[index]


def order_classes(names: Sequence[str], defined: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the distinct class names in the order of their indices.

    If the data defines an order, the classes keep it. Otherwise integers are sorted as numbers, and other
    names as strings.

    Args:
        names: Class names, with repetitions.
        defined: The order that the data defines; None if it defines none.
    """
    distinct = set(names)
    if defined is not None and distinct <= set(defined):
        return tuple(name for name in dict.fromkeys(defined) if name in distinct)
    if all(_INTEGER.fullmatch(name) for name in distinct):
        return tuple(sorted(distinct, key=lambda name: (int(name), name)))
    return tuple(sorted(distinct))


def name_some(classes: Sequence[str]) -> str:
    """Return the class names as a list for a message; of more than ten, only the first ten."""
    shown = ", ".join(map(reprlib.repr, classes[:10]))
    return shown if len(classes) <= 10 else f"{shown} and {len(classes) - 10} more"


def _skeleton(name: str) -> str:
    """Return a class name without differences that a reader overlooks: width, case, blanks, dashes."""
    characters = unicodedata.normalize("NFKC", " ".join(name.split()))
    kinds = {character: unicodedata.category(character) for character in set(characters)}
    same = {"Pd": "-", "Pc": "-", "Zs": "-", "Cf": ""}
    table = {ord(character): same[kind] for character, kind in kinds.items() if kind in same}
    return folded(characters.translate(table))


def _counted(counts: Mapping[str, int]) -> str:
    shown = [f"{reprlib.repr(name)} ({count} row{'s' * (count != 1)})" for name, count in counts.items()]
    return ", ".join(shown[:10]) + (f" and {len(shown) - 10} more" if len(shown) > 10 else "")
