"""Defines the options of a benchmark."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from earlyrobust.options.base import Numbers, Options, option
from earlyrobust.options.places import FilePath


def _some(numbers: tuple[int, ...]) -> tuple[int, ...]:
    if not numbers or min(numbers) < 1:
        raise ValueError("there must be one or more numbers, all of them at least 1")
    return numbers


LENGTHS = (16, 32, 64, 128, 256)
Counts = Annotated[Numbers, AfterValidator(_some)]


class BenchmarkConfig(Options):
    """Options of `earlyrobust benchmark`."""

    batches: Counts = option((1, 8, 32), "Batch sizes, separated by commas.", "Run")
    lengths: Counts | None = option(
        None, "Lengths of texts in tokens, separated by commas.", "Run", shown="16 to 256, by model"
    )
    seconds: Annotated[float, Field(gt=0, le=3600)] = option(
        10.0, "Seconds for each pair of a batch size and a length, shared by all models.", "Run"
    )
    output: FilePath | None = option(None, "Folder to write the record to.", "Run", shown="no record")
