"""The journal of an attack: a file with one line for each attacked example, written as soon as it is done.

The first line, the header, holds the settings of the attack and its target. Only the same attack on the same
model and data can continue a journal. If a crash cuts off the last line, that line is dropped and its example
is attacked again. If several processes share an attack, each writes a part of the journal, and the parts are
merged later. This module imports neither PyTorch nor transformers.
"""

from __future__ import annotations

import dataclasses
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

from pydantic import TypeAdapter, ValidationError

from earlyrobust.errors import OutputError

JOURNAL_VERSION = 1
Status = Literal["succeeded", "failed", "skipped"]
# Ends the names of header fields that hold hashes, which distinguish resources of the same name.
HASH = "_fingerprint"


class Edit(NamedTuple):
    """A place that an attack has changed, in characters.

    Attributes:
        column: 0 for a single text and the first text of a pair, 1 for the second text.
        start: First character of the place before the attack.
        end: End of the place before the attack, exclusive.
        final_start: First character of the place after the attack.
        final_end: End of the place after the attack, exclusive.
    """

    column: int
    start: int
    end: int
    final_start: int
    final_end: int


@dataclass(frozen=True)
class AttackedExample:
    """An example and the result of the attack on it.

    Attributes:
        index: Row of the example in the data set or list that it comes from.
        label: Index of its class.
        texts: The text, or the two texts of a pair, before the attack.
        status: "succeeded" if the classifier errs on the final texts, "failed" if it does not, "skipped" if
            it already errs on the texts before the attack.
        queries: Number of texts that the classifier was asked about.
        final: The texts after the attack.
        words: Number of words in the texts before the attack.
        words_changed: Number of these words that were replaced.
        predicted: Index of the class that the classifier gives to the final texts.
        probability_before: Probability of the label before the attack.
        probability_after: Probability of the label for the final texts.
        similarity: Cosine of the sentence embeddings of the texts before and after the attack. None if the
            texts are unchanged, or if no encoder measured it.
        touchable: Number of words that the attack may change. This count and the counts below are None for
            an attack that does not count, and in journals of older versions. The counts below cover only the
            positions that the attack reached before it ended.
        tried: Number of positions for which the attack looked for replacements.
        known: Number of these positions whose word is in the source of neighbours; None for an attack without
            such a source.
        answered: Number of these positions at which the classifier was asked about at least one candidate.
        proposed: Number of candidates that were made at these positions.
        offered: Number of candidates that passed the attack's constraints; the classifier was asked about
            them.
        edits: Places that the attack has changed, in their order. None in journals of older versions, and
            for texts of which only the beginning and the end are known, as in a replay.
    """

    index: int
    label: int
    texts: tuple[str, ...]
    status: Status
    queries: int
    final: tuple[str, ...]
    words: int
    words_changed: int
    predicted: int
    probability_before: float
    probability_after: float
    similarity: float | None
    touchable: int | None = None
    tried: int | None = None
    known: int | None = None
    answered: int | None = None
    proposed: int | None = None
    offered: int | None = None
    edits: tuple[Edit, ...] | None = None

    def __post_init__(self) -> None:
        """Raise `ValueError` for numbers that no attack can have."""
        if self.queries < 0 or not 0 <= self.words_changed <= self.words:
            raise ValueError("queries, words or words_changed is out of range")
        pairs = [
            (self.touchable, self.words),
            (self.known, self.tried),
            (self.answered, self.tried),
            (self.answered, self.offered),
            (self.offered, self.proposed),
        ]
        if any(part is not None and not 0 <= part <= (whole or 0) for part, whole in pairs):
            raise ValueError("a count of what the attack tried is out of range")

    def __str__(self) -> str:
        """Return a line on how the attack ended, and below it the texts before and after the attack."""
        before, after = (" | ".join(texts) for texts in (self.texts, self.final))
        if self.status == "skipped":
            return (
                f"attack skipped: the text of class {self.label} is given class {self.predicted}\n  {before}"
            )
        ended = f"class {self.label} → {self.predicted}" if self.status == "succeeded" else "no other class"
        chances = f"{self.probability_before:.3f} → {self.probability_after:.3f}"
        counts = f"{self.words_changed} of {self.words} words changed, {self.queries} queries"
        return (
            f"attack {self.status}: {ended}, probability of class {self.label} {chances}, {counts}\n"
            f"  {before}\n→ {after}"
        )


_EXAMPLE = TypeAdapter(AttackedExample)


