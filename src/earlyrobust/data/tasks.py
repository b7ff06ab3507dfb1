"""Lists the data sets that have a name: the sources of each, and the paper's settings for it.

This module is a literal table and imports nothing heavy, so that the command line can list it at once.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HubSource:
    """The place of a data set on the Hugging Face hub.

    Attributes:
        repo: Repository of the data set.
        config: Configuration in the repository; None if the repository has only one.
        train: Split for the training and selection rows.
        test: Split for the reported numbers.
    """

    repo: str
    config: str | None
    train: str
    test: str


@dataclass(frozen=True)
class LocalFiles:
    """The places of a data set in a local folder of Parquet files.

    Attributes:
        train: Candidate paths of the training file, relative to the folder; the first that exists is read.
        test: Candidate paths of the test file, relative to the folder; the first that exists is read.
        csv_quoted: Whether some fields still have the quotes of the CSV file that they came from.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    csv_quoted: bool = False


@dataclass(frozen=True)
class Task:
    """A text classification data set and the settings the paper uses on it.

    Attributes:
        name: Key of the task in `TASKS`.
        description: A description in one line.
        text_column: Column of the text, or of the first text of a pair.
        pair_column: Column of the second text, None for single-text tasks.
        label_names: Name of each class, in the order of the label indices.
        hub: The place of the task on the Hugging Face hub; None for the builtin corpus.
        local: The places of the task's files in a local folder; None for the builtin corpus.
        max_length: Longest input in tokens, special tokens included.
        epochs: Epochs of fine-tuning.
        heads: Share of attention heads that a ticket removes.
        neurons: Share of feed-forward neurons that a ticket removes.
    """

    name: str
    description: str
    text_column: str
    pair_column: str | None
    label_names: tuple[str, ...]
    hub: HubSource | None
    local: LocalFiles | None
    max_length: int
    epochs: int
    heads: float
    neurons: float


# The labels of the GLUE test splits are hidden, so the reported numbers are for the public validation split.
TASKS: dict[str, Task] = {
    "sst2": Task(
        name="sst2",
        description="SST-2: sentiment of phrases from movie reviews",
        text_column="sentence",
        pair_column=None,
        label_names=("negative", "positive"),
        hub=HubSource("nyu-mll/glue", "sst2", train="train", test="validation"),
        local=LocalFiles(train=("sst2/train.parquet",), test=("sst2/validation.parquet",)),
        max_length=128,
        epochs=10,
        heads=1 / 6,
        neurons=0.3,
    ),
    "imdb": Task(
        name="imdb",
        description="IMDB: sentiment of whole movie reviews",
        text_column="text",
        pair_column=None,
        label_names=("negative", "positive"),
        hub=HubSource("stanfordnlp/imdb", None, train="train", test="test"),
        local=LocalFiles(train=("imdb/train.parquet",), test=("imdb/test.parquet",)),
        max_length=256,
        epochs=10,
        heads=1 / 6,
        neurons=0.4,
    ),
    "ag_news": Task(
        name="ag_news",
        description="AG News: topic of a news item",
        text_column="text",
        pair_column=None,
        label_names=("World", "Sports", "Business", "Sci/Tech"),
        hub=HubSource("fancyzhx/ag_news", None, train="train", test="test"),
        local=LocalFiles(
            train=("ag_news/train.parquet", "ag_news/train_subset.parquet"),
            test=("ag_news/test.parquet",),
        ),
        max_length=256,
        epochs=10,
        heads=1 / 6,
        neurons=0.2,
    ),
    "qnli": Task(
        name="qnli",
        description="QNLI: whether a sentence answers a question",
        text_column="question",
        pair_column="sentence",
        label_names=("entailment", "not_entailment"),
        hub=HubSource("nyu-mll/glue", "qnli", train="train", test="validation"),
        local=LocalFiles(
            train=("qnli/train.parquet", "qnli/train_subset.parquet"),
            test=("qnli/validation.parquet",),
        ),
        max_length=128,
        epochs=10,
        heads=1 / 6,
        neurons=0.3,
    ),
    "qqp": Task(
        name="qqp",
        description="QQP: whether two questions have the same meaning",
        text_column="question1",
        pair_column="question2",
        label_names=("not_duplicate", "duplicate"),
        hub=HubSource("nyu-mll/glue", "qqp", train="train", test="validation"),
        local=LocalFiles(
            train=("qqp/train.parquet", "qqp/train_subset.parquet"),
            test=("qqp/validation.parquet", "qqp/validation_subset.parquet"),
            csv_quoted=True,
        ),
        max_length=128,
        epochs=10,
        heads=1 / 6,
        neurons=0.3,
    ),
    "builtin": Task(
        name="builtin",
        description="Small generated sentiment corpus, for trying things out without any download",
        text_column="text",
        pair_column=None,
        label_names=("negative", "positive"),
        hub=None,
        local=None,
        max_length=64,
        epochs=1,
        heads=1 / 6,
        neurons=0.3,
    ),
}
