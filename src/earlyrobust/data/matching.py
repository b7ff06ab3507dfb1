"""Finds the output of a trained classifier that stands for each class of the data."""

from __future__ import annotations

import csv
import difflib
import reprlib
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass

from earlyrobust.data.chunks import Chunk
from earlyrobust.data.labels import folded, name_some, number_of, plain
from earlyrobust.errors import ConfigError, DataError

# The forms in which names are compared, the strictest first.
_LIKENESSES: tuple[Callable[[str], Hashable], ...] = (str, plain, folded, number_of)


@dataclass(frozen=True)
class Matching:
    """A match of each class of the data to an output of a classifier.

    Attributes:
        classes: The classes of the data.
        outputs: Index of the output for each class.
        by: The way of matching: "name", "number", "position" or "option".
    """

    classes: tuple[str, ...]
    outputs: tuple[int, ...]
    by: str

    def named(self, outputs: Sequence[str]) -> dict[str, str]:
        """Return the name of the output for each class of the data."""
        return {name: outputs[index] for name, index in zip(self.classes, self.outputs, strict=True)}

    def describe(self, outputs: Sequence[str]) -> str:
        """Describe the match, and the way in which it was found, in one sentence."""
        told = {
            "name": "by their names",
            "number": "by their numbers",
            "position": "by position, because the model's outputs have no names",
            "option": "by --labels",
        }
        pairs = [
            f"{reprlib.repr(name)} → {reprlib.repr(output)}" for name, output in self.named(outputs).items()
        ]
        shown = ", ".join(pairs[:10]) + (f" and {len(pairs) - 10} more" if len(pairs) > 10 else "")
        return f"Classes of the data → outputs of the model, matched {told[self.by]}: {shown}."


class _Names:
    """An index of names in which class names are looked up."""

    def __init__(self, names: Sequence[str]) -> None:
        self._tables: list[dict[Hashable, list[int]]] = [{} for _ in _LIKENESSES]
        for index, name in enumerate(names):
            for like, table in zip(_LIKENESSES, self._tables, strict=True):
                if (key := like(name)) is not None:
                    table.setdefault(key, []).append(index)

    def find(self, name: str) -> tuple[list[int], bool]:
        """Return the indices of the names that are most like a name, and whether only the numbers agree."""
        for like, table in zip(_LIKENESSES, self._tables, strict=True):
            if found := table.get(like(name), []):
                return found, like is number_of
        return [], False


def match_classes(
    classes: Sequence[str],
    outputs: Sequence[str],
    where: str,
    *,
    order: Sequence[str] | None = None,
    option: str | None = None,
) -> Matching:
    """Find the output of a classifier that stands for each class.

    The option decides if it is given. Otherwise a class matches the output of the same name, if necessary
    without regard to case, or the output of the same number, if the numbers can be read in one way only. If
    the outputs have no names and the data set defines an order of its classes, the position decides.

    Args:
        classes: The classes that occur in the data.
        outputs: Names of the classifier's outputs, in their order.
        where: Source of the classes, for the message.
        order: All classes in the order that the data set defines; None if it defines none.
        option: The value of `--labels`: the class of each output, in the order of the outputs, or pairs such
            as `NEG=negative`. None if it is not given.

    Raises:
        ConfigError: If the option cannot be used.
        DataError: If a class matches no output or several outputs, or if its number can be read in two ways.
    """
    if option is not None:
        return _match_by_option(classes, outputs, where, order, option)
    names = _Names(outputs)
    if order is not None and len(order) == len(outputs) and is_numbered(outputs):
        # Classes may also be called LABEL_0. Numbers count as names only if the outputs have them as names.
        is_name = _is_default if is_unnamed(outputs) else lambda name: bool(names.find(name)[0])
        if not any(map(is_name, classes)):
            return _placed(classes, order, range(len(outputs)), "position")
    found, by = [], "name"
    for name in classes:
        indices, only_number = names.find(name)
        if len(indices) > 1:
            raise DataError(
                f"More than one output of the model may be the class {reprlib.repr(name)} of {where} "
                f"({name_some([outputs[index] for index in indices])}): {_way_out(classes, outputs)}."
            )
        if not indices:
            raise DataError(
                f"The classes of {where} ({name_some(classes)}) are not those of the model "
                f"({name_some(outputs)}): {_way_out(classes, outputs)}, or choose the data that the model "
                "was trained for."
            )
        found += indices
        by = "number" if only_number else by
    if by == "number" and is_unnamed(outputs):
        _check_one_reading(classes, outputs, where)
    return Matching(tuple(classes), tuple(found), by)


