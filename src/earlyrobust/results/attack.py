"""The records of attacks."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from earlyrobust.errors import OutputError
from earlyrobust.journal import HASH, AttackedExample, header_of
from earlyrobust.results.evaluation import TestDataRecord
from earlyrobust.results.records import SCHEMA_VERSION, EnvironmentRecord, SavedRecord
from earlyrobust.results.scrutiny import SCRUTINY_NAME, ScrutinyRecord
from earlyrobust.results.validity import ValidityRecord
from earlyrobust.statistics.measures import Accuracy, Mean
from earlyrobust.storage import write_json

ATTACK_NAME = "attack.json"
# Folder of the journals, within the folder of a run.
ATTACKS_FOLDER = "attacks"
# The end of a resource's name that has a hash of the file.
_HAS_HASH = re.compile(r"\([0-9a-f]{12}\)$")
# Number of digits of a hash in a sentence.
_DIGITS = 8


@dataclass(frozen=True)
class ClassUnderAttack:
    """The results of an attack on the examples of one class.

    Attributes:
        name: Name of the class.
        clean: Accuracy on these examples before the attack.
        under_attack: Accuracy on these examples under the attack.
        named: Number of successful attacks, on examples of other classes, after which the classifier names
            this class; None if it is unknown.
    """

    name: str
    clean: Accuracy
    under_attack: Accuracy
    named: int | None = None


@dataclass(frozen=True)
class AttackRecord:
    """The results of one attack on a classifier.

    Attributes:
        settings: Settings of the attack, with the names of its resources.
        clean: Accuracy on the attacked examples before the attack.
        under_attack: Accuracy under attack (Aua%): the share of all examples that are still right after the
            attack.
        success_rate: Share of successful attacks among the attacks on examples that were right before; None
            if no example was right.
        queries: Mean number of queries for an example that was right before the attack (#Query); None if no
            example was right.
        words_changed: Mean share of the words that a successful attack replaces; None without a successful
            attack.
        similarity: Mean cosine of the sentence embeddings before and after a successful attack; None without
            a successful attack or a sentence encoder.
        journal: Name of the file that holds the examples; None if no file was kept.
        cut: Number of attacked examples that are longer than the classifier reads; None in the record of an
            older version.
        validity: Counts of the words and candidates that the attack could try; they show how much the numbers
            mean. None in the record of an older version.
        scrutiny: Accuracy under variants of the attack; None without `--scrutiny`.
        classes: The results on each class that has an example, in the order of the classes. None in the
            record of an older version.
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
    classes: list[ClassUnderAttack] | None = None

    @property
    def weakest(self) -> ClassUnderAttack | None:
        """The class with the lowest accuracy under attack; None if the examples have fewer than two classes.

        The accuracy over all classes can hide it: a classifier that answers "negative" to every text that it
        cannot read withstands every attack on negative texts, and none on positive ones.
        """
        if self.classes is None or len(self.classes) < 2:
            return None
        return min(self.classes, key=lambda found: found.under_attack.value)

    def settings_in(self, run: Path | None) -> dict[str, Any]:
        """Return the settings with the precision, and with the hashes of resources if the journal has them.

        The hash of a resource whose name ends with a hash of its file is left out: the name is enough, and
        hashes of computed vectors may depend on the machine.

        Args:
            run: The folder of the run, which holds the journals; None if it is not known.
        """
        header: dict[str, Any] | None = None
        if self.journal is not None and run is not None:
            with suppress(OutputError):  # The journal cannot be read, so the hashes are not known.
                header = header_of(run / ATTACKS_FOLDER / self.journal)
        hashes = {
            name: value
            for name, value in (header or {}).items()
            if name.endswith(HASH) and not _HAS_HASH.search(str(self.settings.get(name.removesuffix(HASH))))
        }
        return {"precision": "float32", **self.settings, **hashes}

    @classmethod
    def of(
        cls,
        examples: Sequence[AttackedExample],
        settings: dict[str, Any],
        journal: str | None = None,
        cut: int | None = None,
        class_names: Sequence[str] = (),
    ) -> AttackRecord:
        """Compute the numbers of a finished attack.

        Args:
            examples: All examples of the attack, the skipped ones included, in any order.
            settings: See the attribute of this name.
            journal: See the attribute of this name.
            cut: See the attribute of this name.
            class_names: Names of the classes, in their order; a class without a name gets its number.
        """
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
            classes=_of_classes(examples, class_names),
        )


