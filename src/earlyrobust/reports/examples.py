"""A page that shows what attacks did to each example."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from earlyrobust.journal import AttackedExample, read_journal
from earlyrobust.reports.html import environment, setting, write_page
from earlyrobust.reports.numbers import NOTHING, attack_cells
from earlyrobust.reports.tables import Number
from earlyrobust.reports.validity import CANDIDATES, NEVER_OFFERED, READ_IN_PART, TOUCHABLE
from earlyrobust.results import AttackRecord
from earlyrobust.statistics.measures import AUA, CLEAN, QUERIES, SIMILARITY, SUCCESS, WORDS_CHANGED

EXAMPLES_PAGE = "examples.html"

# What the attacks take for a word, the white space between words, or one other character.
_TOKEN = re.compile(r"[\w'\-*@˗`×]+|\s+|.", re.DOTALL)
# Most tokens of both texts that one edit may reach over, and equal tokens in a row that end it.
_EDIT, _AGAIN = 100, 3
_STATUSES = (
    ("succeeded", "Succeeded", "the model was made to err"),
    ("failed", "Failed", "the model stayed right"),
    ("skipped", "Skipped", "the model erred without any attack"),
)
_SETTINGS = {"candidates": "K", "masked_lm": "masked language model"}


class Piece(NamedTuple):
    """A part of a text.

    Attributes:
        content: The part.
        changed: Whether the other text has something else in its place.
    """

    content: str
    changed: bool


_MEANINGS = {
    CLEAN: "right before the attack",
    AUA: "accuracy under attack: still right after it",
    SUCCESS: "of the attacks on examples that the model had right",
    QUERIES: "texts that the model was asked about, for each example",
    WORDS_CHANGED: "in a successful attack",
    SIMILARITY: "after a successful attack",
    NEVER_OFFERED: "and so withstood",
    CANDIDATES: "that the model was asked about, for each word tried",
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
        path: Where the page is written.
        findings: What the reader has to beware of, a sentence each.
    """
    made = environment()
    made.filters["class_name"] = class_namer(label_names)
    shown = [attack_section(title, record, examples) for title, record, examples in sections]
    write_page(made, EXAMPLES_PAGE, path, sections=shown, compare=compare_columns, findings=findings)


def attack_section(
    title: str, record: AttackRecord, examples: Sequence[AttackedExample], most: int | None = None
) -> dict[str, Any]:
    """What a page shows of an attack: numbers, settings, what scrutiny found, and examples by how they ended.

    Args:
        title: What the attack is called.
        record: Its record.
        examples: Its examples.
        most: How many are shown of those that ended in the same way; None for all.
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
    """Write the page of all attacks whose journals are in a folder, into that folder; nothing for none.

    Records travel without their journals, which hold the texts.

    Args:
        records: The attacks, by the title under which they are shown.
        label_names: Name of each class, in the order of the classes.
        folder: Of the journals that the records name.
        findings: What the reader has to beware of, a sentence each.

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


def compare(before: str, after: str) -> tuple[list[Piece], list[Piece]]:
    """Find the words in which two texts differ.

    Args:
        before: A text.
        after: The same text with some words replaced.

    Returns:
        The parts of each; joined they are the text.
    """
    old, new = _tokens(before), _tokens(after)
    left, right = [True] * len(old), [True] * len(new)
    for start, other, size in _matches(old, new):
        left[start : start + size] = right[other : other + size] = [False] * size
    return _pieces(old, left), _pieces(new, right)


def compare_columns(example: AttackedExample) -> Iterator[tuple[list[Piece], list[Piece]]]:
    """The parts of each of an example's texts, before and after the attack."""
    for before, after in zip(example.texts, example.final, strict=True):
        yield compare(before, after)


def _tokens(text: str) -> list[str]:
    """Words, spaces, and what is between them; combining marks stay with what they combine with."""
    tokens: list[str] = []
    for token in _TOKEN.findall(text):
        if tokens and unicodedata.category(token[0])[0] == "M":
            tokens[-1] += token
        else:
            tokens.append(token)
    return tokens


def _matches(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """Where the tokens are the same: first place in either list, and how many."""
    if len(old) == len(new):
        # Words were replaced one for one, so each is compared with what stands in its own place.
        yield from ((place, place, 1) for place, token in enumerate(old) if token == new[place])
        return
    # An edit made two words of one. Edits are small, so the texts are soon the same again. Comparing them as
    # wholes would take long, and in a text that repeats itself find the same words in other places.
    begin = other = 0
    while begin < len(old) and other < len(new):
        if old[begin] == new[other]:
            yield begin, other, 1
            begin, other = begin + 1, other + 1
            continue
        end, end_other = _same_again(old, new, begin, other)
        if end - begin == end_other - other:
            yield from (
                (begin + place, other + place, 1)
                for place in range(end - begin)
                if old[begin + place] == new[other + place]
            )
        else:
            matcher = SequenceMatcher(None, old[begin:end], new[other:end_other])
            for block in matcher.get_matching_blocks():
                yield begin + block.a, other + block.b, block.size
        begin, other = end, end_other


def _same_again(old: Sequence[str], new: Sequence[str], begin: int, other: int) -> tuple[int, int]:
    """The nearest places from which the tokens are the same for a while; the ends if there are none."""
    for distance in range(1, _EDIT):
        # Equally many tokens on both sides first.
        for skipped in sorted(range(distance + 1), key=lambda place: abs(2 * place - distance)):
            end, end_other = begin + skipped, other + distance - skipped
            ahead = old[end : end + _AGAIN]
            if ahead and ahead == new[end_other : end_other + _AGAIN]:
                return end, end_other
    return len(old), len(new)


def _pieces(tokens: Sequence[str], changed: Sequence[bool]) -> list[Piece]:
    """Join neighbouring tokens that are alike in being changed or not."""
    groups = groupby(zip(tokens, changed, strict=True), key=lambda pair: pair[1])
    return [Piece("".join(token for token, _ in group), is_changed) for is_changed, group in groups]


def class_namer(label_names: Sequence[str]) -> Any:
    """Make the filter that gives a class its name."""

    def class_name(index: int) -> str:
        return label_names[index] if 0 <= index < len(label_names) else f"class {index}"

    return class_name


def _figures(record: AttackRecord) -> list[_Figure]:
    """The numbers of an attack, each with its meaning."""
    found = []
    for name, cell in attack_cells(record).items():
        if cell == NOTHING and name not in _ALWAYS:
            continue  # the record of an older version has no counts
        value, interval = (cell.value, cell.interval) if isinstance(cell, Number) else (cell, "")
        found.append(_Figure(name, _MEANINGS[name], None if value == NOTHING else value, interval))
    return found
