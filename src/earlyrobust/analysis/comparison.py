"""Loads a comparison with the records of its runs and the answers of its classifiers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from earlyrobust.analysis.answers import MISSING, Answers, read_answers
from earlyrobust.errors import OutputError
from earlyrobust.results.attack import differing_settings
from earlyrobust.results.comparison import COMPARISON_NAME, CellRecord, ComparisonRecord
from earlyrobust.results.run import RECORD_NAME, RunRecord


@dataclass(frozen=True)
class Comparison:
    """The record of a comparison with the records of its finished runs.

    Attributes:
        record: The record of the comparison.
        runs: For each arm, its finished runs by seed; an arm without finished runs has an empty mapping.
        folder: Folder of the comparison, which holds the journals of the runs; None if the comparison was not
            read from a folder.
    """

    record: ComparisonRecord
    runs: dict[str, dict[int, RunRecord]]
    folder: Path | None = field(default=None, compare=False)

    @classmethod
    def load(cls, folder: Path) -> Comparison:
        """Read a comparison and its finished runs from a folder.

        Cells that failed or have not run yet are left out.

        Raises:
            OutputError: If the record of the comparison or the record of a run cannot be read.
        """
        record = ComparisonRecord.load(folder)
        runs: dict[str, dict[int, RunRecord]] = {arm: {} for arm in record.arms}
        for cell in record.cells:
            if cell.arm not in runs:
                raise OutputError(f"The record '{folder / COMPARISON_NAME}' is damaged: no arm '{cell.arm}'.")
            if cell.error is None and (folder / cell.folder / RECORD_NAME).exists():
                runs[cell.arm][cell.seed] = RunRecord.load(folder / cell.folder)
        return cls(record, runs, folder)

    @classmethod
    def of_run(cls, run: RunRecord, folder: Path) -> Comparison | None:
        """Return the classifier of a run and the dense model beside it as the two arms of a comparison.

        Args:
            run: The run.
            folder: Folder of the run, which holds the journals of its attacks.

        Returns:
            The comparison with the dense model as its baseline; None if the run has no dense model.
        """
        if run.dense is None:
            return None
        name, baseline, seed = f"the {run.title}", f"the {run.rival}", 0  # both have the seed of the run
        record = ComparisonRecord(
            title=f"{name} and {baseline}",
            arms={baseline: {}, name: {}},
            baseline=baseline,
            config=run.config,
            command="",
            cells=[CellRecord(arm, seed, ".") for arm in (baseline, name)],
        )
        dense = dataclasses.replace(run, model=run.dense, dense=None)
        return cls(record, {baseline: {seed: dense}, name: {seed: run}}, folder)

    @property
    def is_whole(self) -> bool:
        """Whether every cell has a run."""
        return all(cell.seed in self.runs[cell.arm] for cell in self.record.cells)

    @property
    def attacks(self) -> list[str]:
        """Names of all attacks on the arms, in the order of the runs."""
        every = (run.model.attacks for runs in self.runs.values() for run in runs.values())
        return list(dict.fromkeys(name for attacks in every for name in attacks))

    def answers(self, arm: str, seed: int, attack: str) -> Answers | str:
        """Return the answers of a run under an attack.

        Each journal is read once, at the first call for it.

        Args:
            arm: Name of the arm.
            seed: Seed of the run.
            attack: Name of the attack.

        Returns:
            The answers, or the reason why they cannot be read.
        """
        key = (arm, seed, attack)
        if key not in self._read:
            cells = [cell for cell in self.record.cells if (cell.arm, cell.seed) == (arm, seed)]
            self._read[key] = (
                read_answers(self.folder / cells[0].folder, self.runs[arm][seed].model.attacks[attack])
                if self.folder is not None and cells
                else MISSING
            )
        return self._read[key]

    def settings(self, arm: str, seed: int, attack: str) -> dict[str, Any]:
        """Return the settings of an attack on a run, with the known hashes of its resources.

        Args:
            arm: Name of the arm.
            seed: Seed of the run.
            attack: Name of the attack, which the run has.
        """
        key = (arm, seed, attack)
        if key not in self._settings:
            record = self.runs[arm][seed].model.attacks[attack]
            cells = [cell for cell in self.record.cells if (cell.arm, cell.seed) == (arm, seed)]
            place = self.folder / cells[0].folder if self.folder is not None and cells else None
            self._settings[key] = record.settings_in(place)
        return self._settings[key]

    def are_attacked_alike(self, arm: str, other: str, attacks: Sequence[str]) -> bool:
        """Return whether attacks have the same settings and resources on two arms, under every shared seed.

        Args:
            arm: Name of the first arm.
            other: Name of the second arm.
            attacks: Names of the attacks.
        """
        return not any(
            differing_settings(self.settings(arm, seed, attack), self.settings(other, seed, attack))
            for seed in self.runs[arm].keys() & self.runs[other].keys()
            for attack in attacks
            if all(attack in self.runs[one][seed].model.attacks for one in (arm, other))
        )

    @cached_property
    def _settings(self) -> dict[tuple[str, int, str], dict[str, Any]]:
        return {}

    @cached_property
    def _read(self) -> dict[tuple[str, int, str], Answers | str]:
        return {}
