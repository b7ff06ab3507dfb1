"""The classifier that a command evaluates, attacks or exports, with its test texts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from earlyrobust.analysis.findings import fault_of_swapped, swapped_classes
from earlyrobust.data import TestRows, load_task_test, load_test_file, renumber
from earlyrobust.data.digests import split_digest
from earlyrobust.data.matching import match_classes
from earlyrobust.encoders import load_classifier, load_tokenizer, output_names
from earlyrobust.errors import DataError, ModelError
from earlyrobust.judging.test_data import describe_inherited, source_of
from earlyrobust.options.run import RunConfig
from earlyrobust.options.test_data import TestData
from earlyrobust.pipeline.original_data import count_known, load_own
from earlyrobust.pipeline.preflight import check_names_classes, try_out
from earlyrobust.pipeline.reading import read_texts
from earlyrobust.results import RECORD_NAME, RunRecord, TestDataRecord
from earlyrobust.workspace.finding import model_in, options_of, run_of
from earlyrobust.workspace.folder import MODEL
from earlyrobust.workspace.observer import Observer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_CHECK_LABELS = "Check them, and say by --labels which output of the model stands for which class."


@dataclass(frozen=True)
class Subject:
    """A classifier with its tokenizer and test texts.

    Attributes:
        data_name: Name of the test data.
        model: The classifier.
        tokenizer: The tokenizer of the classifier.
        rows: The test texts; their labels are indices of the classifier's outputs.
        tokens: The tokenised test texts.
        max_length: Maximum number of tokens of a text that are read.
        labels: For each class of the data, the name of the output that stands for it.
        cut: Number of texts that are longer than `max_length`.
        matched_by: The way in which the outputs were matched to the classes, see `Matching`.
        known: Number of test texts that are in the training or selection data of the run; None if this is
            unknown.
        choices: Choices between weights, one sentence each.
        word_sources: Names of the sources of neighbours with which the training of the classifier replaced
            words; empty if this is unknown.
    """

    data_name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    rows: Dataset
    tokens: Dataset
    max_length: int
    labels: dict[str, str]
    cut: int
    matched_by: str = "name"
    known: int | None = None
    choices: Sequence[str] = ()
    word_sources: Sequence[str] = ()

    @property
    def outputs(self) -> list[str]:
        """Names of the classifier's outputs, in their order."""
        return [self.model.config.id2label[index] for index in range(self.model.config.num_labels)]

    @property
    def test_data(self) -> TestDataRecord:
        """The record of the test data."""
        return TestDataRecord(
            self.data_name,
            split_digest(self.rows),
            len(self.rows),
            self.labels,
            self.max_length,
            self.cut,
            self.matched_by,
            self.known,
        )

    def findings(self, labels: Sequence[int], answers: Sequence[int]) -> list[str]:
        """Describe faults of the classifier's answers, one sentence each."""
        fault = fault_of_swapped(swapped_classes(labels, answers, self.outputs), "The model", _CHECK_LABELS)
        found = [] if fault is None else [fault]
        if self.known:
            found.append(
                f"{self.known:,} of the {len(self.rows):,} texts are in the data that the model was trained "
                "on, so its accuracy is too high: judge it on other texts."
            )
        return found


def load_subject(
    model_name: str, data: TestData, observer: Observer, *, changes_texts: bool = False
) -> Subject:
    """Load a classifier, its tokenizer and its test texts, and check that it can read them.

    Args:
        model_name: A folder of a model or a run, or a name on the Hugging Face hub.
        data: The test data.
        observer: Receives progress and messages, also about truncated texts.
        changes_texts: Whether the texts will be changed, as by an attack.

    Raises:
        EarlyRobustError: If the model or the data cannot be used, or the data does not fit the model.
    """
    source = source_of(model_name, data)
    if (note := describe_inherited(model_name, data)) is not None:
        observer.note(note)
    with observer.stage("Loading model and data"):
        model, tokenizer, outputs, choices = load_named(model_name, data.labels, observer)
        judged = _rows(model_name, data, source, outputs)
        for note in (*judged.notes, judged.matching.describe(outputs)):
            observer.note(note)
        subject = subject_of(
            model,
            tokenizer,
            source.task or Path(str(source.test_file or source.train_file)).name,
            judged.rows,
            judged.matching.named(outputs),
            cast("int", source.max_length),
            observer,
            insists=data.max_length is not None and source.is_set("max_length"),
            changes_texts=changes_texts,
            matched_by=judged.matching.by,
        )
        run = run_of(model_name)
        if run is not None and (data.test_file is not None or data.task is not None):
            subject = replace(subject, known=count_known(run, options_of(run), subject.rows, observer))
        return replace(subject, choices=choices, word_sources=_word_sources(model_name, run))


def _word_sources(model_name: str, run: Path | None) -> list[str]:
    """Return the sources of the words with which the training of a run's own model replaced words."""
    if run is None or Path(model_in(model_name)).resolve() != (run / MODEL).resolve():
        return []
    return RunRecord.load(run).word_sources if (run / RECORD_NAME).is_file() else []


