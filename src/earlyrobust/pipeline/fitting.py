"""Runs the main job in one call from Python, on a model and data in memory."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, DatasetDict, Value
from pyarrow import ArrowInvalid, ArrowTypeError
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from earlyrobust import processes
from earlyrobust.adversarial import Adversary
from earlyrobust.data.matching import is_unnamed, match_classes
from earlyrobust.encoders import has_fresh_head, load_classifier, load_tokenizer, save_tokenizer
from earlyrobust.errors import ConfigError, DataError, OutputError
from earlyrobust.options.places import at_home
from earlyrobust.options.run import RunConfig
from earlyrobust.pipeline.head_trial import could_match, is_better_than_chance
from earlyrobust.pipeline.jobs import run
from earlyrobust.pipeline.model_object import check_is_model, check_is_saved_whole, outputs_of
from earlyrobust.pipeline.recipe import named_adversary, note_idle_options
from earlyrobust.pipeline.surroundings import as_before
from earlyrobust.results import ModelRecord, RunRecord
from earlyrobust.statistics.measures import AUA, CLEAN, of_attack
from earlyrobust.storage import check_can_be_made, write_folder
from earlyrobust.workspace.finding import find_ticket
from earlyrobust.workspace.folder import CONFIG_NAME, INPUTS, MODEL, TICKET, AnyTicket
from earlyrobust.workspace.observer import Observer
from earlyrobust.workspace.progress import ProgressLines, quiet_libraries
from earlyrobust.workspace.python_words import PythonObserver, errors_in_python, in_python

# A model object with its tokenizer.
_Model = tuple[PreTrainedModel, PreTrainedTokenizerBase]
# Options of a run that `fit` sets itself.
_OWN = ("train_file", "test_file", "model", "output", "task", "data_dir")
_FRESH_HEAD = (
    "The head of the model is untrained: all its biases are 0. So the training begins with a new head; "
    "start='given' keeps the head of the model."
)
_NEW_HEAD = (
    "The head of the model is no better than chance on the training texts, as an untrained head is. So the "
    "training begins with a new head; start='given' keeps the head of the model."
)


@dataclass(frozen=True, repr=False)
class Fitted:
    """A trained classifier, with its tokenizer, its ticket and its record.

    Attributes:
        classifier: The classifier, in evaluation mode, on the accelerator if there is one.
        tokenizer: The tokenizer of the classifier.
        ticket: The ticket by which the classifier was cut; None if the method has no ticket.
        record: The record of the run: accuracy, accuracy under attack, sizes, times, settings.
        folder: The folder of the run. The commands `attack`, `evaluate`, `export` and `benchmark` take it.
    """

    classifier: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    ticket: AnyTicket | None
    record: RunRecord
    folder: Path

    def __repr__(self) -> str:
        """Return the accuracies of the classifier and of the dense model, and the folder, in a line."""
        ours = _accuracies(self.record.model)
        rival = {} if self.record.dense is None else _accuracies(self.record.dense)
        of_rival = {name: f" ({self.record.rival} {share})" for name, share in rival.items()}
        told = ", ".join(f"{name} {share}{of_rival.get(name, '')}" for name, share in ours.items())
        return f"Fitted({told}, folder='{self.folder}')"


def _accuracies(model: ModelRecord) -> dict[str, str]:
    """Return the accuracy of a model on clean texts and under each attack, in percent."""
    shares = {CLEAN: model.test}
    shares |= {of_attack(AUA, name): attack.under_attack for name, attack in model.attacks.items()}
    return {name: f"{100 * share.value:.1f}" for name, share in shares.items()}


@errors_in_python()
@as_before()
def fit(
    model: PreTrainedModel | str | Path = "minilm",
    tokenizer: PreTrainedTokenizerBase | None = None,
    train_dataset: Dataset | Mapping[str, Any] | str | Path | None = None,
    test_dataset: Dataset | Mapping[str, Any] | str | Path | None = None,
    *,
    output: str | Path = "runs/fit",
    observer: Observer | None = None,
    **options: Any,
) -> Fitted:
    """Make a smaller classifier of a model: search a ticket, cut, fine-tune, attack, record.

    This is `earlyrobust run` on objects in memory. The folder of the output is the folder of the run, with
    the data and the given model in `inputs/`. A second call with equal arguments continues an interrupted
    run, or returns the finished one.

    A label that is a whole number stands for the output of this number, as everywhere on the Hugging Face
    stack. The head of a given classifier counts as untrained if all its biases are 0, as transformers makes
    a head, or if it is not better than chance on the training texts. Then the training starts from the
    encoder with a new head, as with `start="pretrained"`. A model object is saved and loaded again. So a
    class of your own, parts that differ from the configuration, and frozen weights are refused.

    Args:
        model: A model object of a supported family, or a name: an embedded encoder, a folder, or a name on
            the Hugging Face hub.
        tokenizer: The tokenizer of a model object. None for a model that is given by name, which has its own
            tokenizer.
        train_dataset: The texts and their labels: a data set, columns by their names, or a file (CSV, TSV,
            JSONL, Parquet). The options `text_column`, `pair_column` and `label_column` name the columns,
            "text", none and "label" by default.
        test_dataset: The texts to test the classifier on; None to hold them out from the training texts.
        output: Folder of the run.
        observer: Receives progress and messages; None to print them to standard error, in the first process
            only.
        **options: Options of `earlyrobust run`, with "_" in place of "-", such as `method="freelb"`,
            `epochs=2`, `attack=()`. See `RunConfig`. `adversary` and `search_adversary` also take an
            adversary, such as `FreeLB(steps=2)`. The class of your own adversary should be in a module: no
            command can continue a run whose class is in a notebook or script.

    Returns:
        The classifier, its tokenizer, its ticket and the record.

    Raises:
        EarlyRobustError: If an option, the data, the model or the folder cannot be used.
    """
    observer = PythonObserver(observer or (ProgressLines() if processes.is_first() else Observer()))
    if train_dataset is None:
        raise DataError("fit needs texts and their labels: pass train_dataset=...")
    for name in _OWN:
        if name in options:
            raise ConfigError(f"fit has no option '{name}': pass the data as train_dataset and test_dataset.")
    for value in options.values():
        if isinstance(value, Adversary) and type(value).__module__ == "__main__":
            observer.note(
                f"No command can continue this run, because {type(value).__name__} is defined in a notebook "
                "or script: define it in a module instead."
            )
    options = {
        name: named_adversary(value) if isinstance(value, Adversary) else value
        for name, value in options.items()
    }
    folder = at_home(Path(output))
    check_can_be_made(folder)
    form = RunConfig.parse(options)
    data = {"train": train_dataset, "test": test_dataset}
    files = {name: at_home(Path(one)) for name, one in data.items() if isinstance(one, str | Path)}
    if missing := [path for path in files.values() if not path.is_file()]:
        raise DataError(f"There is no file '{missing[0]}': correct its path.")
    tables = {
        name: _table(one, f"{name}_dataset", form)
        for name, one in data.items()
        if one is not None and name not in files
    }
    given: _Model | None = None
    check_is_model(model)
    if isinstance(model, PreTrainedModel):
        if tokenizer is None:
            raise ConfigError("The model is an object, so fit needs its tokenizer, too: pass tokenizer=...")
        check_is_saved_whole(model)
        given = model, tokenizer
        tables = {name: _with_class_names(table, model, form) for name, table in tables.items()}
        if "train" in tables:
            of_head = _options_of_head(model, tokenizer, tables["train"], form, observer)
            if of_head is None:  # without its head, the model is an encoder
                given = model.base_model, tokenizer
            else:
                options |= of_head
    elif tokenizer is not None:
        raise ConfigError(
            "The model is named, so it comes with its own tokenizer: leave tokenizer out, or pass the model "
            "as an object."
        )
    processes.by_first(lambda: _keep_inputs(folder / INPUTS, tables, given))
    files |= {name: folder / INPUTS / f"{name}.parquet" for name in tables}
    config = RunConfig.parse(
        {
            **options,
            "model": str(model) if given is None else str(folder / INPUTS / MODEL),
            "train_file": files["train"],
            "test_file": files.get("test"),
            "output": folder,
        }
    ).resolved()
    note_idle_options(config, observer)
    with quiet_libraries():
        record = run(config, observer)
        for finding in record.findings:
            observer.note(f"Beware: {finding}")
        ticket = find_ticket(folder / TICKET) if (folder / TICKET).is_dir() else None
        place = str(folder / MODEL)
        record = replace(record, findings=list(map(in_python, record.findings)))
        return Fitted(load_classifier(place), load_tokenizer(place), ticket, record, folder)


def _table(given: Dataset | Mapping[str, Any], name: str, form: RunConfig) -> Dataset:
    """Return the columns of texts and labels of a data set."""
    if isinstance(given, DatasetDict):
        raise DataError(f"The {name} is several data sets ({', '.join(given)}): give one of them.")
    if isinstance(given, Mapping):
        lists = {column: list(values) for column, values in given.items()}
        if len({*map(len, lists.values())}) > 1:
            told = " and ".join(f"{len(values):,} of {column!r}" for column, values in lists.items())
            raise DataError(f"The columns of {name} have different lengths, {told}: give equally many.")
        try:
            given = Dataset.from_dict(lists)
        except (ArrowInvalid, ArrowTypeError) as error:  # a column holds values of several types
            kinds = {column: {type(value).__name__ for value in values} for column, values in lists.items()}
            mixed = next((column for column, found in kinds.items() if len(found) > 1), None)
            if mixed is None:
                raise DataError(f"The {name} cannot be read as columns: {error}.") from error
            raise DataError(
                f"The column {mixed!r} of {name} holds values of several types "
                f"({', '.join(sorted(kinds[mixed]))}): give all of them one type."
            ) from error
    if not isinstance(given, Dataset):
        raise DataError(
            f"The {name} is a {type(given).__name__}: give a datasets.Dataset, columns by their names, or a "
            "file."
        )
    if given.format["type"] == "custom":
        raise DataError(
            f"The {name} has a transform, which fit would leave out: apply it by map, and call "
            "reset_format()."
        )
    given = given.with_format(None)
    columns = {"text_column": form.text_column, "label_column": form.label_column}
    if form.pair_column is not None:
        columns["pair_column"] = form.pair_column
    for option, column in columns.items():
        if column not in given.column_names:
            raise DataError(
                f"The {name} has no column '{column}', its columns are {', '.join(given.column_names)}: name "
                f"the right one by {option}='...'."
            )
    if len({*columns.values()}) < len(columns):
        raise ConfigError(f"{', '.join(columns)} name one column twice: give each a column of its own.")
    return given.select_columns([*columns.values()])


def _with_class_names(table: Dataset, model: PreTrainedModel, form: RunConfig) -> Dataset:
    """Name the classes of labels that are whole numbers by the outputs of a classifier."""
    kind, names = table.features[form.label_column], outputs_of(model)
    is_number = isinstance(kind, Value) and kind.dtype.startswith(("int", "uint"))
    if not is_number or is_unnamed(names) or not set(table[form.label_column]) <= set(range(len(names))):
        return table
    return table.cast_column(form.label_column, ClassLabel(names=names))


def _options_of_head(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    table: Dataset,
    form: RunConfig,
    observer: Observer,
) -> dict[str, Any] | None:
    """Return the options with which a run keeps or replaces the head of a given model.

    Args:
        model: The given model.
        tokenizer: Its tokenizer.
        table: The training texts and their labels.
        form: The options of the user.
        observer: Receives a message if a new head replaces the head.
    """
    names, kind = outputs_of(model), table.features[form.label_column]
    if form.start is not None or form.labels is not None or len(names) < 2:
        return {}
    if has_fresh_head(model):
        observer.note(_FRESH_HEAD)
        return None
    order = kind.names if isinstance(kind, ClassLabel) else None
    classes = order or sorted({str(label) for label in table[form.label_column]})
    try:
        matching = match_classes(classes, names, "the training texts", order=order)
    except DataError:
        # The run explains the error, unless no match could make sense of the head.
        if (
            is_unnamed(names)
            and len(names) == len(classes)
            and not could_match(model, tokenizer, table, classes, form)
        ):
            observer.note(_NEW_HEAD)
            return None
        return {}
    options: dict[str, Any] = {}
    if matching.by == "position":  # The file of the run does not define the order of the classes.
        options["labels"] = ",".join('"' + name.replace('"', '""') + '"' for name in classes)
    outputs = dict(zip(classes if order is None else range(len(order)), matching.outputs, strict=True))
    if is_better_than_chance(model, tokenizer, table, outputs, form):
        return options
    observer.note(_NEW_HEAD)
    return None


def _keep_inputs(folder: Path, tables: Mapping[str, Dataset], given: _Model | None) -> None:
    """Write the data and the model into the folder of a run, unless it holds them already."""
    if not tables and given is None:
        return

    def write(place: Path) -> None:
        for name, table in tables.items():
            # The schema holds the names of the classes. `Dataset.to_parquet` would show a progress bar.
            arrow = table.with_format("arrow")[:].cast(table.features.arrow_schema)
            pq.write_table(arrow, place / f"{name}.parquet")
        if given is not None:
            model, tokenizer = given
            model.save_pretrained(place / MODEL)
            save_tokenizer(tokenizer, place / MODEL)

    if not folder.exists():
        write_folder(folder, write)
        return
    if not (folder.parent / CONFIG_NAME).exists() and _holds_inputs_alone(folder):
        shutil.rmtree(folder)  # those of a call that ended before its run began
        write_folder(folder, write)
        return
    with TemporaryDirectory() as other:
        write(Path(other))
        if not _are_alike(folder, Path(other)):
            raise OutputError(
                f"'{folder.parent}' holds a run on other data or of another model: choose another output, or "
                "delete it."
            )


def _holds_inputs_alone(folder: Path) -> bool:
    """Return whether a folder holds only files that `_keep_inputs` writes."""
    return {place.name for place in folder.iterdir()} <= {"train.parquet", "test.parquet", MODEL}


def _are_alike(first: Path, second: Path) -> bool:
    """Return whether two folders hold the same files with the same content."""
    names = [
        {str(Path(place, file).relative_to(folder)) for place, _, files in os.walk(folder) for file in files}
        for folder in (first, second)
    ]
    if names[0] != names[1]:
        return False
    _, differing, unread = filecmp.cmpfiles(first, second, sorted(names[0]), shallow=False)
    return not differing and not unread
