"""Renders the page of attacked examples: each text before and after each attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from earlyrobust.journal import AttackedExample, read_journal
from earlyrobust.reports.html import environment, setting, write_page
from earlyrobust.reports.marking import mark_columns
from earlyrobust.reports.numbers import NOTHING, attack_cells
from earlyrobust.reports.tables import Number
from earlyrobust.reports.validity import CANDIDATES, NEVER_OFFERED, READ_IN_PART, TOUCHABLE
from earlyrobust.results import AttackRecord
from earlyrobust.statistics.measures import AUA, CLEAN, QUERIES, SIMILARITY, SUCCESS, WEAKEST, WORDS_CHANGED

EXAMPLES_PAGE = "examples.html"

_STATUSES = (
    ("succeeded", "Succeeded", "the model is wrong after the attack"),
    ("failed", "Failed", "the model stays right"),
    ("skipped", "Skipped", "the model is wrong before the attack"),
)
_SETTINGS = {"candidates": "K", "masked_lm": "masked language model"}


_MEANINGS = {
    CLEAN: "right before the attack",
    AUA: "accuracy under attack: still right after the attack",
    WEAKEST: "the lowest accuracy under attack of any class",
    SUCCESS: "of the attacks on examples that were right before",
    QUERIES: "texts that the attack asked the model about, for each example",
    WORDS_CHANGED: "in a successful attack",
    SIMILARITY: "after a successful attack",
    NEVER_OFFERED: "these examples count as withstood",
    CANDIDATES: "that the attack asked the model about, for each word tried",
    TOUCHABLE: "of all attacked texts",
    READ_IN_PART: "longer than the model reads",
}
_ALWAYS = (CLEAN, AUA, SUCCESS, QUERIES, WORDS_CHANGED, SIMILARITY)


class _Figure(NamedTuple):
    name: str
    meaning: str
    value: str | None
    interval: str


def render_examples(
    sections: Sequence[tuple[str, AttackRecord, Sequence[AttackedExample]]],
    label_names: Sequence[str],
    path: Path,
    findings: Sequence[str] = (),
) -> None:
    """Write the page of examples.

    Args:
        sections: For each attack its title, its record, and its examples.
        label_names: Name of each class, in the order of the classes.
        path: Path of the page.
        findings: Problems of the attacks, a sentence each.
    """
    made = environment()
    made.filters["class_name"] = class_namer(label_names)
    shown = [attack_section(title, record, examples) for title, record, examples in sections]
    write_page(made, EXAMPLES_PAGE, path, sections=shown, compare=mark_columns, findings=findings)


def attack_section(
    title: str, record: AttackRecord, examples: Sequence[AttackedExample], most: int | None = None
) -> dict[str, Any]:
    """Return the content of an attack's section: numbers, scrutiny, settings, and examples by status.

    Args:
        title: Title of the section.
        record: Record of the attack.
        examples: Examples of the attack.
        most: Largest number of shown examples of each status; None for all.
    """
    return {
        "title": title,
        "figures": _figures(record),
        "scrutiny": None if record.scrutiny is None else record.scrutiny.describe(record.under_attack),
        "settings": [
            (_SETTINGS.get(name, name.replace("_", " ")), setting(value))
            for name, value in record.settings.items()
        ],
        "groups": [
            (status, name, meaning, found[:most], len(found))
            for status, name, meaning in _STATUSES
            if (found := [example for example in examples if example.status == status])
        ],
    }


def render_journals(
    records: Mapping[str, AttackRecord],
    label_names: Sequence[str],
    folder: Path,
    findings: Sequence[str] = (),
) -> None:
    """Write the page of all attacks whose journals are in a folder, into that folder.

    Journals hold the texts, so a shared record may come without them. Nothing is written if all journals are
    missing.

    Args:
        records: The record of each attack, by the title of its section.
        label_names: Name of each class, in the order of the classes.
        folder: Folder of the journals.
        findings: Problems of the attacks, a sentence each.

    Raises:
        OutputError: If a journal is damaged.
    """
    sections = [
        (title, record, read_journal(journal)[1])
        for title, record in records.items()
        if (journal := folder / str(record.journal)).exists()
    ]
    if sections:
        render_examples(sections, label_names, folder / EXAMPLES_PAGE, findings)


def class_namer(label_names: Sequence[str]) -> Any:
    """Return the template filter that turns the index of a class into its name."""

    def class_name(index: int) -> str:
        return label_names[index] if 0 <= index < len(label_names) else f"class {index}"

    return class_name


def _figures(record: AttackRecord) -> list[_Figure]:
    """Return the numbers of an attack, each with its meaning."""
    found = []
    for name, cell in attack_cells(record).items():
        if cell == NOTHING and name not in _ALWAYS:
            continue  # the record of an older version has no counts
        value, interval = (cell.value, cell.interval) if isinstance(cell, Number) else (cell, "")
        found.append(_Figure(name, _MEANINGS[name], None if value == NOTHING else value, interval))
    return found
