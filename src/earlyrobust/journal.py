"""The journal of an attack: one line for each attacked example, written as soon as it is done.

The first line says what is attacked and how; a journal is continued only by the same attack on the same model
and data. A line that was cut off by a crash is dropped, and its example attacked again. Of processes that
share an attack each writes a part, until all parts are put together. This module imports neither PyTorch nor
transformers.
"""

from __future__ import annotations

import dataclasses
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from pydantic import TypeAdapter, ValidationError

from earlyrobust.errors import OutputError

JOURNAL_VERSION = 1
Status = Literal["succeeded", "failed", "skipped"]
# Ends the names of what tells resources of one name apart.
_HASH = "_fingerprint"


@dataclass(frozen=True)
class AttackedExample:
    """One example, and what came of the attack on it.

    Attributes:
        index: Its row in the data set that was sampled from.
        label: Index of its class.
        texts: The text, or the two of a pair, before the attack.
        status: "succeeded": the classifier was made to err; "failed": it was not; "skipped": it erred
            unattacked.
        queries: Texts that the classifier was asked about.
        final: The texts as the attack left them.
        words: Words of the texts.
        words_changed: How many of them were replaced.
        predicted: The class that the classifier gives to the final texts.
        probability_before: Of the label, before the attack.
        probability_after: Of the label, for the final texts.
        similarity: Cosine of the sentence embeddings of both; None without a change or without an encoder.
        touchable: Words that the attack may touch at all. This count and those below are None in the journal
            of an older version. Those below concern only the positions that the attack came to before it
            ended.
        tried: Positions for which it looked for replacements.
        known: How many of their words the source of neighbours holds; None for an attack without one.
        answered: At how many of them at least one candidate was offered to the classifier.
        proposed: Candidates that were made for them.
        offered: How many of these passed the attack's constraints and were offered to the classifier.
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

    def __post_init__(self) -> None:
        """Raise `ValueError` for numbers that no attack leaves."""
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
        """How the attack ended, and below that the texts before and after it."""
        before, after = (" | ".join(texts) for texts in (self.texts, self.final))
        if self.status == "skipped":
            return f"skipped: the text of class {self.label} is given class {self.predicted}\n  {before}"
        ended = f"class {self.label} → {self.predicted}" if self.status == "succeeded" else "no other class"
        return (
            f"{self.status}: {ended}, probability of class {self.label} {self.probability_before:.3f} → "
            f"{self.probability_after:.3f}, {self.words_changed} of {self.words} words changed, "
            f"{self.queries} queries\n  {before}\n→ {after}"
        )


_EXAMPLE = TypeAdapter(AttackedExample)


class Journal:
    """The journal of one attack, continued if it is there already. A context manager.

    Args:
        path: The file.
        header: What is attacked and how, as JSON types.

    Raises:
        OutputError: If the file is another attack's journal, is damaged, or cannot be written.
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
        """Write an example down, for good: what has been written survives a crash of this process."""
        self._write(dataclasses.asdict(example))
        self.done.append(example)

    def _write(self, content: dict[str, Any]) -> None:
        line = json.dumps(content, ensure_ascii=False, allow_nan=False) + "\n"
        # A lone surrogate, which JSON input may hold, has no encoding of its own.
        self._file.write(line.encode("utf-8", "surrogatepass"))
        self._file.flush()
        os.fsync(self._file.fileno())


def part_of(path: Path, rank: int) -> Path:
    """Where one of several processes writes its part of a journal."""
    return path.with_name(f"{path.stem}.part{rank}{path.suffix}")


def parts_of(path: Path) -> list[Path]:
    """The parts of a journal that are on this machine."""
    return sorted(path.parent.glob(f"{path.stem}.part*{path.suffix}"))


def read_part(path: Path, header: dict[str, Any]) -> list[AttackedExample]:
    """The examples in a process's part of a journal; the file, which may be another's, is left as it is.

    Raises:
        OutputError: If it is another attack's, is damaged, or cannot be read.
    """
    whole = _lines_of(path)
    return _read(path, whole, _full(header)) if whole else []


def header_of(path: Path) -> dict[str, Any] | None:
    """The header that a journal, or else a process's part of it, was begun with; None if there is none."""
    for file in (path, *parts_of(path)):
        with suppress(ValueError, AttributeError):  # damaged: said when it is continued
            header = json.loads(_lines_of(file).split(b"\n")[0].decode("utf-8", "surrogatepass"))
            return {name: value for name, value in header.items() if name != "journal"}
    return None


def example_from(content: Any) -> AttackedExample:
    """Make an example of its JSON types.

    Raises:
        pydantic.ValidationError: If they are not those of an example.
    """
    return _EXAMPLE.validate_python(content)


def read_journal(path: Path) -> tuple[dict[str, Any], list[AttackedExample]]:
    """Read a journal.

    Args:
        path: The file.

    Returns:
        Its header, and the examples in the order of their index.

    Raises:
        OutputError: If there is none, or it is damaged.
    """
    whole = _lines_of(path)
    examples = _read(path, whole, None)
    # By line feeds alone: JSON allows other characters that end lines elsewhere.
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
    """A header as JSON types, without the fingerprints that an earlier version did not write."""
    told: dict[str, Any] = json.loads(json.dumps(header))
    return {name: value for name, value in told.items() if name in first or not name.endswith(_HASH)}


def _read(path: Path, lines: bytes, header: dict[str, Any] | None) -> list[AttackedExample]:
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
        raise OutputError(f"The journal '{path}' is damaged: delete it to begin again.") from error
    wanted = first if header is None else comparable(header, first)
    if first != wanted:
        changed = ", ".join(sorted(name for name in {*first, *wanted} if first.get(name) != wanted.get(name)))
        raise OutputError(
            f"The journal '{path}' is another attack's (it differs in {changed}): choose another --output, "
            "or delete it."
        )
    return examples
