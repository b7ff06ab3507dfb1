"""Decides about the head of a trained classifier as `--model`, which is kept if it fits the classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from earlyrobust.data.labels import folded, name_some
from earlyrobust.data.matching import Matching, is_unnamed, match_classes
from earlyrobust.encoders import names_of_head
from earlyrobust.errors import ConfigError, DataError
from earlyrobust.options.run import RunConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from earlyrobust.data import TextData

# Values of `--start` that replace the head of the model.
_NEW_HEADS = ("pretrained", "random", "refilled")


@dataclass(frozen=True)
class GivenHead:
    """The decision on the trained head of `--model`: the head is kept, or a new head replaces it.

    Attributes:
        matching: The output of the head that stands for each class; None if a new head replaces it.
        names: The names of the outputs, in their order.
        note: The decision in a sentence.
    """

    matching: Matching | None
    names: tuple[str, ...]
    note: str

    @property
    def is_kept(self) -> bool:
        """Whether the training starts with this head."""
        return self.matching is not None

    def number(self, data: TextData) -> TextData:
        """Return the data with its classes numbered and named as the outputs, if the head is kept."""
        if self.matching is None:
            return data
        return data.with_classes(self.matching.outputs, self.names)


def find_head(config: RunConfig, data: TextData) -> GivenHead | None:
    """Decide whether `--model` has a trained head that fits the classes of the data.

    Args:
        config: The options of the run.
        data: The data of the run.

    Returns:
        The decision on the head; None if the model has no trained head.

    Raises:
        ConfigError: If the options ask for a head that the model does not have, or `--labels` cannot be used.
        DataError: If the head has as many outputs as there are classes, but the outputs cannot be matched to
            the classes.
    """
    names = names_of_head(config.model)
    if not names or config.start in _NEW_HEADS:
        _refuse(config, names or None)
        if names is None:
            return None
        if not names:
            note = f"The head of '{config.model}' is untrained, with biases of 0: a new head takes its place."
            return GivenHead(None, (), note)
        return GivenHead(
            None, (), f"A new head replaces the head of '{config.model}', because --start is {config.start}."
        )
    classes = data.label_names
    if len(names) != len(classes) and config.start != "given" and config.labels is None:
        _refuse_near_fit(config, classes, names)
        note = (
            f"The head of '{config.model}' has {len(names)} outputs ({name_some(names)}), and the data have "
            f"{len(classes)} classes ({name_some(classes)}): a new head takes its place."
        )
        return GivenHead(None, (), note)
    matching = _match(config, classes, names)
    note = (
        f"'{config.model}' is a trained classifier, so the training starts from it with its own head; "
        f"--start pretrained gives it a new one. {matching.describe(names)}"
    )
    return GivenHead(matching, _named(matching, names), note)


def _refuse(config: RunConfig, names: Sequence[str] | None) -> None:
    """Refuse options that need the head of the model if it has none, or if a new head replaces it."""
    if config.start == "given":
        raise ConfigError(
            f"'{config.model}' has no trained classification head to start from: choose a classifier, or "
            "leave --start given out."
        )
    if config.labels is not None:
        reason = "has no trained head" if names is None else f"gets a new head by --start {config.start}"
        raise ConfigError(
            f"--labels names the outputs of a trained classifier, but '{config.model}' {reason}: leave it "
            "out."
        )


def _refuse_near_fit(config: RunConfig, classes: Sequence[str], names: Sequence[str]) -> None:
    """Refuse classes that are those of the head and some more, or some fewer: labels may be misspelt."""
    of_data, of_head = ({folded(name): name for name in group} for group in (classes, names))
    if is_unnamed(names) or not (of_data.keys() <= of_head.keys() or of_head.keys() <= of_data.keys()):
        return
    more, fewer = (
        [group[key] for key in group if key not in other]
        for group, other in ((of_data, of_head), (of_head, of_data))
    )
    difference = f"also have {name_some(more)}" if more else f"lack {name_some(fewer)}"
    raise DataError(
        f"The data have classes of the head of '{config.model}' ({name_some(names)}), but {difference}: "
        "correct the labels, or choose --start pretrained for a new head."
    )


def _match(config: RunConfig, classes: Sequence[str], names: Sequence[str]) -> Matching:
    """Find the output of each class; each output stands for exactly one class."""
    if len(names) != len(classes):
        raise ConfigError(
            f"The head of '{config.model}' has {len(names)} outputs ({name_some(names)}), and the data have "
            f"{len(classes)} classes ({name_some(classes)}): choose --start pretrained for a new head."
        )
    order = None if config.train_file is not None else classes
    try:
        return match_classes(classes, names, "the training data", order=order, option=config.labels)
    except DataError as error:
        reason = str(error).rstrip(".")
        raise DataError(f"{reason}; --start pretrained gives the model a new head.") from error


def _named(matching: Matching, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the outputs, or the names of their classes if the outputs have no names."""
    if not is_unnamed(names):
        return tuple(names)
    of_output = dict(zip(matching.outputs, matching.classes, strict=True))
    return tuple(of_output[index] for index in range(len(names)))
