"""Free memory returns to the system during attacks, and stays for the next step during training."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

from earlyrobust import heap
from earlyrobust.attacks import server as server_module
from earlyrobust.attacks.asks import Ask, Encoded
from earlyrobust.attacks.server import Server

PIECES, SIZE = 4_000, 50_000  # of which glibc maps none on its own

only_glibc = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="not glibc"
)


@only_glibc
def test_what_is_free_between_arrays_in_use_is_given_back() -> None:
    process = psutil.Process()
    pieces = [np.ones(SIZE, np.uint8) for _ in range(PIECES)]
    del pieces[::2]
    before = process.memory_info().rss
    heap.give_back()
    assert before - process.memory_info().rss > PIECES * SIZE / 4  # of half that is free
    assert all(piece.all() for piece in pieces)


FAULTS = """
import resource
import numpy as np
from earlyrobust.heap import freed_memory_kept

def faults(arrays):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(arrays):
        np.ones(2**24, np.float32)  # 64 MB, above the largest size that glibc keeps by itself
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults(1)
outside = faults(5)
with freed_memory_kept():
    faults(1)
    inside = faults(5)
print(outside, inside, faults(5))
"""


def count_faults(**variables: str) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS],
        capture_output=True,
        text=True,
        check=True,
        env={**{name: value for name, value in os.environ.items() if "MALLOC" not in name}, **variables},
    )
    return [int(number) for number in done.stdout.split()]


@only_glibc
def test_a_training_reuses_the_memory_of_large_arrays() -> None:
    outside, inside, afterwards = count_faults()
    assert inside < outside / 10
    assert afterwards > outside / 2


@only_glibc
def test_the_settings_of_the_user_stand() -> None:
    outside, inside, _ = count_faults(MALLOC_MMAP_THRESHOLD_="1000000", MALLOC_TRIM_THRESHOLD_="1000000")
    assert inside > outside / 2


class Echo:
    """A model that answers with what it is asked."""

    max_length, most_tokens, counts_rows = 8, None, False

    def encode(self, inputs: Sequence[str]) -> list[Encoded]:
        return [Encoded(text.encode(), {"input_ids": [1]}) for text in inputs]

    def compute(self, batch: Sequence[Encoded], length: int) -> list[Any]:
        return [item.key.decode() for item in batch]


def test_answering_gives_back_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, given_back = SimpleNamespace(now=100.0), []
    monkeypatch.setattr(server_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(server_module, "give_back", lambda: given_back.append(clock.now))
    server, model = Server(), Echo()
    for clock.now in (100.0, 100.1, 100.4, 100.7, 101.0, 101.3):
        assert server.answer([Ask(model, ["a", "b"])]) == [["a", "b"]]
    assert given_back == [100.0, 100.7, 101.3]
