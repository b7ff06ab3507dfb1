"""Defines the options of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self, cast

from earlyrobust.data.tasks import TASKS, Task
from earlyrobust.data.textformat import USUAL_FORMAT
from earlyrobust.errors import ConfigError
from earlyrobust.options.attack import AttackOptions
from earlyrobust.options.base import option
from earlyrobust.options.data import DataOptions
from earlyrobust.options.methods import METHODS
from earlyrobust.options.places import FilePath
from earlyrobust.options.search import SearchOptions
from earlyrobust.options.training import TrainingOptions

DEFAULT_TASK = "builtin"
_OF_OWN_DATA = ("test_file", "text_column", "pair_column", "label_column")
# The defaults for the user's own files, for which the paper gives none.
OWN_DATA = {"max_length": 128, "epochs": 3.0, "heads": 1 / 6, "neurons": 0.3}


class RunConfig(AttackOptions, SearchOptions, TrainingOptions, DataOptions):
    """Options of `earlyrobust run`, and of `search` and `finetune`, which use some of them.

    An option that is None gets its value from the task when the options are resolved, or from the method or
    the search when the run starts. If `attack` is empty, the run makes no attack.
    """

    output: FilePath | None = option(
        None, "Folder of the run.", "Run", shown="under runs/, named after the task"
    )
    attack_split: Literal["test", "selection"] = option(
        "test",
        "Split of the attacked examples: test, or selection, for the choice of settings.",
        "Attack",
    )

    @classmethod
    def build(cls, flags: dict[str, Any], file: Path | None = None, suffix: str = "") -> Self:
        """Combine flags and a YAML file into a resolved configuration; flags win.

        Args:
            flags: The given options; options that are None count as not given.
            file: YAML file of the same options; None for no file.
            suffix: Ends the name of the default output folder.

        Returns:
            The configuration, with the task's defaults filled in.

        Raises:
            ConfigError: If the file cannot be used, an option is unknown or has an invalid value, or options
                contradict each other.
        """
        return cls.parse(flags, file).resolved(suffix)

    def resolved(self, suffix: str = "") -> Self:
        """Fill in the defaults of the task, and the default output folder.

        Args:
            suffix: Ends the name of the default output folder.

        Raises:
            ConfigError: If the method or the task is unknown, or options contradict each other.
        """
        if self.method not in METHODS:
            raise ConfigError(f"There is no method '{self.method}': choose one of {', '.join(METHODS)}.")
        if self.train_file is not None and (self.task is not None or self.data_dir is not None):
            raise ConfigError("Choose either your own files or a --task (with --data-dir), not both.")
        for name in () if self.train_file is not None else _OF_OWN_DATA:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ConfigError(f"--{name.replace('_', '-')} is for your own data: give --train-file too.")
        if self.train_file is None and self.text_format != USUAL_FORMAT:
            raise ConfigError(
                "--quotes, --no-quotes, --delimiter and --encoding are for your own data: "
                "give --train-file too."
            )
        task = self.known_task()
        if task is not None and task.local is None and self.data_dir is not None:
            raise ConfigError(
                f"--data-dir is not for task '{task.name}': give the --task to read from it too."
            )
        data = str(self.train_file.stem) if self.train_file is not None else (self.task or DEFAULT_TASK)
        return self.model_copy(
            update={
                "task": None if task is None else task.name,
                "output": self.output or Path("runs") / (data + suffix),
                **{
                    name: getattr(self, name) if getattr(self, name) is not None else default
                    for name, default in _defaults(task).items()
                },
            }
        )

    @property
    def output_folder(self) -> Path:
        """Folder of the run, available once the options are resolved."""
        return cast("Path", self.output)

    def is_set(self, name: str) -> bool:
        """Return whether the value of an option differs from its default."""
        default = _defaults(self.known_task()).get(name, type(self).model_fields[name].default)
        return bool(getattr(self, name) != default)

    def known_task(self) -> Task | None:
        """Return the task of the run; None for the user's own files.

        Raises:
            ConfigError: If there is no such task.
        """
        if self.train_file is not None:
            return None
        name = self.task or DEFAULT_TASK
        if name not in TASKS:
            raise ConfigError(
                f"There is no task '{name}': choose one of {', '.join(TASKS)}, or give --train-file."
            )
        return TASKS[name]


def _defaults(task: Task | None) -> dict[str, float]:
    if task is None:
        return OWN_DATA
    return {name: getattr(task, name) for name in OWN_DATA}
