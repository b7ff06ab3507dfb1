"""The record of an experiment: one or several comparisons that answer one question."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from earlyrobust.errors import OutputError
from earlyrobust.results.records import SCHEMA_VERSION, read_record
from earlyrobust.storage import write_json

EXPERIMENT_NAME = "experiment.json"

# What an experiment's page shows besides its tables: accuracy under attack against training time; against an
# option's value; the distances between a search's masks; what each layer keeps.
View = Literal["frontier", "sweep", "distances", "layers"]


@dataclass(frozen=True)
class ExperimentRecord:
    """An experiment.

    Attributes:
        name: As in `EXPERIMENTS`.
        title: What it shows, in a line.
        notes: What is ours in it, and what differs from the paper at this scale; a sentence each.
        scale: How large it is.
        views: What its page shows.
        sweep: The option that its arms vary, for the view of that name.
        parts: Folders of its comparisons, relative to its own, by task.
        command: The command that does it again.
        schema_version: Version of this layout.
    """

    name: str
    title: str
    notes: list[str]
    scale: str
    views: list[View]
    sweep: str | None
    parts: dict[str, str]
    command: str
    schema_version: int = field(default=SCHEMA_VERSION)

    def save(self, folder: Path) -> None:
        """Write the record into a folder as `experiment.json`."""
        write_json(folder / EXPERIMENT_NAME, dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: Path) -> ExperimentRecord:
        """Read the record of an experiment.

        Raises:
            OutputError: If there is none, it is damaged, or it was written by a newer version.
        """
        missing = f"There is no experiment in '{folder}': {EXPERIMENT_NAME} is missing."
        record = read_record(folder / EXPERIMENT_NAME, cls, missing)
        # Reports are written into them.
        for part in record.parts.values():
            if Path(part).is_absolute() or ".." in Path(part).parts:
                raise OutputError(
                    f"The record '{folder / EXPERIMENT_NAME}' is damaged: '{part}' is no folder within its "
                    "own."
                )
        return record
