"""The record of an experiment: one or several comparisons that answer one question."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, Self

from earlyrobust.errors import OutputError
from earlyrobust.results.records import SCHEMA_VERSION, SavedRecord

EXPERIMENT_NAME = "experiment.json"

# The pictures on the page of an experiment, beside its tables. "frontier": accuracy under attack against
# training time. "sweep": accuracy against the value of an option. "distances": distances between the masks of
# a search. "layers": heads and neurons that each layer keeps.
View = Literal["frontier", "sweep", "distances", "layers"]


@dataclass(frozen=True)
class ExperimentRecord(SavedRecord):
    """The record of an experiment, which consists of comparisons.

    Attributes:
        name: Name of the experiment in `EXPERIMENTS`.
        title: Title of the experiment, in a line.
        notes: Additions to the paper, and differences from it at this scale; a sentence each.
        scale: Name of the scale.
        views: The pictures on the page of the experiment.
        sweep: The option that the arms vary, for the view "sweep"; None without one.
        parts: Folder of each comparison by task, relative to the folder of the experiment.
        command: The command that repeats the experiment.
        schema_version: Version of this layout.
    """

    FILE: ClassVar[str] = EXPERIMENT_NAME
    MISSING: ClassVar[str] = "There is no experiment in '{folder}': experiment.json is missing."

    name: str
    title: str
    notes: list[str]
    scale: str
    views: list[View]
    sweep: str | None
    parts: dict[str, str]
    command: str
    schema_version: int = field(default=SCHEMA_VERSION)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the record of an experiment from a folder.

        Raises:
            OutputError: If there is no record, it is damaged, or a newer version has written it.
        """
        record = super().load(folder)
        # Reports are written into these folders, so a damaged record must not name a folder elsewhere.
        for part in record.parts.values():
            if Path(part).is_absolute() or ".." in Path(part).parts:
                raise OutputError(
                    f"The record '{folder / EXPERIMENT_NAME}' is damaged: '{part}' is not a folder within "
                    "the folder of the experiment."
                )
        return record
