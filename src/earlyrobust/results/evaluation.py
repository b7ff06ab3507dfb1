"""The record of a trained classifier on test data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from earlyrobust.errors import OutputError
from earlyrobust.results.confusion import Confusion
from earlyrobust.results.records import SCHEMA_VERSION, EnvironmentRecord, read_record
from earlyrobust.statistics.measures import Accuracy
from earlyrobust.storage import check_can_be_made, content_of, write_json

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
        known: Number of examples whose text is in the data that the run trained the classifier on; None where
            no run tells.
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
class EvaluationReport:
    """What `earlyrobust evaluate` measures.

    Attributes:
        model: Name or folder of the classifier.
        data: What it is judged on.
        accuracy: Right answers of all.
        environment: Where it was measured.
        fingerprint: Hash over the classifier's weights; None where the record is not written into a file.
        findings: What looks wrong, a sentence each.
        choices: Which weights were chosen where there was a choice, a sentence each.
        outputs: Names of the classifier's outputs; none in an older version's record.
        confusion: Its answers by class, in the order of the outputs; None in an older version's record.
        schema_version: Version of this layout.
    """

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

    def save(self, folder: Path) -> None:
        """Write the record into a folder as `evaluation.json`."""
        write_json(folder / EVALUATION_NAME, dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: Path) -> EvaluationReport:
        """Read the record of an evaluation.

        Raises:
            OutputError: If there is none, it is damaged, or it was written by a newer version.
        """
        missing = f"'{folder}' holds no evaluation: choose another --output."
        return read_record(folder / EVALUATION_NAME, cls, missing)

    @classmethod
    def check_folder(
        cls, folder: Path, fingerprint: str | None = None, data: TestDataRecord | None = None
    ) -> None:
        """Check that a record can be written into a folder and that nothing is lost by it.

        Args:
            folder: The folder, which need not be there.
            fingerprint: Of the classifier whose record is to be written; None if it is not known yet.
            data: What the classifier is judged on; None if it is not known yet.

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
