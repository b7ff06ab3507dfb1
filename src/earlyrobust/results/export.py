"""The record of an export."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earlyrobust.results.attack import AttackRecord
from earlyrobust.results.evaluation import TestDataRecord
from earlyrobust.results.records import SCHEMA_VERSION, EnvironmentRecord, read_record
from earlyrobust.statistics.measures import Accuracy
from earlyrobust.storage import write_json

EXPORT_NAME = "export.json"


@dataclass(frozen=True)
class Compared:
    """What was measured of a model, and of what was made of it, on the same examples."""

    model: Accuracy
    export: Accuracy

    @property
    def change(self) -> float:
        """How much higher the export's share is."""
        return self.export.value - self.model.value


@dataclass(frozen=True)
class CheckRecord:
    """An export beside the model it was made of.

    Attributes:
        data: Name of the examples.
        examples: Their number.
        largest_difference: Of any logit.
        predictions_changed: Examples that the export puts into another class.
        accuracy: Clean accuracy; None where nothing says what the right answers are.
        attacks: Both under each attack, by its name.
        test_data: The examples and how the model reads them; None in the record of an older version.
        findings: What looks wrong, a sentence each.
    """

    data: str
    examples: int
    largest_difference: float
    predictions_changed: int
    accuracy: Compared | None
    attacks: dict[str, tuple[AttackRecord, AttackRecord]]
    test_data: TestDataRecord | None = None
    findings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ExportRecord:
    """What a classifier was exported to.

    Attributes:
        model: Name or folder of the classifier.
        fingerprint: Hash over its weights.
        to: The form: dense, remote-code, onnx, onnx-int8.
        bytes: Size of the file that holds the weights.
        config: How it was to be checked.
        environment: Where it was made.
        check: How it compares with the model; None before that is known.
        inputs: Names of the inputs of an ONNX graph; none of other forms, and in an older version's record.
        labels: Names of the outputs; none in an older version's record.
        max_length: Most tokens of a text that the model reads; None where nothing limits them.
        schema_version: Version of this layout.
    """

    model: str
    fingerprint: str
    to: str
    bytes: int
    config: dict[str, Any]
    environment: EnvironmentRecord
    check: CheckRecord | None = None
    inputs: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    max_length: int | None = None
    schema_version: int = field(default=SCHEMA_VERSION)

    def save(self, folder: Path) -> None:
        """Write the record into a folder as `export.json`."""
        write_json(folder / EXPORT_NAME, dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: Path) -> ExportRecord:
        """Read the record of an export.

        Raises:
            OutputError: If there is none, it is damaged, or it was written by a newer version.
        """
        missing = f"'{folder}' holds no export: choose another --output, or delete it."
        return read_record(folder / EXPORT_NAME, cls, missing)
