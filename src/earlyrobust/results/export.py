"""The record of an export."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from earlyrobust.results.attack import AttackRecord
from earlyrobust.results.evaluation import TestDataRecord
from earlyrobust.results.records import SCHEMA_VERSION, EnvironmentRecord, SavedRecord
from earlyrobust.statistics.measures import Accuracy

EXPORT_NAME = "export.json"


@dataclass(frozen=True)
class Compared:
    """The accuracies of a model and of its export on the same examples."""

    model: Accuracy
    export: Accuracy

    @property
    def change(self) -> float:
        """Accuracy of the export minus accuracy of the model."""
        return self.export.value - self.model.value


@dataclass(frozen=True)
class CheckRecord:
    """The comparison of an export with its model.

    Attributes:
        data: Name of the test data.
        examples: Number of examples.
        largest_difference: Largest absolute difference of a logit.
        predictions_changed: Number of examples that the export assigns to another class.
        accuracy: Clean accuracy of both; None if the examples have no labels.
        attacks: For each attack by name, the records of the model and of the export.
        test_data: The test data and how the model reads it; None in the record of an older version.
        findings: Problems that were found, a sentence each.
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
class ExportRecord(SavedRecord):
    """The settings and results of `earlyrobust export`.

    Attributes:
        model: Name or folder of the classifier.
        fingerprint: Hash over the weights of the classifier.
        to: Form of the export: "dense", "remote-code", "onnx" or "onnx-int8".
        bytes: Size of the file of weights, in bytes.
        config: The options of the check.
        environment: Hardware and software of the export.
        check: The comparison with the model; None before it is made.
        inputs: Names of the inputs of an ONNX graph; empty for other forms and in the record of an older
            version.
        labels: Names of the outputs; empty in the record of an older version.
        max_length: Largest number of tokens of a text that the model reads; None without a limit.
        schema_version: Version of this layout.
    """

    FILE: ClassVar[str] = EXPORT_NAME
    MISSING: ClassVar[str] = "'{folder}' holds no export: choose another --output, or delete it."

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
