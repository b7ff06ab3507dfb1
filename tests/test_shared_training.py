"""Every adversary and every search in two processes: what comes of it is what one process comes to."""

import json
import multiprocessing
import socket

import pytest
import two_processes
from safetensors.torch import load_file
from torch.multiprocessing import start_processes
from torch.testing import assert_close
from two_processes import ALONE, CASES, STEPS

# A search draws a mask after each of its steps here, and the ticket; what a mask is drawn of all are told.
DRAWS = {"earlyrobust": STEPS + 1, "earlybert": STEPS + 1}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """What two processes came to, started once for all cases."""
    folder = tmp_path_factory.mktemp("shared")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    multiprocessing.set_forkserver_preload(["earlyrobust.search"])  # imported once, for both
    start_processes(two_processes.work, args=(folder, port), nprocs=2, start_method="forkserver")
    return folder


@pytest.mark.parametrize("case", CASES)
def test_two_processes_come_to_what_one_comes_to(shared, tmp_path, case):
    with two_processes.without_chance():
        alone, _ = two_processes.train(case, tmp_path, parts=2)
    first, second = (load_file(shared / f"{case}-{rank}.safetensors") for rank in range(2))
    assert first.keys() == second.keys()
    assert alone.keys() <= first.keys()
    for name, values in first.items():
        assert_close(values, second[name], rtol=0, atol=0)
        # Where no batch had a use for what is trained beside the model, one process computes no gradient.
        assert_close(values, alone[name] if name in alone else values * 0, rtol=1e-9, atol=1e-12)
    assert case in ALONE or alone.keys() == first.keys()


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_exchanged_once_a_step_and_little_else(shared, case):
    counts = json.loads((shared / "counts-0.json").read_text())[case]
    assert counts["gradients"] == STEPS
    # Those of the gradients, whether a loss is not finite, and the size of what FAT remembers.
    assert counts["all_reduce"] == (3 if case == "fat" else 2) * STEPS
    assert counts["_broadcast_coalesced"] == 1 + STEPS  # the weights at first, and the buffers of each step
    # The mean loss at the end; for each mask whether one of them failed, and the coefficients of the first;
    # for each step what noise has observed, or FAT remembers: how many rows each process has, and the rows.
    gains = 3 * STEPS if case in ("noise", "fat") else 0
    assert counts["all_gather"] == 1 + 4 * DRAWS.get(case, 0) + gains