def load_named(
    model_name: str, labels: str | None, observer: Observer, *, takes_labels: bool = True
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, list[str], list[str]]:
    """Load a classifier, its tokenizer and the names of its outputs.

    Args:
        model_name: A folder of a model or a run, or a name on the Hugging Face hub.
        labels: The value of `--labels`, which replaces names that the configuration lacks; None if it is not
            given.
        observer: Receives a message about each choice between weights.
        takes_labels: Whether the command has the option `--labels`, which messages then name.

    Returns:
        The classifier, its tokenizer, the names of its outputs in their order, and the choices between
        weights, one sentence each.

    Raises:
        ModelError: If the classifier cannot be used, or its outputs have no names and `labels` is None.
    """
    place = model_in(model_name)
    names = _given_names(place, labels, takes_labels=takes_labels)
    choices: list[str] = []
    model, tokenizer = load_classifier(place, observer.noting(choices)), load_tokenizer(place)
    check_names_classes(model.config, model_name)
    named = _name_outputs(model, place, names, labels, takes_labels=takes_labels)
    return model, tokenizer, named, choices


def subject_of(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    data_name: str,
    rows: Dataset,
    labels: dict[str, str],
    wanted: int,
    observer: Observer,
    *,
    insists: bool,
    changes_texts: bool,
    matched_by: str = "name",
) -> Subject:
    """Tokenise rows for a classifier, and check that it can read them.

    Args:
        model: The classifier; its configuration may get a padding token.
        tokenizer: The tokenizer of the classifier, which is changed to fit it.
        data_name: Name of the task or file.
        rows: The test texts and their labels.
        labels: For each class of the data, the name of the output that stands for it.
        wanted: Maximum number of tokens of a text that the classifier should read.
        observer: Receives messages about truncated texts.
        insists: Whether the user has asked for `wanted`.
        changes_texts: Whether the texts will be changed, as by an attack.
        matched_by: The way in which the outputs were matched to the classes, see `Matching`.

    Raises:
        EarlyRobustError: If the model cannot read the rows.
    """
    reading = read_texts({"test": rows}, model, tokenizer, wanted, observer, insists=insists)
    tokens = reading.tokens["test"]
    try_out(model, tokenizer, [tokens], observer, changes_texts=changes_texts)
    cut = reading.cut["test"]
    return Subject(data_name, model, tokenizer, rows, tokens, reading.max_length, labels, cut, matched_by)


def _given_names(place: str, labels: str | None, *, takes_labels: bool) -> list[str] | None:
    """Return the names of a classifier's outputs; None if it has none but the user gives `--labels`."""
    try:
        return output_names(place)
    except ModelError as error:
        if labels is None:
            raise ModelError(str(error).rstrip(".") + _way_out(takes_labels)) from error
        return None  # `--labels` names the classes.


def _name_outputs(
    model: PreTrainedModel, place: str, names: list[str] | None, labels: str | None, *, takes_labels: bool
) -> list[str]:
    """Give a classifier's outputs their names, and return these in the order of the outputs."""
    count = model.config.num_labels
    if names is not None and len(names) != count:
        if labels is None:
            raise ModelError(
                f"The configuration of '{place}' names {len(names)} outputs, and the model has {count}: "
                f"correct its config.json{_way_out(takes_labels)}"
            )
        names = None
    names = names or [f"LABEL_{index}" for index in range(count)]
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: index for index, name in enumerate(names)}
    return names


def _way_out(takes_labels: bool) -> str:
    return ", or give --labels with the class of each output, in their order." if takes_labels else "."


def _rows(model_name: str, data: TestData, source: RunConfig, outputs: list[str]) -> TestRows:
    """Return the examples, with their labels numbered as the classifier's outputs."""
    if data.test_file is not None:
        return load_test_file(
            data.test_file,
            text_column=source.text_column,
            pair_column=source.pair_column,
            label_column=source.label_column,
            outputs=outputs,
            labels=data.labels,
            form=source.text_format,
        )
    task = source.known_task()
    if task is not None and data.task is not None:
        return load_task_test(task, data_dir=source.data_dir, outputs=outputs, labels=data.labels)
    run = run_of(model_name)
    assert run is not None  # `source_of` has checked this.
    texts = load_own(run, source)
    names = texts.label_names
    changed = DataError(
        f"The labels of '{source.train_file or source.task}' are no longer those that the model was "
        "trained on: give --test-file."
    )
    if len(names) != len(outputs):
        raise changed
    # A run that started from a classifier may have matched its outputs by an option of its own.
    option = data.labels or (None if set(names) == set(outputs) else source.labels)
    try:
        matching = match_classes(names, outputs, "the run's data", order=names, option=option)
    except DataError as error:
        raise changed from error
    return renumber(texts.test, matching)
