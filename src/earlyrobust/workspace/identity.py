"""Compares the options of a command with the original options of a folder; files are compared by path."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earlyrobust.options.places import with_sources

# Options that name files or folders, and options that may instead be a name, as on the hub.
_FILES = {"train_file", "test_file", "data_dir", "nltk_data"}
_PERHAPS_FILES = {"model", "neighbours", "sentence_encoder", "masked_lm"}
# These names mean the resources of the package or its extras, even if the working folder holds such files.
_NAMES = {"minilm", "wordnet", "counter-fitted", "use"}
# Earlier versions wrote down columns that were not given.
_DEFAULT_COLUMNS = {"text_column": "text", "label_column": "label"}
# The largest number of differences in a message, and the largest number of characters of a value.
_MOST_NAMED, _LONGEST = 3, 160


@dataclass(frozen=True)
class Difference:
    """An option whose value differs from the original value in a folder.

    Attributes:
        option: Name of the option.
        then: The original value.
        now: The current value.
    """

    option: str
    then: Any
    now: Any

    @property
    def may_have_moved(self) -> bool:
        """Whether both values may be the same file, which has moved."""
        if self.option not in _FILES | _PERHAPS_FILES or self.then is None or self.now is None:
            return False
        then, now = Path(str(self.then)), Path(str(self.now))
        # A value that is not an absolute path may be a name on the hub.
        is_path = then.is_absolute() or self.option in _FILES
        return is_path and not then.exists() and now.exists() and then.name == now.name

    def __str__(self) -> str:
        name = str(self.option).replace("_", "-")
        return f"--{name} is {shown(self.then)} there and {shown(self.now)} here"


def anchored(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with absolute paths, which are valid in any working folder.

    Args:
        options: The options of a command by name; values are JSON types or paths.
    """
    return {name: _anchor(name, value) for name, value in options.items()}


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Return the options in which two commands differ.

    Args:
        then: The original options of a folder; relative paths are relative to the working folder.
        now: The options of the current command.

    Returns:
        The differences. Options that are None count as absent.
    """
    return [
        Difference(name, then.get(name), now.get(name))
        for name in dict.fromkeys([*now, *then])
        if not _is_same(name, then.get(name), now.get(name))
    ]


def told(differing: Iterable[Difference]) -> str:
    """Return the first differences, with both values, as part of a sentence; "" if there are none."""
    sentences = [str(difference) for difference in differing]
    more = len(sentences) - _MOST_NAMED
    named = ", ".join(sentences[:_MOST_NAMED])
    return f"{named}, and {more} more differ" if more > 0 else named


def facts_of_test_data(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the original options of an attack or export in one form, for records of any version.

    Args:
        options: The options; those of the data may be a JSON string under `data`.
    """
    facts = {name: value for name, value in options.items() if name != "data"}
    try:
        facts.update(json.loads(options.get("data") or "{}"))
    except (TypeError, ValueError):
        facts["data"] = options["data"]
    return {name: value for name, value in facts.items() if _DEFAULT_COLUMNS.get(name) != value}


def key_of(*facts: Any) -> str:
    """Return six hexadecimal digits of a hash of facts, to distinguish folders with the same name.

    Args:
        *facts: JSON types or paths.
    """
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()[:6]


def _anchor(name: str, value: Any) -> Any:
    if name == "noise" and isinstance(value, str):
        return with_sources(value, lambda source: str(_anchor("neighbours", source)))
    if not isinstance(value, str | Path) or name not in _FILES | _PERHAPS_FILES or str(value) in _NAMES:
        return value
    return os.path.abspath(value) if name in _FILES or Path(value).exists() else value


def _is_same(name: str, then: Any, now: Any) -> bool:
    if then == now:
        return True
    if name == "noise":
        return bool(_anchor(name, then) == _anchor(name, now))
    if name not in _FILES | _PERHAPS_FILES or not isinstance(then, str) or not isinstance(now, str):
        return False
    try:
        places = {os.path.realpath(_anchor(name, value)) for value in (then, now)}
    except ValueError:  # A path cannot hold such characters.
        return False
    return len(places) == 1


def shown(value: Any) -> str:
    """Return the value of an option as part of a sentence."""
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return shown(",".join(map(str, value)) or "empty")
    # A value from a file may hold half a surrogate pair.
    text = str(value).encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
