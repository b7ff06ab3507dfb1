"""Reads the CSV logs of TextAttack (`--log-to-csv`, `AttackArgs(log_to_csv=...)`, `CSVLogger`).

A log has one row for each attacked example. TextAttack 0.3.11 writes it in this form:

* Line breaks become `<SPLIT>`, also those within a text.
* The texts of a pair each begin with the name of their column: `Premise: ...<SPLIT>Hypothesis: ...`.
* The default style "file" ("fancy" in old versions) marks words that differ: `[[word]]`. It marks names of
  columns twice: `[[[[Premise]]]]: ...`. The style "plain" marks nothing. Chinese and Korean texts are never
  marked.
* A score is 1 - p(label) for untargeted attacks on classifiers.
"""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Callable, Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Literal

from earlyrobust.attacks.text import words_of
from earlyrobust.data.separated import separated_rows
from earlyrobust.data.textformat import TextFormat
from earlyrobust.errors import DataError
from earlyrobust.journal import AttackedExample, read_journal

Note = Callable[[str], None]
Status = Literal["succeeded", "failed", "skipped"]

_FIELDS = (
    *("original_text", "perturbed_text", "original_score", "perturbed_score", "original_output"),
    *("perturbed_output", "ground_truth_output", "num_queries", "result_type"),
)
_TEXTS = _FIELDS[:2]
_STATUSES: dict[str, Status] = {"Successful": "succeeded", "Failed": "failed", "Skipped": "skipped"}
_BREAK = "<SPLIT>"
_MARKED_WORD = re.compile(r"\[\[([^\[\]\s]+)\]\]")
_MARKED_NAME = re.compile(r"\[\[\[\[([^\[\]]+)\]\]\]\]: ")
_PLAIN_NAME = re.compile(r"([^\[\]:\s][^\[\]:]*): ")
# Characters of Chinese and Korean.
_NEVER_MARKED = re.compile(r"[\u3400-\u9fff\uac00-\ud7af]")
# Marks of words in the styles for terminals and browsers.
_COLOURS = ("\x1b[", "<font color = ")
# Tolerance for scores, which TextAttack computes in single precision.
_ROUNDING = 1e-4

Row = dict[str, str]


def read_attacked(path: Path, note: Note | None = None) -> tuple[dict[str, Any], list[AttackedExample]]:
    """Read attacked examples from a journal or, if its name ends in `.csv`, from a log of TextAttack.

    Args:
        path: The file.
        note: Receives sentences on how a log was read, see `read_textattack_csv`; None to ignore them.

    Returns:
        The header of the journal (for a log, `{"attack": "textattack"}`) and the examples in the order of
        their index.

    Raises:
        OutputError: If the journal is missing or damaged.
        DataError: If the log is missing or cannot be read.
    """
    if path.suffix.lower() == ".csv":
        return {"attack": "textattack"}, read_textattack_csv(path, note)
    return read_journal(path)


