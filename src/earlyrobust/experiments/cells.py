"""Lays out the cells of a comparison: one run for each arm and seed, in a folder named by its options."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from earlyrobust.errors import ConfigError
from earlyrobust.options.comparison import CompareConfig
from earlyrobust.options.run import RunConfig
from earlyrobust.pipeline.original_data import with_other_model
from earlyrobust.pipeline.recipe import Recipe
from earlyrobust.results import RECORD_NAME
from earlyrobust.workspace.folder import holds_run, what_matters


@dataclass(frozen=True)
class Cell:
    """One run of a comparison.

    Attributes:
        arm: Name of the arm.
        config: The options of the run.
    """

    arm: str
    config: RunConfig

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self.config.seed

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return self.config.output_folder

    @property
    def is_finished(self) -> bool:
        """Whether the run has its record."""
        return (self.folder / RECORD_NAME).exists()

    def __str__(self) -> str:
        return f"{self.arm}, seed {self.seed}"


def plan_cells(config: CompareConfig) -> list[Cell]:
    """Return the cells of a comparison: all arms with the first seed, then all arms with the next.

    With this order, a comparison that is stopped early has complete seeds.

    Raises:
        ConfigError: If the options of an arm cannot be used.
    """
    seeds = range(config.seed, config.seed + config.seeds)
    return [cell for seed in seeds for cell in _cells_of(config, seed)]


def _cells_of(config: CompareConfig, seed: int) -> Iterator[Cell]:
    for arm in config.arms:
        try:
            run = config.options_of_cell(arm, seed, config.cells_folder)
            Recipe.of(run)
        except ConfigError as error:
            raise ConfigError(f"In the arm '{arm}': {error}") from error
        yield Cell(arm, run.model_copy(update={"output": _folder_of(run, config.cells_folder)}))


def _folder_of(config: RunConfig, cells: Path) -> Path:
    """Return the folder of a run among the cells.

    The folder depends only on the options, so equal runs of differently named arms share it. Its name has a
    hash of the options as they are spelled. If there is no such folder, a folder may hold the same run, begun
    with another spelling of a path or in another working folder.
    """
    begin = f"{config.method}-seed{config.seed}-"
    named = cells / f"{begin}{_key(config)}"
    if named.exists():
        return named
    options = config.to_dict()
    same = [place for place in sorted(cells.glob(f"{begin}*")) if holds_run(place, options)]
    # Arms may differ in encoders of one name, and a missing encoder counts as a moved one.
    changed = with_other_model(dict.fromkeys(same, config.model))
    return next((place for place in same if place not in changed), named)


def _key(config: RunConfig) -> str:
    options = {name: value for name, value in what_matters(config.to_dict()).items() if name != "output"}
    options.setdefault("bf16", False)  # the value in earlier versions, so that their cells keep their names
    return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:10]
