"""The record of predictions for a file of texts."""

from __future__ import annotations

from dataclasses import dataclass, field

from earlyrobust.results.records import SCHEMA_VERSION, EnvironmentRecord


@dataclass(frozen=True)
class PredictionReport:
    """The settings and results of `earlyrobust predict`.

    Attributes:
        model: Name or folder of the classifier.
        file: The file of texts.
        output: The file of predictions.
        rows: Number of rows.
        named: For each class by name, the number of rows with this prediction.
        without_text: Number of rows without a text; they have no prediction.
        cut: Number of texts that are longer than `max_length` and lose their end.
        max_length: Largest number of tokens of a text that the classifier reads; None without a limit.
        seconds: Time of the predictions in seconds, without those made before an interruption.
        rows_per_second: Number of rows per second, over the same predictions as `seconds`.
        environment: Hardware and software of the predictions.
        choices: The weights that were chosen where there was a choice, a sentence each.
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