def read_textattack_csv(path: Path, note: Note | None = None) -> list[AttackedExample]:
    """Read a TextAttack log of an untargeted attack on a classifier.

    A log does not hold the similarity of texts before and after an attack, so `similarity` is None. Labels
    are the class numbers of TextAttack's data set.

    Args:
        path: The log, in the style "file" (in old versions "fancy") or "plain".
        note: Receives a sentence on whether the texts were read as pairs, one on how many rows have marked
            words and, if brackets stay in some texts, one on these; None to ignore them.

    Returns:
        The examples in the order of the log; `index` counts them from 0.

    Raises:
        DataError: If there is no such file, it is not a log of TextAttack, or a row cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"There is no log '{path}': name a CSV file that TextAttack has written.")
    rows = list(_rows(path))
    if not rows:
        raise DataError(f"'{path}' holds no attacked example: its attack ended before the first one.")
    names = _names_of_columns(path, rows)
    pattern = _columns(names)
    is_marked = _is_marked([row for _, row in rows])
    examples, marked, kept = [], 0, 0
    for index, (line, row) in enumerate(rows):
        before, after = (pattern.fullmatch(row[name]) for name in _TEXTS)
        if before is None or after is None:
            raise _refusal(path, line, f"has a text without the columns {' and '.join(map(repr, names))}")
        columns = list(zip(before.groups(), after.groups(), strict=True))
        if is_marked:
            read = [_unmarked(*column) for column in columns]
            marked += [column[:2] for column in read] != columns
            kept += any(has_brackets for _, _, has_brackets in read)
            columns = [(old, new) for old, new, _ in read]
        texts, final = (tuple(column[place].replace(_BREAK, "\n") for column in columns) for place in (0, 1))
        examples.append(_example(path, line, row, index, texts, final))
    if note is not None:
        what = f"pairs of {' and '.join(map(repr, names))}" if names else "single texts"
        note(f"The rows of '{path}' ({len(rows)}) are read as {what}.")
        note(f"Marks [[ ]] around words are taken out of {marked} of them.")
        if kept:
            note(f"Words in [[ ]] that are alike before and after the attack stay, in {kept} of them.")
    return examples


def _rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Yield the rows of a log as dicts by column name, each with the number of its line."""
    found = separated_rows(path, TextFormat(quotes=True), ",")
    _, header = next(found, (1, []))
    missing = [name for name in _FIELDS if name not in header]
    if missing:
        raise DataError(
            f"'{path}' has no column {', '.join(map(repr, missing))}: it is not a log that TextAttack's "
            "--log-to-csv writes."
        )
    for line, fields in found:
        if len(fields) != len(header):
            raise _refusal(path, line, f"has {len(fields)} fields instead of {len(header)}")
        row = dict(zip(header, fields, strict=True))
        if any(mark in row[name] for mark in _COLOURS for name in _TEXTS):
            raise _refusal(
                path, line, "marks words by colours: attack again with --csv-coloring-style file or plain"
            )
        yield line, row


def _example(
    path: Path, line: int, row: Row, index: int, texts: tuple[str, ...], final: tuple[str, ...]
) -> AttackedExample:
    kind = row["result_type"]
    if kind not in _STATUSES:
        raise _refusal(
            path,
            line,
            f"ended as {reprlib.repr(kind)}, and only attacks that end as {', '.join(_STATUSES)} can be read",
        )
    status = _STATUSES[kind]
    label, first, last, queries = (
        _whole(path, line, row, name)
        for name in ("ground_truth_output", "original_output", "perturbed_output", "num_queries")
    )
    begins, ends = first == label, last == label
    if (begins, ends) != {"skipped": (False, False), "succeeded": (True, False), "failed": (True, True)}[
        status
    ]:
        raise _refusal(
            path,
            line,
            f"ended as {kind}, though the model gave class {first} before and {last} after the attack to a "
            f"text of class {label}: only untargeted attacks on classifiers can be read",
        )
    words, others = (words_of("\n".join(columns)) for columns in (texts, final))
    return AttackedExample(
        index=index,
        label=label,
        texts=texts,
        status=status,
        queries=queries,
        final=final,
        words=len(words),
        words_changed=_changed(words, others),
        predicted=last,
        probability_before=_probability(path, line, row, "original_score", begins),
        probability_after=_probability(path, line, row, "perturbed_score", ends),
        similarity=None,
    )


def _whole(path: Path, line: int, row: Row, name: str) -> int:
    number = _number(row[name])
    if number is None or not number.is_integer() or number < 0:
        raise _refusal(
            path,
            line,
            f"has {reprlib.repr(row[name])} for {name}, which is no whole number: only attacks on "
            "classifiers can be read",
        )
    return int(number)


