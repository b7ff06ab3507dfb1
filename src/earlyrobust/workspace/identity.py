"""Whether a command is the one that a folder was begun by: options are compared, files by their places."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Options that name files or folders, and those that may also name something else, as on the hub.
_FILES = {"train_file", "test_file", "data_dir", "nltk_data"}
_PERHAPS_FILES = {"model", "neighbours", "sentence_encoder", "masked_lm"}
# What comes with the package or its extras goes by these names, whatever the working folder holds.
_NAMES = {"minilm", "counter-fitted", "use"}
# Earlier versions wrote down columns that were not given.
_DEFAULT_COLUMNS = {"text_column": "text", "label_column": "label"}
# So many differences are named, and so much is shown of a value.
_MOST_NAMED, _LONGEST = 3, 160


@dataclass(frozen=True)
class Difference:
    """An option that is another one now than it was when a folder was begun.

    Attributes:
        option: Its name.
        then: Its value when the folder was begun.
        now: Its value now.
    """

    option: str
    then: Any
    now: Any

    @property
    def may_have_moved(self) -> bool:
        """Whether both may be one file, which is no longer where it was."""
        if self.option not in _FILES | _PERHAPS_FILES or self.then is None or self.now is None:
            return False
        then, now = Path(str(self.then)), Path(str(self.now))
        # What is no absolute path and not in the working folder may be a name on the hub.
        is_path = then.is_absolute() or self.option in _FILES
        return is_path and not then.exists() and now.exists() and then.name == now.name

    def __str__(self) -> str:
        name = str(self.option).replace("_", "-")
        return f"--{name} is {shown(self.then)} there and {shown(self.now)} here"


def anchored(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as they hold in any working folder: paths are absolute.

    Args:
        options: Of a command, by name; values are JSON types or paths.
    """
    return {name: _anchor(name, value) for name, value in options.items()}


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """The options in which two commands differ.

    Args:
        then: Those that a folder was begun with; relative paths are taken from the working folder.
        now: Those of the command at hand.

    Returns:
        What differs, options that are None being as good as absent.
    """
    return [
        Difference(name, then.get(name), now.get(name))
        for name in dict.fromkeys([*now, *then])
        if not _is_same(name, then.get(name), now.get(name))
    ]


def told(differing: Iterable[Difference]) -> str:
    """Name the first differences, with both values, as part of a sentence."""
    sentences = [str(difference) for difference in differing]
    more = len(sentences) - _MOST_NAMED
    named = ", ".join(sentences[:_MOST_NAMED])
    return f"{named}, and {more} more differ" if more > 0 else named


def facts_of_test_data(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that an attack or export was begun with, whichever version wrote them.

    Args:
        options: Its options; those of its data may be in JSON.
    """
    facts = {name: value for name, value in options.items() if name != "data"}
    try:
        facts.update(json.loads(options.get("data") or "{}"))
    except (TypeError, ValueError):
        facts["data"] = options["data"]
    return {name: value for name, value in facts.items() if _DEFAULT_COLUMNS.get(name) != value}


def key_of(*facts: Any) -> str:
    """A few letters that stand for facts, to tell folders of one name apart.

    Args:
        facts: JSON types or paths.
    """
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:6]


def _anchor(name: str, value: Any) -> Any:
    if not isinstance(value, str | Path) or name not in _FILES | _PERHAPS_FILES or str(value) in _NAMES:
        return value
    place = Path(value).expanduser()
    return os.path.abspath(place) if name in _FILES or place.exists() else value


def _is_same(name: str, then: Any, now: Any) -> bool:
    if then == now:
        return True
    if name not in _FILES | _PERHAPS_FILES or not isinstance(then, str) or not isinstance(now, str):
        return False
    try:
        places = {os.path.realpath(_anchor(name, value)) for value in (then, now)}
    except ValueError:  # no path has such characters
        return False
    return len(places) == 1


def shown(value: Any) -> str:
    """A value of an option, as part of a sentence."""
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return shown(",".join(map(str, value)) or "empty")
    text = str(value).encode("utf-8", "backslashreplace").decode()  # a file may hold half a character
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
