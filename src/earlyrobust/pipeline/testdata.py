"""What a classifier that is there already is judged on."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from earlyrobust.errors import ConfigError
from earlyrobust.pipeline.config import RunConfig
from earlyrobust.pipeline.folder import CONFIG_NAME, DENSE, MODEL


@dataclass(frozen=True)
class TestData:
    """Where the examples come from that a classifier is judged on.

    Attributes:
        task: A task of `TASKS`.
        data_dir: Local folder of Parquet files to read the task from instead of the hub.
        test_file: The user's own data instead of a task.
        text_column: Its column of the text, or of the first text of a pair.
        pair_column: Its column of the second text.
        label_column: Its column of the label.
        max_length: Longest input in tokens; the task's if None.
        labels: Which output of the classifier stands for which class, see `match_classes`; None to find it by
            their names.
    """

    task: str | None = None
    data_dir: Path | None = None
    test_file: Path | None = None
    text_column: str = "text"
    pair_column: str | None = None
    label_column: str = "label"
    max_length: int | None = None
    labels: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The options by name, without one that earlier versions did not know and that is not given."""
        return {name: value for name, value in asdict(self).items() if name != "labels" or value is not None}

    def source(self, model: str, suffix: str = "") -> RunConfig:
        """Options of a run whose test data this is.

        Args:
            model: Name of the classifier. Where neither a task nor a file is named, it is judged on what the
                run was tested on that trained it, if it lies in a run's folder or is one.
            suffix: Ends the name of the default output folder.

        Raises:
            ConfigError: If options contradict each other, the task is unknown, or nothing names any data.
        """
        if self.test_file is None and self.pair_column is not None:
            raise ConfigError("--pair-column is for your own data: give --test-file too.")
        given = {"data_dir": self.data_dir, "max_length": self.max_length}
        if self.task is not None or self.test_file is not None:
            own = {"task": self.task, "train_file": self.test_file}
            return RunConfig.build({**given, **own}, suffix=suffix)
        run = run_of(model)
        if run is None:
            raise ConfigError(
                f"Nothing says what '{model}' is to be judged on: give --task (see `earlyrobust list tasks`) "
                "or --test-file."
            )
        # Where anything is written a folder that came from elsewhere shall not say; a run's own does not.
        config = RunConfig.parse(given, run / CONFIG_NAME).model_copy(update={"output": None})
        return config.resolved(suffix)

    def is_known(self, model: str) -> bool:
        """Whether anything says what a classifier is to be judged on."""
        return self.task is not None or self.test_file is not None or run_of(model) is not None


def run_of(model: str) -> Path | None:
    """The folder of the run that a model or an export of it lies in, or is; None where there is none."""
    for folder in (Path(model), *list(Path(model).parents)[:2]):
        if (folder / CONFIG_NAME).is_file() and any((folder / name).is_dir() for name in (MODEL, DENSE)):
            return folder
    return None


def model_in(name: str) -> str:
    """Where a classifier is: that of a run lies in a folder of the run's."""
    of_run = Path(name) / MODEL
    return str(of_run) if of_run.is_dir() and not (Path(name) / "config.json").exists() else name
