"""The data of a run: three splits as texts and as tokens."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from earlyrobust import processes
from earlyrobust.data import TASKS, TextData, load_files, load_task, tokenize
from earlyrobust.encoders import check_length, load_tokenizer
from earlyrobust.pipeline.config import RunConfig
from earlyrobust.pipeline.observer import Observer

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Splits:
    """The tokenised splits.

    Attributes:
        data: The texts they were made of.
        train: Trained on.
        selection: For choosing between settings.
        test: Touched once, at the end.
        tokenizer: What tokenised them.
        seconds: How long preparing them took.
    """

    data: TextData
    train: Dataset
    selection: Dataset
    test: Dataset
    tokenizer: PreTrainedTokenizerBase
    seconds: float


def load_splits(config: RunConfig, observer: Observer) -> Splits:
    """Read and tokenise the data that a run's options name.

    Raises:
        DataError: If the data cannot be had or used.
        ModelError: If the encoder's tokenizer cannot be had.
    """
    began = time.perf_counter()
    with observer.stage("Preparing the data"), processes.first_on_each_machine():
        tokenizer = load_tokenizer(config.model)
        length = check_length(tokenizer, config.max_length or tokenizer.model_max_length)
        data = load_data(config)
        train, selection, test = (
            tokenize(split, tokenizer, length) for split in (data.train, data.selection, data.test)
        )
    for note in data.label_notes:
        observer.note(note)
    return Splits(data, train, selection, test, tokenizer, time.perf_counter() - began)


def load_data(config: RunConfig) -> TextData:
    """Read the texts that a run's options name: the user's own files, or a task."""
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
    )