def match_rows(names: Sequence[str], classes: Sequence[str], table: Chunk) -> list[int]:
    """Return the index of every row's class among those of the training file.

    Args:
        names: Class name of each row.
        classes: Class names in the order of their indices.
        table: The chunk of the rows, for the message.

    Raises:
        DataError: A row has a class that is not among `classes`.
    """
    index = likest(set(names), classes)
    for row, name in enumerate(names):
        if name not in index:
            raise DataError(
                f"The label {reprlib.repr(name)} in {table.place(row)} does not occur in the training "
                f"file ({name_some(classes)}): correct it, or add rows with it to the training file."
            )
    return [index[name] for name in names]


def likest(names: Iterable[str], classes: Sequence[str]) -> dict[str, int]:
    """Return the index of the class of each name, without names that match no class or several classes."""
    known = _Names(classes)
    return {name: found[0] for name in names if len(found := known.find(name)[0]) == 1}


def is_unnamed(outputs: Sequence[str]) -> bool:
    """Return whether outputs have only the default names of transformers: LABEL_0, LABEL_1, ..."""
    return all(name == f"LABEL_{index}" for index, name in enumerate(outputs))


def is_numbered(outputs: Sequence[str]) -> bool:
    """Return whether the names of outputs are only their indices."""
    return all(number_of(name) == index and folded(name) != "true" for index, name in enumerate(outputs))


def _is_default(name: str) -> bool:
    return folded(name).startswith("label_") and number_of(name.upper()) is not None


def _placed(classes: Sequence[str], order: Sequence[str], places: Sequence[int], by: str) -> Matching:
    """Match each class to the output at its place in an order."""
    at = {name: index for index, name in zip(places, order, strict=True)}
    return Matching(tuple(classes), tuple(at[name] for name in classes), by)


def _check_one_reading(classes: Sequence[str], outputs: Sequence[str], where: str) -> None:
    """Refuse numbers that may be counted from 0 or from 1."""
    counted = [number_of(name) for name in classes if folded(name) not in ("true", "false")]
    if not counted or any(map(_is_default, classes)) or 0 in counted:
        return
    raise DataError(
        f"The labels of {where} ({name_some(classes)}) may be counted from 0 or from 1, and the model's "
        f"outputs ({name_some(outputs)}) do not say which: {_way_out(classes, outputs)}."
    )


def _way_out(classes: Sequence[str], outputs: Sequence[str]) -> str:
    if len(classes) > len(outputs):
        return f"correct the labels, because the model has only {len(outputs)} outputs"
    return f"say by --labels which class each output stands for, {_forms(classes, outputs)}"


def _forms(classes: Sequence[str], outputs: Sequence[str]) -> str:
    """Describe the two forms of --labels, with an output and a class as an example.

    The example pairs an output with the class of the most similar name, if there is a similar name.
    """
    example = "OUTPUT=CLASS"
    for output in outputs:
        if near := difflib.get_close_matches(output, classes, n=1):
            example = f"{reprlib.repr(output)[1:-1]}={reprlib.repr(near[0])[1:-1]}"
            break
    return f"in the order of the outputs, or in pairs such as {example}"


