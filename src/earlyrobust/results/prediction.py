"""The record of predictions for a file of texts."""

from __future__ import annotations

from dataclasses import dataclass, field

from earlyrobust.results.records import SCHEMA_VERSION, EnvironmentRecord


@dataclass(frozen=True)
class PredictionReport:
    """What `earlyrobust predict` did.

    Attributes:
        model: Name or folder of the classifier.
        file: The file of texts.
        output: The file of predictions.
        rows: Number of rows.
        named: Number of rows that were given each class, by the name of the class.
        without_text: Number of rows without a text, which have no prediction.
        cut: Number of texts that are longer than `max_length` and lose their end.
        max_length: Most tokens of a text that the classifier reads; None where nothing limits them.
        seconds: Time of the predictions, those before an interruption left out.
        rows_per_second: Rows of this time for each of its seconds.
        environment: Where they were made.
        choices: Which weights were chosen where there was a choice, a sentence each.
        schema_version: Version of this layout.
    """

    model: str
    file: str
    output: str
    rows: int
    named: dict[str, int]
    without_text: int
    cut: int
    max_length: int | None
    seconds: float
    rows_per_second: float
    environment: EnvironmentRecord
    choices: list[str] = field(default_factory=list)
    schema_version: int = field(default=SCHEMA_VERSION)
