"""Defines the options of the data of a run."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from earlyrobust.data.textformat import TextFormat, parse_delimiter, parse_encoding
from earlyrobust.options.base import PAPER, AtLeastOne, Options, option
from earlyrobust.options.places import FilePath

Delimiter = Annotated[str, AfterValidator(parse_delimiter)]
Encoding = Annotated[str, AfterValidator(parse_encoding)]


class DataOptions(Options):
    """Options of the texts and labels on which a run trains, selects and tests."""

    task: str | None = option(None, "A task: see `earlyrobust list tasks`.", "Data", shown="builtin")
    data_dir: FilePath | None = option(
        None, "Folder of Parquet files to read the task from.", "Data", shown="the Hugging Face hub"
    )
    train_samples: AtLeastOne | None = option(
        None, "Number of training examples to draw; they keep the shares of the classes.", "Data", shown="all"
    )
    test_samples: AtLeastOne | None = option(
        None, "Number of test examples to draw; they keep the shares of the classes.", "Data", shown="all"
    )
    train_file: FilePath | None = option(
        None, "Your own training data instead of a task: CSV, TSV, JSONL or Parquet.", "Data"
    )
    test_file: FilePath | None = option(
        None,
        "Your own test data, with the same columns.",
        "Data",
        shown="10 % of the training file, at most 2,000 rows",
    )
    text_column: str = option("text", "Column of the text, or of the first text of a pair.", "Data")
    pair_column: str | None = option(None, "Column of the second text of a pair.", "Data")
    label_column: str = option("label", "Column of the label, a number or a word.", "Data")
    quotes: bool | None = option(
        None,
        "Whether a quote at the start of a field of your CSV or TSV opens a quoted field; with --no-quotes "
        "all quotes are text.",
        "Data",
        shown="yes; in TSV if the quotes close before the tab",
    )
    delimiter: Delimiter | None = option(
        None, "Character between the fields, such as ';' or 'tab'.", "Data", shown="by the name of the file"
    )
    encoding: Encoding | None = option(
        None, "Encoding of your CSV, TSV or JSONL, such as cp1252.", "Data", shown="UTF-8"
    )
    max_length: Annotated[int, Field(ge=8)] | None = option(
        None,
        "Maximum number of tokens of a text; the model does not read the rest.",
        "Data",
        shown="by task",
        source=PAPER,
    )

    @property
    def text_format(self) -> TextFormat:
        """The layout of the user's text files."""
        return TextFormat(self.quotes, self.delimiter, self.encoding)
