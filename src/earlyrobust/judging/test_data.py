"""Works out the data on which an existing classifier is judged: that of its run, a task, or a file."""

from __future__ import annotations

from pathlib import Path

from earlyrobust.errors import ConfigError
from earlyrobust.options.run import RunConfig
from earlyrobust.options.test_data import COLUMNS, OF_FILES, TestData
from earlyrobust.workspace.finding import name_of, options_of, run_of
from earlyrobust.workspace.folder import CONFIG_NAME
from earlyrobust.workspace.identity import anchored, key_of


def source_of(model: str, data: TestData) -> RunConfig:
    """Return options of a run whose test data is the data that a classifier is judged on.

    Args:
        model: Name of the classifier.
        data: The options of the data. If they name neither a task nor a file, the classifier is judged on the
            test data of the run that trained it.

    Raises:
        ConfigError: If options contradict each other, the task is unknown, nothing names any data, or the
            classifier reads pairs and the data has none, or the other way round.
    """
    data.check()
    run = run_of(model)
    if data.names_data:
        inherited = {} if run is None else _inherited(run, data)
        own = {name: getattr(data, name) for name in ("task", "data_dir", "max_length", *OF_FILES)}
        given = {name: value for name, value in own.items() if value is not None}
        config = RunConfig.build({**inherited, **given, "train_file": data.test_file})
        if run is not None:
            _check_pairs(run, config)
        return config
    if run is None:
        raise ConfigError(
            f"Nothing says what '{model}' is to be judged on: give --task (see `earlyrobust list tasks`) or "
            "--test-file."
        )
    if data.data_dir is not None and options_of(run).train_file is not None:
        raise ConfigError(
            f"--data-dir is for a task, and the run in '{run}' was trained on a file: give --task too, or "
            "leave --data-dir out."
        )
    given = {"data_dir": data.data_dir, "max_length": data.max_length}
    # A folder that came from elsewhere does not decide where anything is written.
    return RunConfig.parse(given, run / CONFIG_NAME).model_copy(update={"output": None}).resolved()


def describe_inherited(model: str, data: TestData) -> str | None:
    """Describe the options that are as in the run that trained a classifier; None if there are none."""
    run = run_of(model)
    if run is None or not data.names_data:
        return None
    alone = RunConfig.build({"task": data.task, "train_file": data.test_file})
    inherited = [
        f"--{name.replace('_', '-')} {value}"
        for name, value in _inherited(run, data).items()
        if getattr(data, name) is None and value != getattr(alone, name)
    ]
    return f"As the run in '{run}' had it: {', '.join(inherited)}." if inherited else None


def has_data(model: str, data: TestData) -> bool:
    """Whether the options, or the run of the classifier, name any data."""
    return data.names_data or run_of(model) is not None


def attack_folder(model: str, data: TestData) -> Path:
    """Return the folder of an attack on a classifier, if the user names none.

    The name ends with letters that stand for the places of model and data, so that others have another
    folder.

    Raises:
        ConfigError: As for `source_of`.
    """
    source = source_of(model, data)
    name = source.task or Path(str(source.train_file)).stem
    places = anchored({"model": model, "data_dir": data.data_dir, "test_file": data.test_file})
    return Path("runs") / f"{name_of(model)}-{name}-{key_of(places, data.task)}-attack"


def _inherited(run: Path, data: TestData) -> dict[str, str | int | None]:
    """Return the options of a run that say how data is read, also other data than the run's own."""
    trained = options_of(run)
    options: dict[str, str | int | None] = {"max_length": trained.max_length}
    if data.test_file is not None and trained.train_file is not None:
        options |= {name: getattr(trained, name) for name in COLUMNS}
    return options


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
