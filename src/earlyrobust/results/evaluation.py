"""The record of an evaluation: the accuracy of a trained classifier on test data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from earlyrobust.errors import OutputError
from earlyrobust.results.confusion import Confusion
from earlyrobust.results.records import SCHEMA_VERSION, EnvironmentRecord, SavedRecord
from earlyrobust.statistics.measures import Accuracy
from earlyrobust.storage import check_can_be_made, content_of

EVALUATION_NAME = "evaluation.json"


@dataclass(frozen=True)
class TestDataRecord:
    """The test data of a trained classifier, and how the classifier reads it.

    Attributes:
        name: Name of the task or file.
        fingerprint: Hash over all texts and labels.
        rows: Number of examples.
        labels: For each class of the data, the name of the output that stands for it.
        max_length: Largest number of tokens of a text that the model reads; None without a limit.
        cut: Number of texts that are longer than `max_length` and lose their end.
        matched_by: How the outputs were matched to the classes: by "name", "number", "position" or "option"
            (`--labels`).
        known: Number of examples whose text is in the training data of the classifier's run; None if no run
            is known.
    """

    name: str
    fingerprint: str
    rows: int
    labels: dict[str, str]
    max_length: int | None
    cut: int
    matched_by: str = "name"
    known: int | None = None


@dataclass(frozen=True)
class EvaluationReport(SavedRecord):
    """The settings and results of `earlyrobust evaluate`.

    Attributes:
        model: Name or folder of the classifier.
        data: The test data.
        accuracy: Accuracy on the test data.
        environment: Hardware and software of the evaluation.
        fingerprint: Hash over the weights of the classifier; None if the record is not saved to a file.
        findings: Problems that were found, a sentence each.
        choices: The weights that were chosen where there was a choice, a sentence each.
        outputs: Names of the outputs of the classifier; empty in the record of an older version.
        confusion: Confusion matrix, in the order of the outputs; None in the record of an older version.
        schema_version: Version of this layout.
    """

    FILE: ClassVar[str] = EVALUATION_NAME
    MISSING: ClassVar[str] = "'{folder}' holds no evaluation: choose another --output."

    model: str
    data: TestDataRecord
    accuracy: Accuracy
    environment: EnvironmentRecord
    fingerprint: str | None = None
    findings: list[str] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    confusion: Confusion | None = None
    schema_version: int = field(default=SCHEMA_VERSION)

    @classmethod
    def check_folder(
        cls, folder: Path, fingerprint: str | None = None, data: TestDataRecord | None = None
    ) -> None:
        """Check that a record can be written into a folder without loss of other results.

        Args:
            folder: The folder; it need not exist.
            fingerprint: Hash over the weights of the classifier; None if it is not known yet.
            data: The test data; None if it is not known yet.

        Raises:
            OutputError: If the folder cannot be written to, or holds other files or another evaluation.
        """
        check_can_be_made(folder)
        content = content_of(folder)
        if any(path.name != EVALUATION_NAME for path in content):
            raise OutputError(f"'{folder}' holds other files: choose another --output, or empty it.")
        if not content:
            return
        found = cls.load(folder)
        if fingerprint is None or data is None:
            return
        differing = [
            name.replace("_", " ")
            for name, value in dataclasses.asdict(data).items()
            if name != "known" and getattr(found.data, name) != value
        ]
        if found.fingerprint != fingerprint:
            differing = ["model"]
        if differing:
            raise OutputError(
                f"'{folder}' holds the evaluation of '{found.model}' on {found.data.name} (another "
                f"{', '.join(differing)}): choose another --output, or empty it."
            )
