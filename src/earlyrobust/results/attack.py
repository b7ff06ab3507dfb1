"""The records of attacks."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earlyrobust.errors import OutputError
from earlyrobust.journal import AttackedExample
from earlyrobust.results.evaluation import TestDataRecord
from earlyrobust.results.records import SCHEMA_VERSION, EnvironmentRecord, read_record
from earlyrobust.results.scrutiny import SCRUTINY_NAME, ScrutinyRecord
from earlyrobust.results.validity import ValidityRecord
from earlyrobust.statistics.measures import Accuracy, Mean
from earlyrobust.storage import write_json

ATTACK_NAME = "attack.json"
# Holds the journals of a run.
ATTACKS_FOLDER = "attacks"


@dataclass(frozen=True)
class AttackRecord:
    """A classifier under one attack.

    Attributes:
        settings: The attack's settings, with the names of the resources it leaned on.
        clean: Accuracy on the attacked examples before the attack.
        under_attack: Accuracy under attack (Aua%): examples still right after the attack, of all.
        success_rate: Attacks that succeeded, of those on examples that were right; None if none was.
        queries: Queries per example that was right (#Query).
        words_changed: Share of the words that a successful attack replaced.
        similarity: Cosine of sentence embeddings before and after a successful attack.
        journal: Name of the file that holds the examples; None if none was kept.
        cut: Number of attacked examples that the classifier does not read whole; None in the record of an
            older version.
        validity: What the attack could try, which tells how much the numbers mean; None in the record of an
            older version.
        scrutiny: What becomes of the accuracy under other attacks than the plain one; None without
            `--scrutiny`.
    """

    settings: dict[str, Any]
    clean: Accuracy
    under_attack: Accuracy
    success_rate: Accuracy | None
    queries: Mean | None
    words_changed: Mean | None
    similarity: Mean | None
    journal: str | None = None
    cut: int | None = None
    validity: ValidityRecord | None = None
    scrutiny: ScrutinyRecord | None = None

    @classmethod
    def of(
        cls,
        examples: Sequence[AttackedExample],
        settings: dict[str, Any],
        journal: str | None = None,
        cut: int | None = None,
    ) -> AttackRecord:
        """The numbers of a finished attack, whatever the order of its examples."""
        total = len(examples)
        right = [example for example in examples if example.status != "skipped"]
        broken = [example for example in right if example.status == "succeeded"]
        return cls(
            settings=settings,
            clean=Accuracy.of(len(right), total),
            under_attack=Accuracy.of(len(right) - len(broken), total),
            success_rate=Accuracy.of(len(broken), len(right)) if right else None,
            queries=Mean.of([example.queries for example in right]),
            words_changed=Mean.of(
                [example.words_changed / example.words for example in broken if example.words], most=1
            ),
            similarity=Mean.of(
                [example.similarity for example in broken if example.similarity is not None], -1, 1
            ),
            journal=journal,
            cut=cut,
            validity=ValidityRecord.of(examples),
        )


@dataclass(frozen=True)
class AttackReport:
    """What `earlyrobust attack` did and found.

    Attributes:
        model: Name or folder of the classifier.
        data: Name of what it was attacked on.
        data_fingerprint: Hash over all its content.
        label_names: The classifier's classes.
        config: The options.
        environment: Where it ran.
        attacks: The record of each attack, by its name.
        test_data: What it was attacked on and how it reads it; None in the record of an older version.
        findings: What looks wrong, a sentence each.
        choices: Which weights were chosen where there was a choice, a sentence each.
        schema_version: Version of this layout.
    """

    model: str
    data: str
    data_fingerprint: str
    label_names: list[str]
    config: dict[str, Any]
    environment: EnvironmentRecord
    attacks: dict[str, AttackRecord]
    test_data: TestDataRecord | None = None
    findings: list[str] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    schema_version: int = field(default=SCHEMA_VERSION)

    def save(self, folder: Path) -> None:
        """Write the record into a folder as `attack.json`."""
        write_json(folder / ATTACK_NAME, dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: Path) -> AttackReport:
        """Read the record of an attack.

        Raises:
            OutputError: If there is none, it is damaged, or it was written by a newer version.
        """
        missing = f"There is no finished attack in '{folder}': {ATTACK_NAME} is missing."
        return read_record(folder / ATTACK_NAME, cls, missing)

    @staticmethod
    def scrutiny_in(folder: Path) -> dict[str, ScrutinyRecord]:
        """The scrutiny of each attack whose record is in a folder; nothing where no record can be read."""
        with suppress(OutputError):
            attacks = AttackReport.load(folder).attacks
            return {name: record.scrutiny for name, record in attacks.items() if record.scrutiny is not None}
        return {}


def tell_run(run: Path, report: AttackReport) -> None:
    """Keep in a run's folder what scrutiny of its classifier found, for the classifier's card.

    Args:
        run: The run's folder.
        report: An attack on its classifier; what an earlier one on the same data found is replaced.
    """
    found = _told(run)
    for name, record in report.attacks.items():
        if record.scrutiny is not None:
            of = f"{name} on {record.clean.total} examples of {report.data}"
            found[of] = f"{of}: {record.scrutiny.describe(record.under_attack)}"
    write_json(run / SCRUTINY_NAME, {"sentences": found, "schema_version": SCHEMA_VERSION})


def sentences_in(run: Path) -> list[str]:
    """What scrutiny of a run's classifier found, as it is kept in the run's folder."""
    return list(_told(run).values())


def _told(run: Path) -> dict[str, str]:
    try:
        content = json.loads((run / SCRUTINY_NAME).read_text(encoding="utf-8"))
        return {str(of): str(sentence) for of, sentence in content["sentences"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise OutputError(f"The record '{run / SCRUTINY_NAME}' is damaged: delete it.") from error