def differing_settings(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the settings in which two attacks differ, with the value of each.

    A setting that only one of the attacks has is left out, because versions write different settings.
    Resources with the same hash are the same, whatever their names: a name may be a path, which can be
    spelled in several ways.

    Args:
        then: The settings of the first attack.
        now: The settings of the second attack.
    """
    return {
        name: (value, now[name])
        for name, value in then.items()
        if name in now and value != now[name] and not _have_same_hash(name, then, now)
    }


def _have_same_hash(name: str, one: Mapping[str, Any], two: Mapping[str, Any]) -> bool:
    digest = one.get(name + HASH)
    return digest is not None and digest == two.get(name + HASH)


def setting_in_words(name: str, value: Any) -> str:
    """Return a setting of an attack as part of a sentence, with the first digits of a hash."""
    if name.endswith(HASH):
        return f"content of {name.removesuffix(HASH).replace('_', ' ')} {str(value)[:_DIGITS]}"
    return f"{name.replace('_', ' ')} {value}"


def _of_classes(examples: Sequence[AttackedExample], names: Sequence[str]) -> list[ClassUnderAttack]:
    """Return the results of an attack on each class that has an example."""
    found = []
    for label in sorted({example.label for example in examples}):
        statuses = [example.status for example in examples if example.label == label]
        total, robust = len(statuses), statuses.count("failed")
        found.append(
            ClassUnderAttack(
                name=names[label] if label < len(names) else f"class {label}",
                clean=Accuracy.of(total - statuses.count("skipped"), total),
                under_attack=Accuracy.of(robust, total),
                named=sum(
                    example.status == "succeeded" and example.predicted == label for example in examples
                ),
            )
        )
    return found


@dataclass(frozen=True)
class AttackReport(SavedRecord):
    """The settings and results of `earlyrobust attack`.

    Attributes:
        model: Name or folder of the classifier.
        data: Name of the test data.
        data_fingerprint: Hash over the content of the test data.
        label_names: Names of the classes.
        config: The options.
        environment: Hardware and software of the attack.
        attacks: The record of each attack, by name.
        test_data: The test data and how the classifier reads it; None in the record of an older version.
        findings: Problems that were found, a sentence each.
        choices: The weights that were chosen where there was a choice, a sentence each.
        schema_version: Version of this layout.
    """

    FILE: ClassVar[str] = ATTACK_NAME
    MISSING: ClassVar[str] = "There is no finished attack in '{folder}': attack.json is missing."

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

    @staticmethod
    def scrutiny_in(folder: Path) -> dict[str, ScrutinyRecord]:
        """Return the scrutiny of each attack by name, from the record in a folder.

        Attacks without scrutiny are left out. The result is empty if the record cannot be read.
        """
        with suppress(OutputError):
            attacks = AttackReport.load(folder).attacks
            return {name: record.scrutiny for name, record in attacks.items() if record.scrutiny is not None}
        return {}


def tell_run(run: Path, report: AttackReport) -> None:
    """Save the results of scrutiny in the folder of a run, for the card of its classifier.

    Args:
        run: Folder of the run.
        report: Report of an attack on the classifier of the run. It replaces earlier results of the same
            attack on the same data, with the same number of examples, seed and neighbours.
    """
    found = _told(run)
    data = report.test_data
    for name, record in report.attacks.items():
        if record.scrutiny is not None:
            details = [f"sha256 {report.data_fingerprint[:8]}", f"seed {report.config.get('seed', 0)}"]
            if "neighbours" in record.settings:
                details.append(
                    f"{record.settings.get('candidates')} candidates of {record.settings['neighbours']}"
                )
            of = f"{name} on {record.clean.total} examples of {report.data} ({', '.join(details)})"
            told = record.scrutiny.describe(record.under_attack)
            if data is not None and data.known:
                told += f" {data.known:,} of the {data.rows:,} texts were in the training data."
            found[of] = f"{of}: {told}"
    write_json(run / SCRUTINY_NAME, {"sentences": found, "schema_version": SCHEMA_VERSION})


def sentences_in(run: Path) -> list[str]:
    """Return the saved results of scrutiny from the folder of a run, a sentence each."""
    return list(_told(run).values())


def _told(run: Path) -> dict[str, str]:
    try:
        content = json.loads((run / SCRUTINY_NAME).read_text(encoding="utf-8"))
        return {str(of): str(sentence) for of, sentence in content["sentences"].items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise OutputError(f"The record '{run / SCRUTINY_NAME}' is damaged: delete it.") from error
