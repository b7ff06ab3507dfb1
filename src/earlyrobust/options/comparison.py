"""Defines the options of a comparison: the options of a run, the arms and the seeds."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Self, cast

from pydantic import Field, field_validator

from earlyrobust.errors import ConfigError
from earlyrobust.options.base import AtLeastOne, Names, option
from earlyrobust.options.methods import METHODS
from earlyrobust.options.places import FilePath, at_home, noise_at_home
from earlyrobust.options.run import RunConfig

# The options in which arms may differ. All arms share the data, the precision and the attacks.
ARM_OPTIONS = tuple(name for name, described in RunConfig.described().items() if described.is_of_arms)
DEFAULT_BASELINE = "finetune"
_NAME = re.compile(r"[\w.+= -]{1,60}")
# The options of arms that may name files, and the expansion of `~` in them.
_AT_HOME: dict[str, Callable[[str], str]] = {"model": at_home, "noise": noise_at_home}


class CompareConfig(RunConfig):
    """Options of `earlyrobust compare`, in addition to the options of its runs."""

    methods: Names = option(
        (), "Methods to compare, separated by commas; each is an arm. More arms in --config.", "Grid"
    )
    # Maps the name of an arm to its options, such as {method: earlyrobust, adversary: "freelb,steps=2"}.
    arms: dict[str, dict[str, Any]] = option(
        dict, "Further arms: by name, the options in which they differ.", "Grid", flag=False
    )
    seeds: Annotated[int, Field(gt=0, le=100)] = option(3, "Number of seeds, counted from --seed on.", "Grid")
    baseline: str | None = option(
        None, "Arm that the others are tested against.", "Grid", shown="finetune, or else the first"
    )
    cells: FilePath | None = option(
        None, "Folder of the runs, which comparisons may share.", "Grid", shown="within the output"
    )
    launcher: str = option(
        "local", "Where the cells run: in this process (local), or on a Ray cluster (ray).", "Grid"
    )
    cell_cpus: AtLeastOne | None = option(
        None,
        "Number of threads of a cell; on Ray also the cores that it asks for.",
        "Grid",
        shown="all; on Ray 1",
    )
    cell_gpus: Annotated[float, Field(ge=0)] = option(
        0.0, "Number of GPUs that a cell asks for on Ray; a part of one lets cells share it.", "Grid"
    )
    dense: bool = option(
        False, "Not for comparisons: compare with an arm `finetune`.", "Fine-tuning", flag=False
    )

    @field_validator("arms", mode="before")
    @classmethod
    def _read_arms(cls, value: Any) -> Any:
        """Accept option names that are spelt like flags, and an arm without options.

        Raises:
            ValueError: If an arm holds no mapping, names an option twice, or gives an option no value.
        """
        return (
            {name: _read_arm(name, given) for name, given in value.items()}
            if isinstance(value, dict)
            else value
        )

    def resolved(self, suffix: str = "") -> Self:
        """Fill in defaults, and make an arm of each method.

        Args:
            suffix: Ends the name of the default output folder.

        Raises:
            ConfigError: If an option of the runs cannot be used, there is no arm, or an arm cannot be used.
        """
        for name in ("method", "dense"):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ConfigError(
                    f"'{name}' is no option of a comparison: name all that is compared in --methods, or "
                    "as arms."
                )
        for method in self.methods:
            if method not in METHODS:
                raise ConfigError(f"There is no method '{method}': choose from {', '.join(METHODS)}.")
        own = {name: _with_method(name, options) for name, options in self.arms.items()}
        arms = {**{name: {"method": name} for name in self.methods}, **own}
        if not arms:
            raise ConfigError("There is nothing to compare: give --methods, or arms in the config file.")
        if twice := [name for name in self.methods if name in self.arms]:
            raise ConfigError(f"'{twice[0]}' is both a method and an arm: call the arm otherwise.")
        for name, options in self.arms.items():
            if not _NAME.fullmatch(name):
                raise ConfigError(f"An arm cannot be called {name!r}: use letters, digits and . + = -.")
            for setting in options:
                if setting not in ARM_OPTIONS:
                    raise ConfigError(
                        f"The arm '{name}' sets '{setting}', which is unknown or must not differ between "
                        f"arms: choose from {', '.join(ARM_OPTIONS)}."
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
        """Folder of the runs, available once the options are resolved."""
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

    def options_of_cell(self, arm: str, seed: int, output: Path) -> RunConfig:
        """Return the options of one cell.

        Args:
            arm: Name of the arm.
            seed: The seed.
            output: Folder of the run.

        Raises:
            ConfigError: If the arm's options cannot be used.
        """
        common = {name: getattr(self, name) for name in RunConfig.model_fields}
        return RunConfig.build({**common, **self.arms[arm], "seed": seed, "output": output})


def _read_arm(name: Any, given: Any) -> dict[str, Any]:
    """Return the options of an arm in a config file by the names of `RunConfig`.

    An option without a value is refused: it could mean the value that all arms share, or the default.
    """
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ValueError(f"the arm '{name}' must hold options: write them as {{method: pgd}}")
    options = {str(setting).replace("-", "_"): value for setting, value in given.items()}
    if len(options) < len(given):
        raise ValueError(f"the arm '{name}' names an option twice, with '-' and with '_': remove one")
    if empty := [setting for setting, value in options.items() if value is None]:
        raise ValueError(f"the arm '{name}' gives '{empty[0]}' no value: give one, or leave the option out")
    return {
        setting: _AT_HOME[setting](value) if setting in _AT_HOME and isinstance(value, str) else value
        for setting, value in options.items()
    }


def _with_method(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of an arm; an arm with the name of a method is this method.

    Raises:
        ConfigError: If the arm has the name of a method and sets another method.
    """
    if name not in METHODS:
        return options
    if (method := options.get("method", name)) != name:
        raise ConfigError(
            f"The arm '{name}' has the name of a method, but sets the method '{method}': call the arm "
            "otherwise."
        )
    return {"method": name, **options}
