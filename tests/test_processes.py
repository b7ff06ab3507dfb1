"""Jobs shared by processes: they come to the same as one process, and go on with as many as there are."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import call, write_reviews
from killed import BLANK_PICTURES

from earlyrobust import Ticket
from earlyrobust.evaluation.sharing import put_together
from earlyrobust.journal import AttackedExample, Journal, part_of, read_journal
from earlyrobust.results import RunRecord

PROGRAM = f"""{BLANK_PICTURES}
from earlyrobust.pipeline import checkpointing, precision
precision.time_in_bf16 = lambda: 1.0  # or else the machine would choose the precision
checkpointing.SECONDS_BETWEEN_CHECKPOINTS = 0.1
checkpointing.STEPS_BETWEEN_LOGS = 2
from earlyrobust.cli import main
main()
"""


def launch(
    arguments: list[object], processes: int, folder: Path, by: str = "torchrun", program: str = PROGRAM
) -> subprocess.Popen[str]:
    """Start the command line, or another program, in some processes, which say what they say into a file."""
    script = folder / "program.py"
    script.write_text(program, encoding="utf-8")
    launchers = {
        "torchrun": ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)],
        # On CPUs accelerate has MPI start them, unless it is told that there are GPUs.
        "accelerate": ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", str(processes)],
    }
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    with (folder / "said.txt").open("w", encoding="utf-8") as said:
        return subprocess.Popen(
            [sys.executable, *(launchers[by] if processes > 1 else []), str(script), *map(str, arguments)],
            stdout=said,
            stderr=said,
            text=True,
            env=environment,
        )


def said_in(folder: Path) -> str:
    return (folder / "said.txt").read_text(encoding="utf-8")


def end(process: subprocess.Popen[str], folder: Path) -> str:
    """Wait for a command that ends well."""
    assert process.wait(timeout=300) == 0, said_in(folder)
    return said_in(folder)


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory, calm: Path) -> Callable[[Path], list[object]]:
    """A run whose rows fill its batches and whose perturbations start at zero."""
    data = write_reviews(tmp_path_factory.mktemp("data") / "reviews.csv", 160)
    training = ("--train-samples", 128, "--epochs", 2, "--batch-size", 8, "--learning-rate", 1e-3)
    search = ("--search-adversary", "freelb,steps=2,initial_magnitude=0", "--gamma", 0)
    length = ("--miniepoch", 0.1, "--miniepoch-min-steps", 2)
    attack = ("--attack", "textbugger", "--examples", 12)
    options = ("--model", calm, "--train-file", data, *training, *search, *length, *attack)
    return lambda output: ["run", *options, "--output", output]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, command: Callable[[Path], list[object]]) -> Path:
    """The run in one process."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    assert call(*command(folder)).code == 0
    return folder


def assert_same(folder: Path, other: Path) -> None:
    """The same masks all along, the same accuracies, and each example attacked once and alike."""
    ticket, expected = (Ticket.from_pretrained(place / "ticket") for place in (folder, other))
    assert np.array_equal(ticket.heads, expected.heads)
    assert np.array_equal(ticket.neurons, expected.neurons)
    assert ticket.trace is not None
    assert expected.trace is not None
    assert ticket.trace.miniepochs == expected.trace.miniepochs
    assert np.array_equal(ticket.trace.neuron_masks, expected.trace.neuron_masks)
    record, right = RunRecord.load(folder), RunRecord.load(other)
    for model, twin in ((record.model, right.model), (record.dense, right.dense)):
        assert model is not None
        assert twin is not None
        assert (model.test, model.selection) == (twin.test, twin.selection)
        for name, attack in model.attacks.items():
            assert attack.under_attack == twin.attacks[name].under_attack
    for journal in (folder / "attacks").glob("*.jsonl"):
        found, meant = (read_journal(place / "attacks" / journal.name)[1] for place in (folder, other))
        assert [(item.index, item.status) for item in found] == [(item.index, item.status) for item in meant]
    names = [{path.name for path in place.rglob("*") if path.is_file()} for place in (folder, other)]
    assert names[0] == names[1]


@pytest.mark.slow
def test_two_processes_come_to_the_masks_and_accuracies_of_one(
    command: Callable[[Path], list[object]], alone: Path, tmp_path: Path
) -> None:
    said = end(launch(command(tmp_path / "run"), 2, tmp_path), tmp_path)
    assert_same(tmp_path / "run", alone)
    assert said.count("The classifier is in") == 1  # one of them speaks


