"""Loads the data of a run: three splits as texts and as tokens."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from earlyrobust import processes
from earlyrobust.data import TASKS, TextData, load_files, load_task
from earlyrobust.encoders import load_skeleton, load_tokenizer
from earlyrobust.noise import TEXT_COLUMNS
from earlyrobust.options.run import RunConfig
from earlyrobust.pipeline.reading import read_texts
from earlyrobust.pipeline.row_counts import describe_rows
from earlyrobust.pipeline.trained_head import GivenHead, find_head
from earlyrobust.workspace.observer import Observer

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Splits:
    """The tokenised splits.

    Attributes:
        data: The texts of the splits.
        train: The split to train on.
        selection: The split to choose epochs and settings on.
        test: The split to report on, used once, at the end.
        tokenizer: The tokenizer of the splits.
        seconds: Seconds of preparing the splits.
        max_length: Maximum number of tokens of a text that the model reads.
        cut: Number of longer texts, which are truncated, by split.
        reads_more: Whether the model could read more tokens than `max_length`.
        head: The decision on the trained head of the model; None if the model has none.
    """

    data: TextData
    train: Dataset
    selection: Dataset
    test: Dataset
    tokenizer: PreTrainedTokenizerBase
    seconds: float
    max_length: int
    cut: dict[str, int]
    reads_more: bool
    head: GivenHead | None = None

    def train_with_texts(self) -> Dataset:
        """Return the tokenised training split with the columns of its texts."""
        found = self.train
        for name in TEXT_COLUMNS:
            if name in self.data.train.column_names:
                found = found.add_column(name, self.data.train[name][:])
        return found


def load_splits(config: RunConfig, observer: Observer) -> Splits:
    """Load and tokenise the data in the options of a run.

    Args:
        config: The options of the run.
        observer: Receives progress and messages about the data.

    Raises:
        DataError: If the data cannot be loaded or used, or the outputs of a trained classifier cannot be
            matched to the classes.
        ModelError: If the encoder's tokenizer or configuration cannot be loaded or used.
        ConfigError: If the user asks for more tokens than the encoder reads, or the options about the head of
            a trained classifier cannot be used.
    """
    began = time.perf_counter()
    with observer.stage("Preparing the data"), processes.first_on_each_machine():
        tokenizer = load_tokenizer(config.model)
        data = load_data(config)
        head = find_head(config, data)
        data = data if head is None else head.number(data)
        reading = read_texts(
            {"train": data.train, "selection": data.selection, "test": data.test},
            load_skeleton(config.model),
            tokenizer,
            cast("int", config.max_length),
            observer,
            insists=config.is_set("max_length"),
        )
    of_head = () if head is None else (head.note,)
    for line in (*data.label_notes, *of_head, *describe_rows(data)):
        observer.note(line)
    seconds = time.perf_counter() - began
    return Splits(
        data,
        **reading.tokens,
        tokenizer=tokenizer,
        seconds=seconds,
        max_length=reading.max_length,
        cut=reading.cut,
        reads_more=reading.reads_more,
        head=head,
    )


def load_data(config: RunConfig) -> TextData:
    """Load the texts in the options of a run, from the user's own files or a task.

    Raises:
        DataError: If the data cannot be loaded or used.
    """
    if config.train_file is None:
        return load_task(
            TASKS[str(config.task)],
            data_dir=config.data_dir,
            train_samples=config.train_samples,
            test_samples=config.test_samples,
            seed=config.seed,
        )
    return load_files(
        config.train_file,
        config.test_file,
        text_column=config.text_column,
        pair_column=config.pair_column,
        label_column=config.label_column,
        train_samples=config.train_samples,
        test_samples=config.test_samples,
        seed=config.seed,
        form=config.text_format,
    )