def _match_by_option(
    classes: Sequence[str], outputs: Sequence[str], where: str, order: Sequence[str] | None, option: str
) -> Matching:
    # The list may span several lines.
    line = " ".join(option.splitlines())
    items = [plain(item) for item in next(csv.reader([line], skipinitialspace=True), [])]

    def refuse(reason: str) -> ConfigError:
        return ConfigError(
            f"--labels is {reprlib.repr(option)}, but {reason}: name the class of each output, "
            f"{_forms(classes, outputs)}."
        )

    if not items or not all(items):
        raise refuse("it names no class, or an empty one")
    known = _Names(outputs)
    pairs = [_pair(item, known) for item in items]
    if any("=" in item for item in items) and not _covers(items, classes):
        named: dict[str, int] = {}
        own = _Names(classes)
        for item, pair in zip(items, pairs, strict=True):
            if pair is None:
                raise refuse(
                    f"{reprlib.repr(item)} does not begin with one of the model's outputs "
                    f"({name_some(outputs)})"
                )
            output, name = pair
            for index in own.find(name)[0]:
                if named.setdefault(classes[index], output) != output:
                    raise refuse(f"it gives the class {reprlib.repr(classes[index])} to two outputs")
        left = [index for index in range(len(outputs)) if index not in named.values()]
        others = _Names([outputs[index] for index in left])
        for name in classes:
            found, by_number = others.find(name)
            if name not in named and len(found) == 1 and not by_number:
                named[name] = left[found[0]]
            if name not in named:
                raise refuse(f"it does not say which output is the class {reprlib.repr(name)} of {where}")
        return Matching(tuple(classes), tuple(named[name] for name in classes), "option")
    if len(items) != len(outputs):
        raise refuse(f"the model has {len(outputs)} outputs ({name_some(outputs)})")
    if len(set(map(folded, items))) < len(items) and len(set(items)) < len(items):
        raise refuse("it names a class twice")
    if _covers(items, classes):
        listed = _Names(items)
        return Matching(tuple(classes), tuple(listed.find(name)[0][0] for name in classes), "option")
    # The option lists the model's own output names, which are read in the order of the classes.
    places = [known.find(item)[0] for item in items]
    if sorted(place for found in places for place in found) != list(range(len(outputs))):
        missing = [name for name in classes if not _covers(items, [name])]
        raise refuse(f"it does not name the class {reprlib.repr(missing[0])} of {where}")
    if order is None:
        order = _numerical_order(classes, len(outputs))
    if order is None or len(order) != len(outputs):
        raise refuse(
            f"it repeats the outputs, and the classes of {where} ({name_some(classes)}) have no order"
        )
    return _placed(classes, order, [found[0] for found in places], "option")


def _pair(item: str, outputs: _Names) -> tuple[int, str] | None:
    """Split `output=class` into the index of the output and the class; return None if no output fits."""
    for place in (index for index, character in enumerate(item) if character == "="):
        found, name = outputs.find(plain(item[:place]))[0], plain(item[place + 1 :])
        if len(found) == 1 and name:
            return found[0], name
    return None


def _covers(names: Sequence[str], classes: Iterable[str]) -> bool:
    """Return whether each class matches exactly one of some names."""
    listed = _Names(names)
    return all(len(listed.find(name)[0]) == 1 for name in classes)


def _numerical_order(classes: Sequence[str], count: int) -> list[str] | None:
    """Return classes that are numbers in numerical order; None if they do not define an order.

    They define one if there are as many classes as outputs, or if they are counted from 0.
    """
    numbers = {number: name for name in classes if (number := number_of(name)) is not None}
    if len(numbers) < len(classes):
        return None
    if len(classes) == count:
        return [numbers[number] for number in sorted(numbers)]
    if 0 in numbers and all(0 <= number < count for number in numbers):
        return [numbers.get(number, str(number)) for number in range(count)]
    return None
