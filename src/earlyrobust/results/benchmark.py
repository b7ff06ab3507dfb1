"""The record of a benchmark: time, memory and file size of several classifiers on one machine."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from earlyrobust.errors import OutputError
from earlyrobust.results.records import SCHEMA_VERSION, EnvironmentRecord, SavedRecord
from earlyrobust.storage import check_can_be_made, content_of

BENCHMARK_NAME = "benchmark.json"
# Two models that are timed beside a cut model: the dense model, and the model with only its heads cut.
DENSE_FORM, HEADS_ONLY_FORM = "dense", "heads cut only"
# The name of the cut model, and the ONNX forms that every model may have.
TICKET_FORM, ONNX_FORMS = "ticket", ("onnx", "onnx-int8")


@dataclass(frozen=True)
class LatencyRecord:
    """The times of a classifier's forward passes on batches of one size.

    Attributes:
        batch_size: Number of texts in a batch.
        tokens: Length of each text in tokens.
        passes: Number of timed passes.
        p50: Median time of a pass, in seconds.
        p95: 95th percentile of the time of a pass, in seconds.
    """

    batch_size: int
    tokens: int
    passes: int
    p50: float
    p95: float

    @property
    def throughput(self) -> float:
        """Texts per second at the median time."""
        return self.batch_size / self.p50


@dataclass(frozen=True)
class ContenderRecord:
    """One classifier of a benchmark, in one form, such as ONNX.

    Attributes:
        name: Name of the classifier and its form.
        bytes: Size of the file of weights, in bytes.
        memory: Growth of a process that loads the classifier and runs the largest batch, in bytes; None if it
            is not known.
        latencies: One entry for each batch size and length.
        device: Type of the device, such as `cuda`; None in older records.
    """

    name: str
    bytes: int
    memory: int | None
    latencies: list[LatencyRecord]
    device: str | None = None


@dataclass(frozen=True)
class BenchmarkRecord(SavedRecord):
    """The results of a benchmark, which times its classifiers in turns on one machine.

    Attributes:
        contenders: The classifiers; the others are compared with the first.
        environment: Hardware and software of the benchmark.
        schema_version: Version of this layout.
    """

    FILE: ClassVar[str] = BENCHMARK_NAME
    MISSING: ClassVar[str] = "There is no benchmark in '{folder}'."

    contenders: list[ContenderRecord]
    environment: EnvironmentRecord
    schema_version: int = field(default=SCHEMA_VERSION)

    @classmethod
    def check_folder(cls, folder: Path) -> None:
        """Check that a record can be written into a folder without loss of other results.

        Args:
            folder: The folder; it need not exist.

        Raises:
            OutputError: If the folder cannot be written to, or holds other files or a benchmark. Times cannot
                be measured again in the same way, so no benchmark replaces another one.
        """
        check_can_be_made(folder)
        if (folder / BENCHMARK_NAME).exists():
            raise OutputError(f"'{folder}' holds a benchmark already: choose another --output, or empty it.")
        if content_of(folder):
            raise OutputError(f"'{folder}' holds other files: choose another --output, or empty it.")

    def speed_up(self, contender: ContenderRecord) -> float:
        """Return the speed of a classifier relative to the first: geometric mean over batches and lengths."""
        pairs = zip(self.contenders[0].latencies, contender.latencies, strict=True)
        return math.exp(statistics.fmean(math.log(first.p50 / own.p50) for first, own in pairs))
