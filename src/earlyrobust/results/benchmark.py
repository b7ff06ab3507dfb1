"""The record of a benchmark: what answers of several classifiers take on a machine."""

from __future__ import annotations

import dataclasses
import math
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from earlyrobust.results.records import SCHEMA_VERSION, EnvironmentRecord, read_record
from earlyrobust.storage import write_json

BENCHMARK_NAME = "benchmark.json"
# Forms of a cut model that are timed beside it: the dense one, and one whose neurons all stay.
DENSE_FORM, HEADS_ONLY_FORM = "dense", "heads cut only"
# The name of a cut model itself, and the forms of any model in ONNX.
TICKET_FORM, ONNX_FORMS = "ticket", ("onnx", "onnx-int8")


@dataclass(frozen=True)
class LatencyRecord:
    """Passes of a classifier on batches of one size.

    Attributes:
        batch_size: Texts in a batch.
        tokens: Length of each text.
        passes: Passes that were timed.
        p50: Median seconds of a pass.
        p95: Seconds that 95 % of the passes took at most.
    """

    batch_size: int
    tokens: int
    passes: int
    p50: float
    p95: float

    @property
    def throughput(self) -> float:
        """Texts per second, by the median."""
        return self.batch_size / self.p50


@dataclass(frozen=True)
class ContenderRecord:
    """A classifier in a form that it can be run in.

    Attributes:
        name: What it is.
        bytes: Size of the file that holds its weights.
        memory: Bytes by which a process grows that loads it and runs the largest batch; None if unknown.
        latencies: One entry for each batch size and length.
        device: The kind of device that it ran on, such as `cuda`; None in older records.
    """

    name: str
    bytes: int
    memory: int | None
    latencies: list[LatencyRecord]
    device: str | None = None


@dataclass(frozen=True)
class BenchmarkRecord:
    """Classifiers whose passes were timed in turns on one machine.

    Attributes:
        contenders: The classifiers; the others are set against the first.
        environment: Where they were timed.
        schema_version: Version of this layout.
    """

    contenders: list[ContenderRecord]
    environment: EnvironmentRecord
    schema_version: int = field(default=SCHEMA_VERSION)

    def speed_up(self, contender: ContenderRecord) -> float:
        """How many times as fast as the first a contender is: geometric mean over batches and lengths."""
        pairs = zip(self.contenders[0].latencies, contender.latencies, strict=True)
        return math.exp(statistics.fmean(math.log(first.p50 / own.p50) for first, own in pairs))

    def save(self, folder: Path) -> None:
        """Write the record into a folder as `benchmark.json`."""
        write_json(folder / BENCHMARK_NAME, dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: Path) -> BenchmarkRecord:
        """Read the record of a benchmark.

        Raises:
            OutputError: If there is none, it is damaged, or it was written by a newer version.
        """
        return read_record(folder / BENCHMARK_NAME, cls, f"There is no benchmark in '{folder}'.")
