"""What a classifier that is there already is judged on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from earlyrobust.errors import ConfigError
from earlyrobust.pipeline.config import RunConfig


@dataclass(frozen=True)
class TestData:
    """Where the examples come from that a classifier is judged on.

    Attributes:
        task: A task of `TASKS`; the built-in one if neither a task nor a file is given.
        data_dir: Local folder of Parquet files to read the task from instead of the hub.
        test_file: The user's own data instead of a task.
        text_column: Its column of the text, or of the first text of a pair.
        pair_column: Its column of the second text.
        label_column: Its column of the label.
        max_length: Longest input in tokens; the task's if None.
    """

    task: str | None = None
    data_dir: Path | None = None
    test_file: Path | None = None
    text_column: str = "text"
    pair_column: str | None = None
    label_column: str = "label"
    max_length: int | None = None

    def resolved(self, suffix: str = "") -> RunConfig:
        """The task's name and its defaults, and the default output folder, whose name ends with `suffix`.

        Raises:
            ConfigError: If options contradict each other, or the task is unknown.
        """
        if self.test_file is None and self.pair_column is not None:
            raise ConfigError("--pair-column is for your own data: give --test-file too.")
        return RunConfig.build(
            {
                "task": self.task,
                "data_dir": self.data_dir,
                "train_file": self.test_file,
                "max_length": self.max_length,
            },
            suffix=suffix,
        )
