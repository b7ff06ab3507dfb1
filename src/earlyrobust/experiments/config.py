"""The options of a comparison: those of a run, and which arms and seeds there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Self, cast

from pydantic import Field, field_validator

from earlyrobust.errors import ConfigError
from earlyrobust.pipeline.config import RunConfig
from earlyrobust.pipeline.methods import METHODS
from earlyrobust.pipeline.options import Names
from earlyrobust.pipeline.recipe import Recipe

# What arms may differ in. Data, precision and attacks are the budget that all of them share.
ARM_OPTIONS = (
    *("method", "model", "epochs", "batch_size", "learning_rate", "heads", "neurons", "weights", "search"),
    *("search_adversary", "head_penalty", "neuron_penalty", "head_scope", "neuron_scope", "gamma"),
    *("neuron_multiple", "patience", "settling", "miniepoch", "miniepoch_min_steps", "search_epochs"),
    *("draw_after", "start"),
    *("adversary", "noise"),
)
DEFAULT_BASELINE = "finetune"
_NAME = re.compile(r"[\w.+= -]{1,60}")


class CompareConfig(RunConfig):
    """Options of `earlyrobust compare`, besides those of every run in it.

    Attributes:
        methods: Methods to compare, each an arm of its name; in one string separated by commas.
        arms: Further arms: by name, the options in which they differ from what all share, such as
            `{method: earlyrobust, adversary: "freelb,steps=2"}`.
        seeds: Number of seeds, counted from `seed` on.
        baseline: The arm that the others are tested against; None for `finetune`, or else the first.
        cells: Folder of the runs, which comparisons may share; None for one within `output`.
        launcher: What runs the cells, of `LAUNCHERS`: this process, one after the other ("local"), or a Ray
            cluster ("ray").
        cell_cpus: Threads of a cell; on Ray also the cores it asks for. None for PyTorch's choice, on Ray 1.
        cell_gpus: GPUs that a cell asks for on Ray; a part of one lets cells share it.
    """

    methods: Names = ()
    arms: dict[str, dict[str, Any]] = Field(default_factory=dict)
    seeds: Annotated[int, Field(gt=0, le=100)] = 3
    baseline: str | None = None
    cells: Path | None = None
    launcher: str = "local"
    cell_cpus: Annotated[int, Field(gt=0)] | None = None
    cell_gpus: Annotated[float, Field(ge=0)] = 0.0
    dense: bool = False

    @field_validator("arms", mode="before")
    @classmethod
    def _read_arms(cls, value: Any) -> Any:
        """Options may be written as the flags are; an arm without any is the default method."""
        if not isinstance(value, dict):
            return value
        return {
            name: {option.replace("-", "_"): setting for option, setting in options.items()}
            if isinstance(options, dict)
            else options or {}
            for name, options in value.items()
        }

    def resolved(self, suffix: str = "") -> Self:
        """Fill in defaults, and make an arm of each method.

        Raises:
            ConfigError: As for a run; if there is no arm, or one that cannot be used.
        """
        for option in ("method", "dense"):
            if getattr(self, option) != type(self).model_fields[option].default:
                raise ConfigError(
                    f"'{option}' is no option of a comparison: name all that is compared in --methods, or "
                    "as arms."
                )
        for method in self.methods:
            if method not in METHODS:
                raise ConfigError(f"There is no method '{method}': choose from {', '.join(METHODS)}.")
        arms = {**{name: {"method": name} for name in self.methods}, **self.arms}
        if not arms:
            raise ConfigError("There is nothing to compare: give --methods, or arms in the config file.")
        if twice := [name for name in self.methods if name in self.arms]:
            raise ConfigError(f"'{twice[0]}' is both a method and an arm: call the arm otherwise.")
        for name, options in self.arms.items():
            if not _NAME.fullmatch(name):
                raise ConfigError(f"An arm cannot be called {name!r}: use letters, digits and . + = -.")
            for option in options:
                if option not in ARM_OPTIONS:
                    raise ConfigError(
                        f"The arm '{name}' sets '{option}', which is the same for all arms or unknown: "
                        f"choose from {', '.join(ARM_OPTIONS)}."
                    )
        baseline = self.baseline or (DEFAULT_BASELINE if DEFAULT_BASELINE in arms else next(iter(arms)))
        if baseline not in arms:
            raise ConfigError(f"The baseline '{baseline}' is not compared: choose from {', '.join(arms)}.")
        whole = super().resolved(suffix)
        return whole.model_copy(
            update={
                "methods": (),
                "arms": arms,
                "baseline": baseline,
                "cells": self.cells or whole.output_folder / "cells",
            }
        )

    @property
    def cells_folder(self) -> Path:
        """Folder of the runs, once resolved."""
        return cast("Path", self.cells)

    @property
    def shared(self) -> dict[str, Any]:
        """The options that all arms share, as JSON types."""
        everything = self.to_dict()
        own = set(type(self).model_fields) - set(RunConfig.model_fields)
        return {
            name: value
            for name, value in everything.items()
            if name not in (*own, "method", "seed", "output", "token_budget", "in_flight")
        }

    def run_of(self, arm: str, seed: int, output: Path) -> RunConfig:
        """The options of one cell.

        Args:
            arm: Name of the arm.
            seed: The seed.
            output: Folder of the run.

        Raises:
            ConfigError: If the arm's options cannot be used.
        """
        common = {name: getattr(self, name) for name in RunConfig.model_fields}
        try:
            config = RunConfig.build({**common, **self.arms[arm], "seed": seed, "output": output})
            Recipe.of(config)
        except ConfigError as error:
            raise ConfigError(f"In the arm '{arm}': {error}") from error
        return config
