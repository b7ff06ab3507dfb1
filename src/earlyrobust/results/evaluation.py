"""The record of a trained classifier on test data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from earlyrobust.results.files import SCHEMA_VERSION, EnvironmentRecord
from earlyrobust.results.measures import Accuracy
from earlyrobust.storage import write_json

EVALUATION_NAME = "evaluation.json"


@dataclass(frozen=True)
class TestDataRecord:
    """The examples that a trained classifier is judged on, and how it reads them.

    Attributes:
        name: Name of the task or file.
        fingerprint: Hash over all texts and labels.
        rows: Number of examples.
        labels: The model's output that stands for each class: class of the data → name of the output.
        max_length: Most tokens of a text that the model reads; None where nothing limits them.
        cut: Number of texts that are longer and lose their end.
        matched_by: How the outputs were found: by "name", "number", "position" or "option" (`--labels`).
    """

    name: str
    fingerprint: str
    rows: int
    labels: dict[str, str]
    max_length: int | None
    cut: int
    matched_by: str = "name"


@dataclass(frozen=True)
class EvaluationReport:
    """What `earlyrobust evaluate` measures.

    Attributes:
        model: Name or folder of the classifier.
        data: What it is judged on.
        accuracy: Right answers of all.
        environment: Where it was measured.
        findings: What looks wrong, a sentence each.
        schema_version: Version of this layout.
    """

    model: str
    data: TestDataRecord
    accuracy: Accuracy
    environment: EnvironmentRecord
    findings: list[str] = field(default_factory=list)
    schema_version: int = field(default=SCHEMA_VERSION)

    def save(self, folder: Path) -> None:
        """Write the record into a folder as `evaluation.json`."""
        write_json(folder / EVALUATION_NAME, dataclasses.asdict(self))
