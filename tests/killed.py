"""A process that has everything imported, and runs the command line in forks of itself that can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

# Makes a program save blank pictures: drawing takes longer than a tiny run.
BLANK_PICTURES = """
from matplotlib.figure import Figure
blank, save = Figure(figsize=(1, 1)), Figure.savefig
Figure.savefig = lambda _, *places, **options: save(blank, *places, **options)
"""

# A fork starts at once and computes in a single thread; checkpoints come often enough to be gone on from.
PROGRAM = f"""{BLANK_PICTURES}
import gc, json, os, signal, subprocess, sys

import earlyrobust.cli.display, earlyrobust.experiments, earlyrobust.export, earlyrobust.pipeline
import earlyrobust.reports.examples, earlyrobust.reports.pages
import sentence_transformers
from earlyrobust.cli import main
from earlyrobust.pipeline import checkpointing, precision

precision.time_in_bf16 = lambda: 1.0  # or else the machine would choose the precision
checkpointing.SECONDS_BETWEEN_CHECKPOINTS = 0.1
checkpointing.STEPS_BETWEEN_LOGS = 2
gc.freeze()  # every training collects garbage: nothing that was imported is any
for line in sys.stdin:
    order = json.loads(line)
    if "shell" in order:
        print(subprocess.call(order["shell"], shell=True), flush=True)
        continue
    child = os.fork()
    if not child:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.argv = ["earlyrobust", *order["arguments"]]
        code = 1
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Ended(NamedTuple):
    """How a command ended: its exit code, negative if a signal ended it; what it said; how long it took."""

    code: int
    said: str
    seconds: float


class Forks:
    """Runs commands in forks, one at a time."""

    def __init__(self, server: subprocess.Popen[str], output: Path) -> None:
        self._server = server
        self._output = output

    def call(
        self,
        *arguments: object,
        after: float | None = None,
        once: Callable[[], bool] = lambda: True,
        by: int = signal.SIGKILL,
    ) -> Ended:
        """Run a command, and end it by a signal after some seconds, unless it has ended by then.

        Args:
            arguments: The command and its options.
            after: The seconds; None not to end it.
            once: What else must have come about.
            by: The signal.
        """
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        order = {"arguments": [str(argument) for argument in arguments], "output": str(self._output)}
        print(json.dumps(order), file=self._server.stdin, flush=True)
        child = int(self._server.stdout.readline())
        began = time.perf_counter()
        if after is not None:
            while Path("/proc", str(child)).exists() and not (time.perf_counter() - began > after and once()):
                time.sleep(0.002)
            with suppress(ProcessLookupError):  # it has ended by itself
                os.kill(child, by)
        code = int(self._server.stdout.readline())
        said = self._output.read_text(encoding="utf-8") if self._output.exists() else ""
        return Ended(code, said, time.perf_counter() - began)

    def shell(self, command: str) -> None:
        """Have the server run a command of the shell, in its own view of the file system."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        print(json.dumps({"shell": command}), file=self._server.stdin, flush=True)
        assert self._server.stdout.readline() == "0\n"


@contextmanager
def forks(folder: Path, launcher: Sequence[str] = ()) -> Iterator[Forks]:
    """A server of forks, started by a command if one is given, that keeps their output in a folder."""
    environment = {
        **os.environ,
        **{"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "COLUMNS": "200"},
    }
    with subprocess.Popen(
        [*launcher, sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as server:
        try:
            yield Forks(server, folder / "output.txt")
        finally:
            server.stdin.close()  # type: ignore[union-attr]