@pytest.mark.slow
def test_batches_in_parts_and_accelerate_launch_come_to_the_same(
    command: Callable[[Path], list[object]], alone: Path, tmp_path: Path
) -> None:
    saving = ("--gradient-accumulation", 2, "--gradient-checkpointing")
    said = end(launch([*command(tmp_path / "run"), *saving], 2, tmp_path, by="accelerate"), tmp_path)
    assert_same(tmp_path / "run", alone)
    assert said.count("The classifier is in") == 1


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("ACCELERATE_USE_FSDP", "true", "FSDP"),
        ("ACCELERATE_USE_DEEPSPEED", "true", "DeepSpeed"),
        ("ACCELERATE_MIXED_PRECISION", "bf16", "--bf16"),
        ("ACCELERATE_DYNAMO_BACKEND", "INDUCTOR", "compilation"),
    ],
)
def test_a_launch_for_another_kind_of_training_is_refused(
    variable: str, value: str, says: str, calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    outcome = call("run", "--model", calm, "--output", tmp_path / "out")
    assert outcome.code == 2
    assert says in outcome.err
    assert variable in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_a_job_that_loses_a_process_says_so_and_goes_on_with_another_number(
    before: int, after: int, command: Callable[[Path], list[object]], alone: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    process = launch(command(folder), before, tmp_path)
    while not list(folder.glob("checkpoints/ticket/*/elapsed.json")):
        assert process.poll() is None, said_in(tmp_path)
        time.sleep(0.02)
    os.kill(process.pid if before == 1 else last_of(process.pid), signal.SIGKILL)
    assert process.wait(timeout=120) != 0
    if before > 1:
        assert "Error: Another process of this job has ended" in said_in(tmp_path)
        assert "run the same command again to continue" in said_in(tmp_path)
    said = end(launch(command(folder), after, tmp_path), tmp_path)
    assert "finished before" in said
    assert_same(folder, alone)


def last_of(launcher: int) -> int:
    """The last of the processes that a launcher has started."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        status = place / "status"
        if status.exists() and f"PPid:\t{launcher}\n" in status.read_text():
            variables = (place / "environ").read_bytes().split(b"\0")
            found += [(int(value[5:]), int(place.name)) for value in variables if value.startswith(b"RANK=")]
    return max(found)[1]


@pytest.mark.slow
def test_what_the_user_got_wrong_is_said_once(calm: Path, tmp_path: Path) -> None:
    data = write_reviews(tmp_path / "reviews.csv", 60)
    for arguments, sentence in (
        (["--train-file", data, "--text-column", "txt"], "has no column 'txt'"),
        (
            ["--train-file", data, "--batch-size", 7],
            "A --batch-size of 7 cannot be divided into 2 equal parts",
        ),
    ):
        process = launch(["search", "--model", calm, "--output", tmp_path / "out", *arguments], 2, tmp_path)
        assert process.wait(timeout=120) != 0
        assert len(re.findall(f"Error: .*{sentence}", said_in(tmp_path))) == 1, said_in(tmp_path)
        assert not (tmp_path / "out").exists()


SHARED = """
import sys, time
import torch.distributed
from pathlib import Path
from earlyrobust import processes
from earlyrobust.errors import DataError
from earlyrobust.evaluation.sharing import own_journal, put_together
from earlyrobust.journal import AttackedExample, Journal

journal, header = Path(sys.argv[1]), {"attack": "any"}
done = {example.index for example in put_together(journal, header)}
assert done == {0, 1}, done
own = [index for index in range(60) if index % 2 == processes.rank() and index not in done]
if processes.rank():
    time.sleep(0.5)  # the first has begun its new part, and is done long before this one
with Journal(own_journal(journal), header) as book:
    for index in own:
        time.sleep(0.02 * processes.rank())
        book.add(AttackedExample(index, 0, ("a",), "failed", 3, ("a",), 1, 0, 0, 0.9, 0.9, None))
assert sorted(example.index for example in put_together(journal, header)) == list(range(60))
try:
    with processes.agreed():
        if processes.rank():
            raise DataError("a row is odd")
except DataError as error:
    (journal.parent / f"told{processes.rank()}.txt").write_text(str(error))
torch.distributed.destroy_process_group()  # PyTorch may abort the program at exit otherwise
"""


@pytest.mark.slow
def test_a_process_that_is_done_before_another_takes_nothing_from_it(tmp_path: Path) -> None:
    journal, header = tmp_path / "attack.jsonl", {"attack": "any"}
    for rank in range(2):  # left by killed processes
        with Journal(part_of(journal, rank), header) as book:
            book.add(AttackedExample(rank, 0, ("a",), "failed", 3, ("a",), 1, 0, 0, 0.9, 0.9, None))
    end(launch([journal], 2, tmp_path, program=SHARED), tmp_path)
    assert [example.index for example in read_journal(journal)[1]] == list(range(60))
    assert [(tmp_path / f"told{rank}.txt").read_text() for rank in range(2)] == ["a row is odd"] * 2


def test_parts_of_a_journal_that_killed_processes_left_go_into_it_once(tmp_path: Path) -> None:
    header = {"attack": "any"}
    examples = [
        AttackedExample(index, 0, ("a",), "failed", 3, ("a",), 1, 0, 0, 0.9, 0.9, None) for index in range(4)
    ]
    journal = tmp_path / "attack.jsonl"
    for path, indices in ((journal, [0]), (part_of(journal, 0), [1, 0]), (part_of(journal, 1), [2])):
        with Journal(path, header) as book:
            for index in indices:
                book.add(examples[index])
    with part_of(journal, 1).open("ab") as file:
        file.write(b'{"index": 3, "label"')
    done = put_together(journal, header)
    assert sorted(example.index for example in done) == [0, 1, 2]
    assert read_journal(journal)[1] == examples[:3]
    assert [path.name for path in tmp_path.iterdir()] == ["attack.jsonl"]


@pytest.mark.parametrize("name", ["compare", "export", "benchmark"])
def test_what_several_processes_cannot_share_is_refused(
    name: str, calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    own = {"compare": ["--methods", "finetune"], "export": [calm, "--to", "dense"], "benchmark": [calm]}
    output = [] if name == "benchmark" else ["--output", tmp_path / "out"]
    outcome = call(name, *own[name], *output)
    assert outcome.code == 2
    assert "works in one process" in outcome.err
    assert not (tmp_path / "out").exists()