def _probability(path: Path, line: int, row: Row, name: str, is_right: bool) -> float:
    """Return the probability of the label: 1 - the score of an untargeted attack."""
    score = _number(row[name])
    # A class that is not the most probable one has at most probability 0.5.
    least = 0.0 if is_right else 0.5
    if score is None or not least - _ROUNDING <= score <= 1 + _ROUNDING:
        raise _refusal(
            path,
            line,
            f"has {reprlib.repr(row[name])} for {name}, which is not 1 - the probability of the label: only "
            "untargeted attacks on classifiers can be read",
        )
    return min(1.0, max(0.0, 1 - score))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _changed(old: Sequence[str], new: Sequence[str]) -> int:
    """Count the words of a text that another text has replaced or left out."""
    if len(old) == len(new):
        return sum(mine != theirs for mine, theirs in zip(old, new, strict=True))
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return sum(end - begin for kind, begin, end, _, _ in blocks if kind != "equal")


def _is_marked(rows: Sequence[Row]) -> bool:
    """Return whether a log is in the style that marks words: at least half of the changed rows have a mark.

    In the style "plain", words in brackets belong to the text, even if an attack has changed them.
    """
    changed = [row for row in rows if row[_TEXTS[0]] != row[_TEXTS[1]]]
    told = [row for row in changed if not _NEVER_MARKED.search(row[_TEXTS[0]])]
    marked = sum(_unmarked(row[_TEXTS[0]], row[_TEXTS[1]])[0] != row[_TEXTS[0]] for row in told)
    return 2 * marked >= len(told)


def _unmarked(before: str, after: str) -> tuple[str, str, bool]:
    """Remove the marks from a text before and after an attack; also return whether any brackets are left.

    TextAttack marks words that differ. So brackets around a word that is the same in both texts are no mark.
    """
    parts = [_MARKED_WORD.split(text) for text in (before, after)]  # between words, word, between words, ...
    own: set[int] = set()
    if len(parts[0]) == len(parts[1]):
        own = {place for place in range(1, len(parts[0]), 2) if parts[0][place] == parts[1][place]}
    old, new = (
        "".join(f"[[{part}]]" if place in own else part for place, part in enumerate(text)) for text in parts
    )
    return old, new, bool(own)


def _names_of_columns(path: Path, rows: Sequence[tuple[int, Row]]) -> tuple[str, ...]:
    """Return the names of the two columns of a log of pairs, in their order; empty for single texts.

    Raises:
        DataError: If there are more than two columns, or if rows have different columns.
    """
    texts = [(line, row[name]) for line, row in rows for name in _TEXTS]
    marked: tuple[str, ...] = ()
    for line, text in texts:
        if _MARKED_NAME.match(text):
            found = tuple(name[1] for part in text.split(_BREAK) if (name := _MARKED_NAME.match(part)))
            if marked and found != marked:
                raise _refusal(path, line, "has texts of other columns than the rows before it")
            marked = found
    names = marked or _plain_names([text for _, text in texts])
    if len(names) not in (0, 2):
        raise DataError(
            f"The texts of '{path}' have the columns {', '.join(map(repr, names))}: only single texts "
            "and pairs can be read."
        )
    return names


def _plain_names(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the names of columns in a log without marks, where a name is just a word before a colon.

    Words count as names if there are several, TextAttack would write them in this form, and every text has
    them all.
    """
    found = (_PLAIN_NAME.match(part) for part in texts[0].split(_BREAK))
    names = tuple(name[1] for name in found if name is not None and name[1] == name[1].capitalize())
    columns = _columns(names)
    return names if len(names) > 1 and all(columns.fullmatch(text) for text in texts) else ()


def _columns(names: Sequence[str]) -> re.Pattern[str]:
    """Return the pattern that splits a text into its columns."""
    either = (rf"(?:\[\[\[\[{name}\]\]\]\]|{name}): (.*?)" for name in map(re.escape, names))
    return re.compile(_BREAK.join(either) or "(.*)", re.DOTALL)


def _refusal(path: Path, line: int, reason: str) -> DataError:
    return DataError(f"The row at line {line} of '{path}' {reason}.")
