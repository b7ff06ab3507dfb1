"""The chapter of docs/evidence.md on how strong each attack is, from the records under evidence/attacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Folder of a model → how the page calls it. In it, the record of an attack for each source of neighbours.
MODELS = {
    "sst2": "minilm, 6,000 SST-2 sentences",
    "demo-dense": "demo, dense",
    "demo-ticket": "demo, ticket",
}
TITLE = "## How strong each attack is"


def chapter(records: Path) -> Iterator[str]:
    """The tables, one for each model that has a folder of records; nothing where there are none."""
    found = {name: list(_attacks(records / name)) for name in MODELS}
    if not any(found.values()):
        return
    yield TITLE
    yield (
        "Accuracy under attack (Aua%) of one model under every attack, on the same examples. The lower it "
        "is, the stronger is the attack. Intervals are of 95 %, over examples (Wilson)."
    )
    for name, rows in found.items():
        if rows:
            lines = [
                "| attack | neighbours | Clean% | Aua% | #Query | candidates a word | never offered one |",
                "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
            ]
            yield "\n".join([f"### {MODELS[name]}", "", *lines, *map(_row, rows)])


def _attacks(folder: Path) -> Iterator[dict[str, Any]]:
    """The records of all attacks on a model, the strongest first."""
    if folder.is_dir():
        reports = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
        attacks = [attack for report in reports for attack in report["attacks"].values()]
        yield from sorted(attacks, key=lambda attack: attack["under_attack"]["correct"])


def _row(attack: dict[str, Any]) -> str:
    settings = attack["settings"]
    queries, validity = attack["queries"], attack["validity"]
    cells = [
        settings["attack"],
        settings.get("neighbours", "–"),
        _share(attack["clean"]),
        _share(attack["under_attack"]),
        "–" if queries is None else f"{queries['value']:.0f}",
        f"{validity['offered'] / validity['tried']:.1f}",
        f"{100 * validity['never_offered'] / validity['counted']:.1f} %",
    ]
    return f"| {' | '.join(cells)} |"


def _share(accuracy: dict[str, float]) -> str:
    value = 100 * accuracy["correct"] / accuracy["total"]
    return f"{value:.1f} ({100 * accuracy['low']:.1f} to {100 * accuracy['high']:.1f})"
