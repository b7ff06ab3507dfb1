"""Finds the search that the options of a run name, and its settings."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch

from earlyrobust.extensions import find_class
from earlyrobust.options.run import RunConfig
from earlyrobust.options.specs import NONE
from earlyrobust.pipeline.foreign import blaming, check_name
from earlyrobust.search import SEARCHES, Search

_MULTIPLE_ON_ACCELERATORS = 64
# Instead of a search: a ticket drawn at random, the baseline of every search.
RANDOM = "random"
# For each option, the settings of searches that it sets.
SETTINGS = {name: one.settings for name, one in RunConfig.described().items() if one.settings}


def find_search(name: str) -> type[Search[Any, Any]] | None:
    """Return the search that an option names; None if it names no search or a random ticket.

    Raises:
        ConfigError: If there is no such search, or it has no name of its own.
    """
    if name in (RANDOM, NONE):
        return None
    found = find_class("search", name, SEARCHES, Search, [RANDOM, NONE])
    if SEARCHES.get(name) is not found:
        check_name("search", name, found, [*SEARCHES, RANDOM, NONE])
    return found


def settings_of(search: type[Search[Any, Any]], config: RunConfig) -> Any:
    """Return the settings of a search, from the given options of the run that the search has.

    Raises:
        ConfigError: If a setting has a value that cannot be used.
    """
    with blaming(search, call="Config"):
        known = {field.name for field in fields(search.Config)}
        given = {
            name: getattr(config, option)
            for option, names in SETTINGS.items()
            for name in known.intersection(names)
            if getattr(config, option) is not None
        }
        if "neuron_multiple" in known:
            given["neuron_multiple"] = neuron_multiple(config)
        if given.get("draw_after") == 0:
            given["draw_after"] = None
        return search.Config(**given)


def neuron_multiple(config: RunConfig) -> int:
    """Return m, where the number of neurons that a ticket keeps in each layer is a multiple of m.

    The option decides. Without it, m is 64 on accelerators and 1 on CPUs.
    """
    usual = _MULTIPLE_ON_ACCELERATORS if torch.accelerator.is_available() else 1
    return usual if config.neuron_multiple is None else config.neuron_multiple
