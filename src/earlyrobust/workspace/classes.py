"""Hashes the code of the user's own classes, so that an edited class continues no old run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from earlyrobust.extensions import code_named

# Options that may name classes from outside the package, and the kind of the class.
_KINDS = {"search": "search", "search_adversary": "adversary", "adversary": "adversary", "attack": "attack"}


def code_of_classes(options: Mapping[str, Any]) -> dict[str, str]:
    """Return a hash of the code of each class from outside the package that options name.

    Args:
        options: The options of a command by name.

    Returns:
        The hashes, by the names of the classes. A class whose code is unknown is left out.
    """
    found = {}
    for option, kind in _KINDS.items():
        value = options.get(option) or ()
        # An adversary has its settings behind its name.
        for name in [value.partition(",")[0].strip()] if isinstance(value, str) else value:
            if (code := code_named(kind, name)) is not None:
                found[name] = code
    return found


def edited_classes(then: Any, now: Mapping[str, str]) -> list[str]:
    """Return the names of the classes whose code has changed.

    Args:
        then: The original hashes in a folder. Earlier versions wrote none.
        now: The current hashes, as from `code_of_classes`.
    """
    begun = then if isinstance(then, dict) else {}
    return [name for name, code in now.items() if begun.get(name, code) != code]
