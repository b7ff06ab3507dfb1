"""Names the resources of attacks, because numbers with different resources cannot be compared."""

from __future__ import annotations

import json
from itertools import combinations
from typing import Any

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.results import AttackRecord, differing_settings, setting_in_words

# Names of resources among the settings of attacks.
_RESOURCES = ("neighbours", "sentence_encoder", "tagger", "masked_lm")


def resources_of(record: AttackRecord) -> str:
    """Return the resources of an attack as part of a sentence; "" for an attack without any."""
    settings = record.settings
    return "; ".join(f"{name.replace('_', ' ')}: {settings[name]}" for name in _RESOURCES if name in settings)


def resources_of_arms(comparison: Comparison) -> dict[str, str]:
    """Return the resources of each attack of a comparison that has any, by the name of the attack.

    Resources that are not the same on all runs are separated by "or".
    """
    found: dict[str, dict[str, None]] = {}
    for runs in comparison.runs.values():
        for run in runs.values():
            for name, record in run.model.attacks.items():
                if used := resources_of(record):
                    found.setdefault(name, {})[used] = None
    return {name: " or ".join(used) for name, used in found.items()}


def mixed_attacks(comparison: Comparison) -> list[str]:
    """Tell which attacks had different settings or resources on the runs, with the values and the runs."""
    sentences = []
    for attack in comparison.attacks:
        places: dict[str, tuple[dict[str, Any], list[str]]] = {}
        for arm, runs in comparison.runs.items():
            for seed, run in sorted(runs.items()):
                if attack in run.model.attacks:
                    settings = comparison.settings(arm, seed, attack)
                    places.setdefault(json.dumps(settings), (settings, []))[1].append(f"{arm}, seed {seed}")
        every = [settings for settings, _ in places.values()]
        pairs = [differing_settings(one, two) for one, two in combinations(every, 2)]
        if differing := list(dict.fromkeys(name for pair in pairs for name in pair)):
            name, *others = differing
            by_value: dict[str, list[str]] = {}
            for settings, cells in places.values():
                value = settings.get(name, "as in earlier versions")
                by_value.setdefault(setting_in_words(name, value), []).extend(cells)
            told = "; ".join(f"with {value} on {' and '.join(cells)}" for value, cells in by_value.items())
            more = f"; {len(others)} more settings differ" if others else ""
            sentences.append(
                f"{attack} did not attack all runs in the same way ({told}{more}): arms with different "
                "settings are not tested against each other. Delete the folders of the runs with the old "
                "settings, and give the command again."
            )
    return sentences
