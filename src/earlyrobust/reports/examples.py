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
from earlyrobust.reports.html import environment, percent, setting, write_page
from earlyrobust.results import Accuracy, AttackRecord, Mean

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


class _Figure(NamedTuple):
    name: str
    meaning: str
    value: str | None
    interval: str


def draw_examples(
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


def draw_journals(
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
        draw_examples(sections, label_names, folder / EXAMPLES_PAGE, findings)


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
    """The numbers of an attack, as the page words them."""
    return [
        _share("Clean%", "right before the attack", record.clean),
        _share("Aua%", "accuracy under attack: still right after it", record.under_attack),
        _share("Attack success rate", "of attacks on what was right", record.success_rate),
        _mean("#Query", "texts asked per example", record.queries, 1),
        _mean("Words changed", "in a successful attack", record.words_changed, 1, share=True),
        _mean("Similarity", "after a successful attack", record.similarity, 3),
        *_could_try(record),
    ]


def _could_try(record: AttackRecord) -> Iterator[_Figure]:
    """What the attack could try; nothing for the record of an older version."""
    validity = record.validity
    if validity is None or validity.never_offered_share is None:
        return
    counts = f"{validity.never_offered:,} of {validity.counted:,} attacked examples"
    yield _Figure(
        "Never offered a candidate", "and so withstood", percent(validity.never_offered_share), counts
    )
    if validity.candidates_per_word is not None:
        tried = f"{validity.offered:,} for {validity.tried:,} words"
        value = f"{validity.candidates_per_word:.1f}"
        yield _Figure("Candidates a word", "offered, for each word tried", value, tried)
    if validity.touchable_share is not None:
        counts = f"{validity.touchable:,} of {validity.words:,} words"
        yield _Figure(
            "Words that may be touched", "of all attacked texts", percent(validity.touchable_share), counts
        )
    if record.cut is not None:
        total = record.clean.total
        yield _Figure(
            "Read in part",
            "longer than the model reads",
            percent(record.cut / total),
            f"{record.cut:,} of {total:,} examples",
        )


def _share(name: str, meaning: str, share: Accuracy | None) -> _Figure:
    if share is None:
        return _Figure(name, meaning, None, "")
    interval = f"{100 * share.low:.1f} to {100 * share.high:.1f} %"
    return _Figure(name, meaning, percent(share.value), interval)


def _mean(name: str, meaning: str, mean: Mean | None, digits: int, *, share: bool = False) -> _Figure:
    if mean is None:
        return _Figure(name, meaning, None, "")
    factor, unit = (100, " %") if share else (1, "")
    numbers = (factor * mean.value, factor * mean.low, factor * mean.high)
    value, low, high = (f"{number:.{digits}f}".replace("-", "−") for number in numbers)
    return _Figure(name, meaning, value + unit, f"{low} to {high}{unit}")
