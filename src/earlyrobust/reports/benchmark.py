"""Shows a benchmark as tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from earlyrobust.reports.tables import Cell, Table
from earlyrobust.results import (
    DENSE_FORM,
    HEADS_ONLY_FORM,
    ONNX_FORMS,
    TICKET_FORM,
    BenchmarkRecord,
    ContenderRecord,
)

# Users would not notice a smaller speed-up.
_NO_GAIN = 1.05


def benchmark_tables(record: BenchmarkRecord) -> Iterator[Table]:
    """Yield the tables of a benchmark: latency, throughput, and size of each classifier."""
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
        "Memory: growth of a process that loads the classifier and runs the largest batch. Speed: geometric "
        "mean over batches and lengths."
    )
    yield Table("Size and speed", ["", "file", "memory", f"speed relative to {names[0]}"], rows, note)


def benchmark_verdicts(record: BenchmarkRecord) -> Iterator[str]:
    """Yield sentences that sum up a benchmark."""
    forms = {contender.name: contender for contender in record.contenders}
    devices = dict.fromkeys(contender.device for contender in record.contenders if contender.device)
    if len(devices) > 1:
        on_each = (
            ", ".join(contender.name for contender in record.contenders if contender.device == device)
            + f" on {device}"
            for device in devices
        )
        yield f"The classifiers did not all run on the same device: {'; '.join(on_each)}."
    for contender in record.contenders:
        if contender.name.endswith(HEADS_ONLY_FORM):
            prefix = contender.name.removesuffix(HEADS_ONLY_FORM)
            dense = forms[prefix + DENSE_FORM]
            gain = record.speed_up(contender) / record.speed_up(dense)
            if gain < _NO_GAIN:
                yield (
                    f"Cutting heads alone gives no speed-up here: {gain:.2f} times the speed of "
                    f"{dense.name}. Any speed-up comes from the cut neurons."
                )
            else:
                yield f"Cutting heads alone gives {gain:.2f} times the speed of {dense.name}."
    yield from _against_rivals(record)


def _against_rivals(record: BenchmarkRecord) -> Iterator[str]:
    """Compare a cut model with the dense model, in the same form and in the fastest form of each."""
    forms = {contender.name: contender for contender in record.contenders}
    for name in forms:
        prefix = name.removesuffix(TICKET_FORM)
        if prefix + DENSE_FORM not in forms or not name.endswith(TICKET_FORM):
            continue
        pairs = {"PyTorch": (forms[prefix + DENSE_FORM], forms[name])}
        for form in ONNX_FORMS:
            if (dense := forms.get(f"{prefix}{DENSE_FORM} {form}")) and (ticket := forms.get(prefix + form)):
                pairs[form] = dense, ticket
        told = (
            f"{record.speed_up(ticket) / record.speed_up(dense):.2f} in {form}"
            for form, (dense, ticket) in pairs.items()
        )
        of = f" of {prefix.removesuffix(': ')}" if prefix else ""
        yield f"Speed of the ticket{of}, relative to the dense model in the same form: {', '.join(told)}."
        yield _where_it_wins([dense for dense, _ in pairs.values()], [ticket for _, ticket in pairs.values()])


def _where_it_wins(dense: Sequence[ContenderRecord], tickets: Sequence[ContenderRecord]) -> str:
    """Return a sentence on the sizes at which the fastest form of a ticket beats all dense forms."""
    gains: dict[str, float] = {}
    for row in zip(*(one.latencies for one in (*dense, *tickets)), strict=True):
        rivals, own = row[: len(dense)], row[len(dense) :]
        gain = min(one.p50 for one in rivals) / min(one.p50 for one in own)
        gains[f"{row[0].batch_size} × {row[0].tokens} ({gain:.2f})"] = gain
    won = [size for size, gain in gains.items() if gain >= _NO_GAIN]
    forms = ", ".join(one.name for one in dense)
    if not won:
        return f"The ticket is nowhere faster than the fastest form of the dense model ({forms})."
    where = "all sizes" if len(won) == len(gains) else "some sizes"
    return (
        f"At {where} the fastest form of the ticket is faster than the fastest form of the dense model "
        f"({forms}); speed-up in brackets: {', '.join(won)}."
    )