class Journal:
    """Writes the journal of one attack; continues the file if it exists. Use it as a context manager.

    Args:
        path: The file.
        header: The settings of the attack and its target, as JSON types.

    Attributes:
        done: The examples in the journal.

    Raises:
        OutputError: If the file is the journal of another attack, is damaged, or cannot be written.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.done: list[AttackedExample] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            whole = _whole_lines(path)
            if whole:
                self.done = _read(path, whole, _full(header))
            self._file = path.open("ab")
            self._file.truncate(len(whole))
            if not whole:
                self._write(_full(header))
        except OSError as error:
            raise OutputError(f"The journal '{path}' cannot be written: {error.strerror}.") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, example: AttackedExample) -> None:
        """Write an example to the disk, so that it survives a crash of this process."""
        self._write(dataclasses.asdict(example))
        self.done.append(example)

    def _write(self, content: dict[str, Any]) -> None:
        line = json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"
        # JSON input may hold lone surrogates, which strict UTF-8 cannot encode.
        self._file.write(line.encode("utf-8", "surrogatepass"))
        self._file.flush()
        os.fsync(self._file.fileno())


def part_of(path: Path, rank: int) -> Path:
    """Return the file to which one of several processes writes its part of a journal."""
    return path.with_name(f"{path.stem}.part{rank}{path.suffix}")


def parts_of(path: Path) -> list[Path]:
    """Return the files of the parts of a journal on this machine."""
    return sorted(path.parent.glob(f"{path.stem}.part*{path.suffix}"))


def read_part(path: Path, header: dict[str, Any]) -> list[AttackedExample]:
    """Read the examples in one process's part of a journal, without changing the file.

    Args:
        path: The file of the part. Another process may be writing to it.
        header: The settings of the attack and its target, as JSON types.

    Raises:
        OutputError: If the part belongs to another attack, is damaged, or cannot be read.
    """
    whole = _lines_of(path)
    return _read(path, whole, _full(header)) if whole else []


def header_of(path: Path) -> dict[str, Any] | None:
    """Return the header of a journal or, without a journal, of one of its parts; None if there is none."""
    for file in (path, *parts_of(path)):
        with suppress(ValueError, AttributeError):  # the error comes when the journal is continued
            header = json.loads(_lines_of(file).split(b"\n")[0].decode("utf-8", "surrogatepass"))
            return {name: value for name, value in header.items() if name != "journal"}
    return None


def example_from(content: Any) -> AttackedExample:
    """Make an attacked example from JSON types.

    Raises:
        pydantic.ValidationError: If the content is not that of an attacked example.
    """
    return _EXAMPLE.validate_python(content)


def read_journal(path: Path) -> tuple[dict[str, Any], list[AttackedExample]]:
    """Read a journal.

    Args:
        path: The file.

    Returns:
        The header, and the examples in the order of their index.

    Raises:
        OutputError: If there is no journal, or the file is none, is damaged, or cannot be read.
    """
    if not path.exists():
        raise OutputError(f"There is no journal '{path}': correct its path.")
    whole = _lines_of(path)
    examples = _read(path, whole, None)
    # Only a line feed ends a line here. JSON strings may hold other characters that `splitlines` splits at.
    header = json.loads(whole[: whole.index(b"\n")].decode("utf-8", "surrogatepass"))
    return header, sorted(examples, key=lambda example: example.index)


def _full(header: dict[str, Any]) -> dict[str, Any]:
    return {"journal": JOURNAL_VERSION, **header}


def _lines_of(path: Path) -> bytes:
    try:
        return _whole_lines(path)
    except OSError as error:
        raise OutputError(f"The journal '{path}' cannot be read: {error.strerror}.") from error


def _whole_lines(path: Path) -> bytes:
    content = path.read_bytes() if path.exists() else b""
    return content[: content.rfind(b"\n") + 1]


def comparable(header: dict[str, Any], first: dict[str, Any]) -> dict[str, Any]:
    """Return a header as JSON types, without hashes that the header of an existing journal lacks.

    Earlier versions did not write all hashes.

    Args:
        header: The header.
        first: The header of the existing journal.
    """
    told: dict[str, Any] = json.loads(json.dumps(header))
    return {name: value for name, value in told.items() if name in first or not name.endswith(HASH)}


def _check_first(path: Path, lines: bytes) -> None:
    """Refuse a file that does not begin with the header of a journal.

    It may be a file of the user's that has nothing to do with attacks, so the advice is not to delete it.
    """
    first: Any = None
    with suppress(ValueError, RecursionError):
        first = json.loads(lines.partition(b"\n")[0].decode("utf-8", "surrogatepass"))
    if not isinstance(first, dict) or not isinstance(first.get("journal"), int):
        raise OutputError(
            f"'{path}' is not the journal of an attack, or its first line is damaged: name another file, or "
            "restore it."
        )


def _read(path: Path, lines: bytes, header: dict[str, Any] | None) -> list[AttackedExample]:
    _check_first(path, lines)
    try:
        first, *rest = [json.loads(line.decode("utf-8", "surrogatepass")) for line in lines.split(b"\n")[:-1]]
        if first["journal"] > JOURNAL_VERSION:
            raise OutputError(
                f"The journal '{path}' has layout {first['journal']}, newer than the {JOURNAL_VERSION} that "
                "this version reads: update earlyrobust."
            )
        examples = [example_from(line) for line in rest]
        if len({example.index for example in examples}) < len(examples):
            raise ValueError("an example is there twice")
    except (ValueError, KeyError, TypeError, ValidationError, RecursionError) as error:
        raise OutputError(
            f"The journal '{path}' is damaged: restore it, or delete it to begin again."
        ) from error
    wanted = first if header is None else comparable(header, first)
    if first != wanted:
        changed = ", ".join(sorted(name for name in {*first, *wanted} if first.get(name) != wanted.get(name)))
        raise OutputError(
            f"The journal '{path}' belongs to another attack (it differs in {changed}): choose another "
            "--output, or delete it."
        )
    return examples
