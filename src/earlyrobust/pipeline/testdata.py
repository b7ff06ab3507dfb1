"""What a classifier that is there already is judged on."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from earlyrobust.errors import ConfigError
from earlyrobust.pipeline.config import RunConfig
from earlyrobust.pipeline.folder import CONFIG_NAME, DENSE, MODEL, PROGRESS_NAME
from earlyrobust.pipeline.identity import anchored, key_of
from earlyrobust.results import RECORD_NAME

_COLUMNS = ("text_column", "pair_column", "label_column")
# Options that are about a file of one's own.
_OF_FILES = (*_COLUMNS, "quotes", "delimiter", "encoding")


@dataclass(frozen=True)
class TestData:
    """Where the examples come from that a classifier is judged on.

    What is None is as in the run that trained the classifier, if it lies in a run's folder or is one.

    Attributes:
        task: A task of `TASKS`.
        data_dir: Local folder of Parquet files to read the task from instead of the hub.
        test_file: The user's own data instead of a task.
        text_column: Its column of the text, or of the first text of a pair; without a run "text".
        pair_column: Its column of the second text; without a run there is none.
        label_column: Its column of the label; without a run "label".
        quotes: Whether a quote at the start of a field opens a quoted field, see `TextFormat`.
        delimiter: Character between its fields.
        encoding: Its encoding.
        max_length: Longest input in tokens; without a run the task's.
        labels: Which output of the classifier stands for which class, see `match_classes`; None to find it by
            their names.
    """

    task: str | None = None
    data_dir: Path | None = None
    test_file: Path | None = None
    text_column: str | None = None
    pair_column: str | None = None
    label_column: str | None = None
    quotes: bool | None = None
    delimiter: str | None = None
    encoding: str | None = None
    max_length: int | None = None
    labels: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The options by name, without one that earlier versions did not know and that is not given."""
        return {name: value for name, value in asdict(self).items() if name != "labels" or value is not None}

    def source(self, model: str) -> RunConfig:
        """Options of a run whose test data this is.

        Args:
            model: Name of the classifier. Where neither a task nor a file is named, it is judged on what the
                run was tested on that trained it.

        Raises:
            ConfigError: If options contradict each other, the task is unknown, nothing names any data, or the
                classifier reads pairs and the data has none, or the other way round.
        """
        self.check()
        run = run_of(model)
        if self.task is not None or self.test_file is not None:
            inherited = {} if run is None else self._inherited(run)
            own = {name: getattr(self, name) for name in ("task", "data_dir", "max_length", *_OF_FILES)}
            given = {name: value for name, value in own.items() if value is not None}
            config = RunConfig.build({**inherited, **given, "train_file": self.test_file})
            if run is not None:
                _check_pairs(run, config)
            return config
        if run is None:
            raise ConfigError(
                f"Nothing says what '{model}' is to be judged on: give --task (see `earlyrobust list tasks`) "
                "or --test-file."
            )
        if self.data_dir is not None and options_of(run).train_file is not None:
            raise ConfigError(
                f"--data-dir is for a task, and the run in '{run}' was trained on a file: give --task too, "
                "or leave --data-dir out."
            )
        # Where anything is written a folder that came from elsewhere shall not say; a run's own does not.
        given = {"data_dir": self.data_dir, "max_length": self.max_length}
        return RunConfig.parse(given, run / CONFIG_NAME).model_copy(update={"output": None}).resolved()

    def check(self) -> None:
        """Refuse options that would have no effect.

        Raises:
            ConfigError: If there are any.
        """
        for name in _OF_FILES if self.test_file is None else ():
            value = getattr(self, name)
            if value is not None:
                option = "no-quotes" if value is False else name.replace("_", "-")
                raise ConfigError(f"--{option} is for your own data: give --test-file too.")

    def note(self, model: str) -> str | None:
        """What holds because the run that trained a classifier had it, in a sentence; None for nothing."""
        run = run_of(model)
        if run is None or (self.task is None and self.test_file is None):
            return None
        alone = RunConfig.build({"task": self.task, "train_file": self.test_file})
        inherited = [
            f"--{name.replace('_', '-')} {value}"
            for name, value in self._inherited(run).items()
            if getattr(self, name) is None and value != getattr(alone, name)
        ]
        return f"As the run in '{run}' had it: {', '.join(inherited)}." if inherited else None

    def is_known(self, model: str) -> bool:
        """Whether anything says what a classifier is to be judged on."""
        return self.task is not None or self.test_file is not None or run_of(model) is not None

    def attack_folder(self, model: str) -> Path:
        """Where an attack on a classifier is kept unless something else is asked for.

        Its name ends with letters that stand for the places of model and data: others have another folder.

        Raises:
            ConfigError: As for `source`.
        """
        source = self.source(model)
        data = source.task or Path(str(source.train_file)).stem
        places = anchored({"model": model, "data_dir": self.data_dir, "test_file": self.test_file})
        return Path("runs") / f"{name_of(model)}-{data}-{key_of(places, self.task)}-attack"

    def _inherited(self, run: Path) -> dict[str, str | int | None]:
        """What a run says of how data is read, other data than its own included."""
        trained = options_of(run)
        options: dict[str, str | int | None] = {"max_length": trained.max_length}
        if self.test_file is not None and trained.train_file is not None:
            options |= {name: getattr(trained, name) for name in _COLUMNS}
        return options


def run_of(model: str) -> Path | None:
    """The folder of the run that a model or an export of it lies in, or is; None where there is none."""
    if not Path(model).is_dir():  # a name on the hub lies nowhere
        return None
    for place in dict.fromkeys((Path(os.path.abspath(model)), Path(model).resolve())):
        for folder in (place, *list(place.parents)[:2]):
            has_options = (folder / CONFIG_NAME).is_file() and any(
                (folder / name).is_file() for name in (PROGRESS_NAME, RECORD_NAME)
            )
            if has_options and any((folder / name).is_dir() for name in (MODEL, DENSE)):
                return folder
    return None


def model_in(name: str) -> str:
    """Where a classifier is: that of a run lies in a folder of the run's."""
    of_run = Path(name) / MODEL
    return str(of_run) if of_run.is_dir() and not (Path(name) / "config.json").exists() else name


def name_of(model: str) -> str:
    """A short name of a classifier, for a folder: that of its run, with its own if it is not the run's."""
    place, run = Path(os.path.abspath(model)), run_of(model)
    if run is None or place.resolve() in (run.resolve(), (run / MODEL).resolve()):
        return (run or place).name
    return f"{run.name}-{place.name}"


def options_of(run: Path) -> RunConfig:
    """Read the options that a run was begun with from its folder."""
    return RunConfig.parse({}, run / CONFIG_NAME).resolved()


def _check_pairs(run: Path, data: RunConfig) -> None:
    """Refuse single texts for a model of pairs, and pairs for one of single texts."""
    trained, judged = (_has_pairs(config) for config in (options_of(run), data))
    if trained == judged:
        return
    kinds = ("single texts", "pairs of texts")
    way_out = "choose another --task" if data.train_file is None else "give --pair-column too"
    if judged and data.train_file is not None:
        way_out = "leave --pair-column out"
    raise ConfigError(
        f"The model of the run in '{run}' was trained on {kinds[trained]} and would be judged on "
        f"{kinds[judged]}: {way_out}."
    )


def _has_pairs(config: RunConfig) -> bool:
    task = config.known_task()
    return (config.pair_column if task is None else task.pair_column) is not None
