"""The record of a comparison: which arms under which seeds, and where each cell's run is."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earlyrobust.results.records import SCHEMA_VERSION, read_record
from earlyrobust.storage import write_json

COMPARISON_NAME = "comparison.json"


@dataclass(frozen=True)
class CellRecord:
    """One arm under one seed.

    Attributes:
        arm: Name of the arm.
        seed: The seed.
        folder: Folder of its run, relative to that of the comparison.
        error: Why it failed; None if it has not.
        trace: Where in the program it failed, for a failure that the program did not foresee.
    """

    arm: str
    seed: int
    folder: str
    error: str | None = None
    trace: str | None = None


@dataclass(frozen=True)
class ComparisonRecord:
    """A grid of runs under one budget.

    Attributes:
        title: What is compared, in a line.
        arms: For each arm the options that make it differ from the others.
        baseline: The arm that the others are tested against.
        config: The options that all arms share.
        command: The command that does it again.
        cells: One for each arm and seed, whether it ran or not.
        schema_version: Version of this layout.
    """

    title: str
    arms: dict[str, dict[str, Any]]
    baseline: str
    config: dict[str, Any]
    command: str
    cells: list[CellRecord]
    schema_version: int = field(default=SCHEMA_VERSION)

    @property
    def seeds(self) -> list[int]:
        """The seeds, in order."""
        return sorted({cell.seed for cell in self.cells})

    def save(self, folder: Path) -> None:
        """Write the record into a folder as `comparison.json`."""
        write_json(folder / COMPARISON_NAME, dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: Path) -> ComparisonRecord:
        """Read the record of a comparison.

        Raises:
            OutputError: If there is none, it is damaged, or it was written by a newer version.
        """
        missing = f"There is no comparison in '{folder}': {COMPARISON_NAME} is missing."
        return read_record(folder / COMPARISON_NAME, cls, missing)
