"""Makes two chapters of docs/evidence.md from evidence/attacks: the strength of attacks, and illusions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Folder of a model → its name on the page. The folder holds the records of attacks on the model.
MODELS = {
    "sst2": "minilm, 6,000 SST-2 sentences",
    "demo-dense": "demo, dense",
    "demo-ticket": "demo, ticket",
}
# Variants of scrutiny that every model has.
VARIANTS = ("margin", "random")
TITLE = "## How strong each attack is"
# Record of an attack with scrutiny → name of the model on the page.
SCRUTINISED = {
    "epochs-2": "fine-tuned for 2 epochs",
    "epochs-10": "fine-tuned for 10 epochs",
    "int8": "fine-tuned for 2 epochs, ONNX in 8-bit integers",
}


def chapter(records: Path) -> Iterator[str]:
    """Yield the chapter on the strength of attacks, with a table for each model that has records.

    Yields nothing if no model has records.
    """
    found = {name: list(_attacks(records / name)) for name in MODELS}
    if not any(found.values()):
        return
    yield TITLE
    yield (
        "Each table shows the accuracy under attack (Aua%) of one model under every attack, on the same "
        "examples. A stronger attack has a lower Aua%. Intervals are 95 % Wilson intervals over the examples."
    )
    for name, rows in found.items():
        if rows:
            lines = [
                "| attack | neighbours | Clean% | Aua% | #Query | candidates a word | never offered one |",
                "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
            ]
            yield "\n".join([f"### {MODELS[name]}", "", *lines, *map(_row, rows)])


def illusions(records: Path) -> Iterator[str]:
    """Yield the chapter on illusions, with a table of attacks with scrutiny.

    Yields nothing if there are no records.
    """
    found = {name: _report(records / f"{name}.json") for name in SCRUTINISED}
    rows = [_scrutiny_row(SCRUTINISED[name], report) for name, report in found.items() if report is not None]
    if rows:
        yield "## Illusions of robustness"
        yield (
            "The table shows `textfooler` with scrutiny (see [Scrutiny](guides/scrutiny.md)) on minilm, "
            "trained on 6,000 SST-2 sentences. *p* is the smallest *p* of the variants, after Holm's "
            "correction. If it is below 0.05, the plain attack overstates robustness. The temperature is "
            "fitted on the other test sentences. A temperature above 1 means an over-confident model: the "
            "larger the temperature, the more over-confident the model."
        )
        lines = [
            "| model | temperature | Clean% | Aua% plain | margin | random | under scrutiny | p |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        yield "\n".join([*lines, *rows])


def _report(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _scrutiny_row(model: str, report: dict[str, Any]) -> str:
    attack = report["attacks"]["textfooler"]
    variants = attack["scrutiny"]["variants"]
    shares = [
        attack["clean"],
        attack["under_attack"],
        *(variants[name]["under_attack"] for name in VARIANTS),
    ]
    cells = [_share(share) for share in (*shares, attack["scrutiny"]["under_scrutiny"])]
    least = min(variant["adjusted_p"] for variant in variants.values())
    temperature = attack["scrutiny"]["temperature"]["value"]
    return f"| {' | '.join([model, f'{temperature:.2f}', *cells, f'{least:.2g}'])} |"


def _attacks(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of all attacks on a model, strongest attack first."""
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
