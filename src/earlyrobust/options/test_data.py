"""Defines the options of the data on which an existing classifier is evaluated."""

from __future__ import annotations

from typing import Any

from earlyrobust.errors import ConfigError
from earlyrobust.options.base import Options, inherited, option
from earlyrobust.options.places import FilePath
from earlyrobust.options.run import RunConfig

COLUMNS = ("text_column", "pair_column", "label_column")
# Options for the user's own files.
OF_FILES = (*COLUMNS, "quotes", "delimiter", "encoding")


class TestData(Options):
    """Options of the examples on which a classifier is evaluated.

    If the classifier is the folder of a run or is in one, an option that is None takes the value of this run.
    """

    task: str | None = inherited(RunConfig, "task", "that of the run that trained the model")
    data_dir: FilePath | None = inherited(RunConfig, "data_dir")
    test_file: FilePath | None = option(
        None, "Your own test data instead of a task: CSV, TSV, JSONL or Parquet.", "Data"
    )
    text_column: str | None = inherited(RunConfig, "text_column", "that of the run, else text")
    pair_column: str | None = inherited(RunConfig, "pair_column", "that of the run")
    label_column: str | None = inherited(RunConfig, "label_column", "that of the run, else label")
    quotes: bool | None = inherited(RunConfig, "quotes")
    delimiter: str | None = inherited(RunConfig, "delimiter")
    encoding: str | None = inherited(RunConfig, "encoding")
    max_length: int | None = inherited(RunConfig, "max_length", "that of the run, else by task")
    labels: str | None = option(
        None,
        "The class that each output of the model stands for: in the order of the outputs, such as "
        "'negative,positive', or in pairs, such as 'NEG=negative,POS=positive'.",
        "Data",
        shown="found by their names",
    )

    def to_dict(self) -> dict[str, Any]:
        """Return the options by name, without `labels` if it is None: earlier versions did not have it."""
        return {name: value for name, value in dict(self).items() if name != "labels" or value is not None}

    def check(self) -> None:
        """Refuse options that would have no effect.

        Raises:
            ConfigError: If an option for files is given without a file.
        """
        for name in OF_FILES if self.test_file is None else ():
            value = getattr(self, name)
            if value is not None:
                given = "no-quotes" if value is False else name.replace("_", "-")
                raise ConfigError(f"--{given} is for your own data: give --test-file too.")

    @property
    def names_data(self) -> bool:
        """Whether the options name a task or a file."""
        return self.task is not None or self.test_file is not None
