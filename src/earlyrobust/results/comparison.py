"""The record of a comparison: its arms, its seeds, and the folder of the run of each cell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from earlyrobust.results.records import SCHEMA_VERSION, SavedRecord

COMPARISON_NAME = "comparison.json"


@dataclass(frozen=True)
class CellRecord:
    """One cell of a comparison: one arm under one seed.

    Attributes:
        arm: Name of the arm.
        seed: The seed.
        folder: Folder of the run, relative to the folder of the comparison.
        error: Reason of a failure; None if the run did not fail.
        trace: Traceback of an unexpected failure; else None.
    """

    arm: str
    seed: int
    folder: str
    error: str | None = None
    trace: str | None = None


@dataclass(frozen=True)
class ComparisonRecord(SavedRecord):
    """A grid of runs under one budget.

    Attributes:
        title: Title of the comparison, in a line.
        arms: For each arm by name, the options in which it differs from the other arms.
        baseline: Name of the arm with which the others are compared.
        config: The options that all arms share.
        command: The command that repeats the comparison.
        cells: One cell for each arm and seed, finished or not.
        schema_version: Version of this layout.
    """

    FILE: ClassVar[str] = COMPARISON_NAME
    MISSING: ClassVar[str] = "There is no comparison in '{folder}': comparison.json is missing."

    title: str
    arms: dict[str, dict[str, Any]]
    baseline: str
    config: dict[str, Any]
    command: str
    cells: list[CellRecord]
    schema_version: int = field(default=SCHEMA_VERSION)

    @property
    def seeds(self) -> list[int]:
        """The seeds in rising order."""
        return sorted({cell.seed for cell in self.cells})
