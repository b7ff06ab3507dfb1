"""A benchmark in tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator

from earlyrobust.reports.tables import Cell, Table
from earlyrobust.results import HEADS_ONLY_FORM, BenchmarkRecord

# A difference below this share is no gain that a user would see.
_NO_GAIN = 1.05


def benchmark_tables(record: BenchmarkRecord) -> Iterator[Table]:
    """Latency, throughput, and what each contender takes up."""
    names = [contender.name for contender in record.contenders]
    by_size = list(zip(*(contender.latencies for contender in record.contenders), strict=True))
    latency: list[list[Cell]] = []
    throughput: list[list[Cell]] = []
    for row in by_size:
        size = f"{row[0].batch_size} × {row[0].tokens}"
        latency.append([size, *(f"{1000 * one.p50:,.1f} ({1000 * one.p95:,.1f})" for one in row)])
        gains = (f"{one.throughput:,.0f} ({row[0].p50 / one.p50:.2f})" for one in row)
        throughput.append([size, *gains])
    yield Table("Milliseconds of a pass: median (95th percentile)", ["texts × tokens", *names], latency)
    first = f"Texts per second (relative to {names[0]})"
    yield Table(first, ["texts × tokens", *names], throughput)
    rows: list[list[Cell]] = [
        [
            contender.name,
            f"{contender.bytes / 1e6:,.1f} MB",
            "–" if contender.memory is None else f"{contender.memory / 1e6:,.0f} MB",
            f"{record.speed_up(contender):.2f}",
        ]
        for contender in record.contenders
    ]
    note = (
        "Memory: what a process grows by that loads it and runs the largest batch. Speed: geometric mean "
        "over batches and lengths."
    )
    yield Table("What it takes up", ["", "file", "memory", f"speed relative to {names[0]}"], rows, note)


def benchmark_verdicts(record: BenchmarkRecord) -> Iterator[str]:
    """What the numbers come to, in sentences."""
    names = [contender.name for contender in record.contenders]
    devices = dict.fromkeys(contender.device for contender in record.contenders if contender.device)
    if len(devices) > 1:
        on_each = (
            ", ".join(contender.name for contender in record.contenders if contender.device == device)
            + f" on {device}"
            for device in devices
        )
        yield f"Not all ran on the same device: {'; '.join(on_each)}."
    for contender in record.contenders:
        if contender.name.endswith(HEADS_ONLY_FORM):
            gain = record.speed_up(contender)
            if gain < _NO_GAIN:
                yield (
                    f"Cutting heads alone gives nothing here: {gain:.2f} times the speed of {names[0]}; "
                    "what is gained comes from the neurons."
                )
            else:
                yield f"Cutting heads alone gives {gain:.2f} times the speed of {names[0]}."
