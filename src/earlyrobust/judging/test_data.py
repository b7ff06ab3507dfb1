"""Works out the data on which an existing classifier is evaluated: that of its run, a task, or a file."""

from __future__ import annotations

from pathlib import Path

from earlyrobust.errors import ConfigError
from earlyrobust.options.run import RunConfig
from earlyrobust.options.test_data import COLUMNS, OF_FILES, TestData
from earlyrobust.results.export import EXPORT_NAME, ExportRecord
from earlyrobust.workspace.finding import check_model_place, name_of, options_of, run_of
from earlyrobust.workspace.folder import CONFIG_NAME
from earlyrobust.workspace.identity import anchored, key_of


def source_of(model: str, data: TestData) -> RunConfig:
    """Return the options of a run whose test data is the data for a classifier.

    Args:
        model: A folder of a model or a run, or a name on the Hugging Face hub.
        data: The options of the data. If they name neither a task nor a file, the data is the test data of
            the run that trained the classifier.

    Raises:
        ModelError: If the name is a misspelt folder, or the folder of an unfinished run.
        ConfigError: If options contradict each other, the task is unknown, no data is named, or only one of
            the classifier's training data and the test data has pairs.
    """
    data.check()
    check_model_place(model)
    run = run_of(model)
    if data.names_data:
        inherited = _of_export(model) if run is None else _inherited(run, data)
        own = {name: getattr(data, name) for name in ("task", "data_dir", "max_length", *OF_FILES)}
        given = {name: value for name, value in own.items() if value is not None}
        config = RunConfig.build({**inherited, **given, "train_file": data.test_file})
        if run is not None:
            _check_pairs(run, config)
        return config
    if run is None:
        raise ConfigError(
            f"No test data is known for '{model}': give --task (see `earlyrobust list tasks`) or --test-file."
        )
    if data.data_dir is not None and options_of(run).train_file is not None:
        raise ConfigError(
            f"--data-dir is for a task, and the run in '{run}' was trained on a file: give --task too, or "
            "leave --data-dir out."
        )
    given = {"data_dir": data.data_dir, "max_length": data.max_length}
    # The folder may come from another machine, so its output folder is not used.
    return RunConfig.parse(given, run / CONFIG_NAME).model_copy(update={"output": None}).resolved()


def describe_inherited(model: str, data: TestData) -> str | None:
    """Describe the options of the data that come from the run or export of a classifier; None without any."""
    run = run_of(model)
    if not data.names_data:
        return None
    alone = RunConfig.build({"task": data.task, "train_file": data.test_file})
    inherited = [
        f"--{name.replace('_', '-')} {value}"
        for name, value in (_of_export(model) if run is None else _inherited(run, data)).items()
        if getattr(data, name) is None and value != getattr(alone, name)
    ]
    place = f"export in '{model}'" if run is None else f"run in '{run}'"
    return f"From the {place}: {', '.join(inherited)}." if inherited else None


def has_data(model: str, data: TestData) -> bool:
    """Return whether the options, or the run of the classifier, name any data."""
    return data.names_data or run_of(model) is not None


def attack_folder(model: str, data: TestData) -> Path:
    """Return the default folder of an attack on a classifier.

    Its name holds a hash of the places of model and data, so that another model or other data have another
    folder.

    Args:
        model: A folder of a model or a run, or a name on the Hugging Face hub.
        data: The options of the data.

    Raises:
        ConfigError: If the options of the data cannot be used, see `source_of`.
    """
    source = source_of(model, data)
    name = source.task or Path(str(source.train_file)).stem
    places = anchored({"model": model, "data_dir": data.data_dir, "test_file": data.test_file})
    return Path("runs") / f"{name_of(model)}-{name}-{key_of(places, data.task)}-attack"


def _inherited(run: Path, data: TestData) -> dict[str, str | int | None]:
    """Return the options of a run for reading data, which also hold for other data than the run's own."""
    trained = options_of(run)
    options: dict[str, str | int | None] = {"max_length": trained.max_length}
    if data.test_file is not None and trained.train_file is not None:
        alike = data.test_file.suffix.lower() == trained.train_file.suffix.lower()
        options |= {name: getattr(trained, name) for name in (OF_FILES if alike else COLUMNS)}
    return options


def _of_export(model: str) -> dict[str, str | int | None]:
    """Return the options for reading data in the record of an export; empty for any other classifier."""
    if not (Path(model) / EXPORT_NAME).is_file():
        return {}
    length = ExportRecord.load(Path(model)).max_length
    return {} if length is None else {"max_length": length}


def _check_pairs(run: Path, data: RunConfig) -> None:
    """Refuse single texts for a model of pairs, and pairs for a model of single texts."""
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
