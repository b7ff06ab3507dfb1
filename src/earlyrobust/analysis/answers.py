"""Answers of runs to single attacked examples, and the paired answers of two arms.

Answers are read from journals, which hold the texts. A published record has a file of answers instead, which
names each example by its digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earlyrobust.errors import OutputError
from earlyrobust.journal import AttackedExample, read_journal
from earlyrobust.results.attack import ATTACKS_FOLDER, AttackRecord
from earlyrobust.results.records import SCHEMA_VERSION, read_record
from earlyrobust.storage import write_json

ANSWERS_NAME = "answers.json"

# Reasons why the answers of two arms cannot be paired.
MISSING = "some of their journals are missing"
DAMAGED = "one of their journals is damaged"
OF_ANOTHER = "one of their journals does not match the record of its run"
WITHOUT_CLASSES = "their answers name no classes"
DIFFERENT = "they were attacked on different examples"


@dataclass(frozen=True, eq=False)
class Answers:
    """Whether a run is right on each attacked example, before and after one attack.

    Attributes:
        examples: Index and digest of each example, in the order of the indices.
        clean: Whether the classifier is right before the attack, shape (examples,).
        robust: Whether the classifier is still right after the attack, shape (examples,).
        labels: Index of the class of each example, shape (examples,); None if it is unknown.
    """

    examples: tuple[tuple[int, str], ...]
    clean: NDArray[np.bool_]
    robust: NDArray[np.bool_]
    labels: NDArray[np.int64] | None = None


@dataclass(frozen=True, eq=False)
class Paired:
    """Differences between the answers of two arms, example by example.

    A distinct example is a text with its class. Seeds that sample from the same split may share examples.

    Attributes:
        differences: For each seed and example, the number of attacks after which the first arm is right,
            minus the same number of the second arm, shape (rows,).
        seeds: Number of the seed of each row, from 0, shape (rows,).
        examples: Number of the distinct example of each row, from 0, shape (rows,).
        attacks: Number of attacks that are added up.
        same: Whether the two arms are right on exactly the same examples, under every seed and attack.
    """

    differences: NDArray[np.int64]
    seeds: NDArray[np.int64]
    examples: NDArray[np.int64]
    attacks: int
    same: bool


@dataclass(frozen=True)
class AnswersRecord:
    """The content of a file of answers.

    Attributes:
        examples: Index and digest of each example; every attack was made on all of them.
        clean: For the journal of each attack, a digit for each example: 1 if the classifier is right before
            the attack, else 0.
        robust: For the journal of each attack, a digit for each example: 1 if the classifier is still right
            after the attack, else 0.
        labels: Index of the class of each example; None in a record of an older version.
    """

    examples: list[tuple[int, str]]
    clean: dict[str, str]
    robust: dict[str, str]
    labels: list[int] | None = None
    schema_version: int = SCHEMA_VERSION


def save_answers(answers: Mapping[str, Answers], folder: Path) -> None:
    """Write answers into the folder of a run as `answers.json`, without the texts.

    Args:
        answers: The answers by the name of their journal.
        folder: The folder of the run.

    Raises:
        OutputError: If the attacks were made on different examples.
    """
    drawn = {of_one.examples for of_one in answers.values()}
    if len(drawn) > 1:
        raise OutputError(
            f"No answers are written to '{folder}': its attacks were made on different examples."
        )
    labels = next((of_one.labels for of_one in answers.values() if of_one.labels is not None), None)
    record = AnswersRecord(
        examples=[example for examples in drawn for example in examples],
        clean={name: _digits(of_one.clean) for name, of_one in answers.items()},
        robust={name: _digits(of_one.robust) for name, of_one in answers.items()},
        labels=None if labels is None else labels.tolist(),
    )
    write_json(folder / ANSWERS_NAME, asdict(record))


def _digits(answers: NDArray[np.bool_]) -> str:
    return "".join("1" if right else "0" for right in answers)


def read_answers(folder: Path, record: AttackRecord) -> Answers | str:
    """Read the answers of a run under an attack.

    Args:
        folder: Folder of the run.
        record: Record of the attack.

    Returns:
        The answers, or the reason why there are none.
    """
    if record.journal is None:
        return MISSING
    path = folder / ATTACKS_FOLDER / record.journal
    try:
        answers = _of_journal(path) if path.is_file() else _of_file(folder / ANSWERS_NAME, record.journal)
    except (OutputError, ValueError):
        return DAMAGED
    if answers is None:
        return MISSING
    told = [(share.correct, share.total) for share in (record.clean, record.under_attack)]
    found = [(int(right.sum()), len(answers.examples)) for right in (answers.clean, answers.robust)]
    return answers if found == told else OF_ANOTHER


def _of_journal(path: Path) -> Answers:
    _, examples = read_journal(path)
    return Answers(
        tuple((example.index, _digest(example)) for example in examples),
        np.array([example.status != "skipped" for example in examples], bool),
        np.array([example.status == "failed" for example in examples], bool),
        np.array([example.label for example in examples], np.int64),
    )


def _of_file(path: Path, journal: str) -> Answers | None:
    if not path.is_file():
        return None
    record = read_record(path, AnswersRecord, missing=MISSING)
    if journal not in record.clean or journal not in record.robust:
        return None
    clean, robust = (
        np.array([digit == "1" for digit in digits[journal]], bool)
        for digits in (record.clean, record.robust)
    )
    labels = None if record.labels is None else np.array(record.labels, np.int64)
    known = (record.examples, clean, robust, labels)
    if len({len(answers) for answers in known if answers is not None}) > 1:
        raise OutputError(f"The record '{path}' is damaged and cannot be read.")
    return Answers(tuple(record.examples), clean, robust, labels)


def _digest(example: AttackedExample) -> str:
    """Return a hash of an example's texts and class, which identifies the example under all seeds."""
    digest = hashlib.blake2b(str(example.label).encode(), digest_size=16)
    for text in example.texts:
        content = text.encode("utf-8", "surrogatepass")
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


def pair(
    mine: Mapping[int, Sequence[Answers | str]], theirs: Mapping[int, Sequence[Answers | str]], clean: bool
) -> Paired | str:
    """Pair the answers of two arms example by example.

    Args:
        mine: For each seed, the answers of the first arm under each attack.
        theirs: The answers of the second arm, under the same seeds and attacks.
        clean: Whether to compare the answers before the attack instead of those after it.

    Returns:
        The differences, or the reason why the answers cannot be paired.
    """
    numbers: dict[str, int] = {}
    differences, seeds, examples, same = [], [], [], True
    for number, seed in enumerate(sorted(mine)):
        pairs = list(zip(mine[seed], theirs[seed], strict=True))
        for answers in (*mine[seed], *theirs[seed]):
            if isinstance(answers, str):
                return answers
        known = [(one, two) for one, two in pairs if isinstance(one, Answers) and isinstance(two, Answers)]
        drawn = known[0][0].examples
        if any(answers.examples != drawn for both in known for answers in both):
            return DIFFERENT
        gaps = [
            one.clean.astype(int) - two.clean if clean else one.robust.astype(int) - two.robust
            for one, two in known
        ]
        same = same and not any(gap.any() for gap in gaps)
        differences.append(np.sum(gaps, axis=0))
        seeds.append(np.full(len(drawn), number))
        examples.append([numbers.setdefault(digest, len(numbers)) for _, digest in drawn])
    return Paired(
        np.concatenate(differences).astype(np.int64),
        np.concatenate(seeds).astype(np.int64),
        np.concatenate(examples).astype(np.int64),
        max(len(attacked) for attacked in mine.values()),
        same,
    )
