"""Run records: JSON and back, intervals, and no PyTorch."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from earlyrobust.errors import OutputError
from earlyrobust.results import (
    SCHEMA_VERSION,
    Confusion,
    DataRecord,
    EnvironmentRecord,
    ModelRecord,
    RunRecord,
    SearchRecord,
    SpeedRecord,
    TicketRecord,
)
from earlyrobust.statistics.measures import Accuracy, wilson
from earlyrobust.tickets.ticket import Miniepoch, SearchTrace, Ticket


def a_ticket() -> Ticket:
    heads = np.array([[True, False, True], [True, True, True]])
    neurons = np.array([[True, False, False, True], [True, True, True, False]])
    other = heads.copy()
    other[1, 2] = False
    trace = SearchTrace(
        miniepochs=(Miniepoch(20, None, None, 0), Miniepoch(40, 1 / 6, 0.0, 1)),
        head_masks=np.stack([heads, other]),
        neuron_masks=np.stack([neurons, neurons]),
        stop_reason="limit",
        epochs=0.5,
        steps_per_miniepoch=20,
        steps_per_epoch=80,
    )
    return Ticket("bert", heads, neurons, trace=trace)


def a_record(ticket: Ticket | None = None, dense: bool = True) -> RunRecord:
    ticket = ticket or a_ticket()
    model = ModelRecord(Accuracy.of(8, 10), Accuracy.of(5, 10), 1_000, 700, 4_000)
    return RunRecord(
        method="earlyrobust",
        config={"model": "minilm", "seed": 3, "heads": 1 / 6, "output": "läufe/x"},
        data=DataRecord("reviews", "abc", {"train": 80, "selection": 10, "test": 10}, ["a", "b"]),
        environment=EnvironmentRecord({"python": "3"}, "Linux", "a processor", 2, "cpu"),
        seconds={"data": 0.1, "ticket": 1.5, "model": 2.0},
        ticket=TicketRecord.of(ticket),
        search=SearchRecord.of(ticket),
        ticket_origin={"task": "reviews"},
        model=model,
        dense=model if dense else None,
        speed=SpeedRecord(0.8, 0.75, 32, 40) if dense else None,
    )


@pytest.mark.parametrize("dense", [True, False])
def test_a_record_survives_json(tmp_path: Path, dense: bool) -> None:
    record = a_record(dense=dense)
    record.save(tmp_path)
    assert RunRecord.load(tmp_path) == record
    content = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert content == json.loads(json.dumps(dataclasses.asdict(record)))
    assert content["schema_version"] == SCHEMA_VERSION


def test_a_record_of_a_real_run_is_its_file(finished: tuple[Path, object]) -> None:
    folder, _ = finished
    content = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(dataclasses.asdict(RunRecord.load(folder)))) == content


def test_what_a_record_says_of_a_ticket() -> None:
    record = a_record()
    assert record.ticket == TicketRecord(3, 4, [2, 3], [2, 3])
    assert record.ticket.heads_kept == (5, 6)
    assert record.ticket.neurons_kept == (5, 8)
    assert record.search is not None
    assert record.search.head_distances == [[0, 1 / 6], [1 / 6, 0]]
    assert record.search.neuron_distances == [[0, 0], [0, 0]]
    assert SearchRecord.of(dataclasses.replace(a_ticket(), trace=None)) is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "missing"),
        ('{"schema_version": 99}', "newer"),
        ("{", "damaged"),
        ("[" * 100_000, "damaged"),
        ("[]", "damaged"),
        ("{}", "damaged"),
        ('{"schema_version": 1}', "damaged"),
        ('{"schema_version": "one"}', "damaged"),
    ],
)
def test_records_that_cannot_be_read(tmp_path: Path, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / "result.json").write_text(content, encoding="utf-8")
    with pytest.raises(OutputError) as error:
        RunRecord.load(tmp_path)
    assert says in str(error.value)
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("content", [b"\xff\xfe", b'{"schema_version": 1, "method": 3}'])
def test_bytes_that_are_no_record(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(OutputError, match="damaged"):
        RunRecord.load(tmp_path)


def wilson_of(correct: float, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, written out."""
    z, share = 1.959963984540054, correct / total
    centre = share + z**2 / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    return (centre - spread) / (1 + z**2 / total), (centre + spread) / (1 + z**2 / total)


@pytest.mark.parametrize(("correct", "total"), [(0, 10), (10, 10), (1, 3), (435, 872), (19_999, 20_000)])
def test_wilson_interval_is_the_formula(correct: int, total: int) -> None:
    accuracy = Accuracy.of(correct, total)
    assert (accuracy.low, accuracy.high) == pytest.approx(wilson_of(correct, total), abs=1e-12)
    assert accuracy.value == correct / total
    low, high = wilson(accuracy.value, total)
    assert (low, high) == pytest.approx(wilson_of(correct, total), abs=1e-12)
    assert low <= accuracy.value <= high


def test_wilson_interval_of_a_textbook() -> None:
    accuracy = Accuracy.of(8, 10)
    assert (round(accuracy.low, 4), round(accuracy.high, 4)) == (0.4902, 0.9433)


@pytest.mark.parametrize("module", ["results", "reports.plots", "data.tasks", "tickets"])
def test_records_and_pictures_need_no_pytorch(module: str) -> None:
    heavy = "{'torch', 'transformers', 'datasets'}"
    code = f"import sys, earlyrobust.{module}\nassert not {heavy} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("correct", "largest", "guess"),
    [
        (50, 0.5, True),
        (58, 0.5, True),  # of 100: its interval still holds a half
        (65, 0.5, False),
        (90, 0.9, True),  # where nine of ten texts are of one class
        (90, 0.7, False),
        (50, None, True),  # the record of an older version: two classes
        (65, None, False),
    ],
)
def test_a_guess_is_as_good_as_the_largest_class(correct: int, largest: float | None, guess: bool) -> None:
    record = a_record()
    record = dataclasses.replace(
        record,
        data=dataclasses.replace(record.data, largest_class=largest),
        model=dataclasses.replace(record.model, test=Accuracy.of(correct, 100)),
    )
    assert record.is_guess is guess


def test_a_model_that_finds_the_rare_class_is_no_guess() -> None:
    """Class weights cost accuracy: here it is below that of always naming the largest class."""
    record = a_record()
    data = dataclasses.replace(record.data, largest_class=248 / 300)

    def judged(*counts: list[int]) -> RunRecord:
        right = counts[0][0] + counts[1][1]
        model = dataclasses.replace(
            record.model, test=Accuracy.of(right, 300), confusion=Confusion(list(counts))
        )
        return dataclasses.replace(record, data=data, model=model)

    assert not judged([194, 54], [9, 43]).is_guess
    assert judged([194, 54], [40, 12]).is_guess
    assert judged([248, 0], [52, 0]).is_guess
