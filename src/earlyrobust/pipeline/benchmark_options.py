"""The options of a benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from earlyrobust.pipeline.options import Numbers, Options


def _some(numbers: tuple[int, ...]) -> tuple[int, ...]:
    if not numbers or min(numbers) < 1:
        raise ValueError("there must be one or more numbers, all of them at least 1")
    return numbers


LENGTHS = (16, 32, 64, 128, 256)
Counts = Annotated[Numbers, AfterValidator(_some)]


class BenchmarkConfig(Options):
    """Options of `earlyrobust benchmark`.

    Attributes:
        batches: Batch sizes; in one string they are separated by commas.
        lengths: Lengths of the texts in tokens, the same; None for those of `LENGTHS` that the models read.
        seconds: How long each batch size and length is timed, all models together.
        output: Folder of the record; None for none.
    """

    batches: Counts = (1, 8, 32)
    lengths: Counts | None = None
    seconds: Annotated[float, Field(gt=0, le=3600)] = 10.0
    output: Path | None = None
