"""Measures time and memory of training on files of growing size, and of attacks on more and more examples.

    HF_HUB_OFFLINE=1 python benchmarks/scale.py [--rows 10000,100000,1000000] [--examples 500,5000]

For each file, a new process reads and tokenises the file, and trains on it. The number of optimiser steps is
the same for every size, because further steps would take no more memory. The script then attacks the
classifier of the smallest file.

The script samples the memory of the process until the process ends. It shows two peaks: the memory that the
process alone has written to, and this memory with mapped files. The system takes the memory of mapped files
back when it needs it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

BATCH = 16
WORDS = {"good": ("lovely", "funny", "brilliant", "warm"), "bad": ("dull", "awful", "boring", "cold")}
THINGS = ("plot", "cast", "music", "ending", "story", "camera", "dialogue", "pace")


def write_rows(path: Path, rows: int) -> Path:
    """Write a CSV file of short rows of two classes, all different, and return its path.

    Args:
        path: The file.
        rows: Number of rows.
    """
    draw = random.Random(rows)
    with path.open("w", encoding="utf-8") as file:
        file.write("text,label\n")
        for number in range(rows):
            label = draw.choice(("good", "bad"))
            words = (f"the {draw.choice(THINGS)} is {draw.choice(WORDS[label])}" for _ in range(3))
            file.write(f'"{", ".join(words)}, no {number}",{label}\n')
    return path


def run(arguments: list[str], cache: Path) -> tuple[float, float, float]:
    """Run the command line, and measure its time and memory.

    Args:
        arguments: The command and its options.
        cache: Folder of the cache of prepared data.

    Returns:
        Seconds, the peak of the process's own memory in MB, and the peak with mapped files in MB.
    """
    own, mapped, began = 0, 0, time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "earlyrobust", *arguments],
        env={**os.environ, "EARLYROBUST_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
    ) as process:
        memory = psutil.Process(process.pid)
        while process.poll() is None:
            try:
                now = memory.memory_info()
            except psutil.NoSuchProcess:
                break
            own, mapped = max(own, now.rss - now.shared), max(mapped, now.rss)
            time.sleep(0.02)
    if process.returncode:
        sys.exit(f"earlyrobust {' '.join(arguments)} failed.")
    return time.perf_counter() - began, own / 1e6, mapped / 1e6


def say(what: str, measured: tuple[float, float, float], first: tuple[float, float, float]) -> None:
    """Print a measurement, and its memory relative to the first measurement."""
    seconds, own, mapped = measured
    sys.stdout.write(
        f"{what}: {seconds:.0f} s, {own:.0f} MB of its own ({own / first[1]:.2f} times the first), "
        f"{mapped:.0f} MB with mapped files ({mapped / first[2]:.2f} times)\n"
    )


def main() -> None:
    """Measure all sizes, and print their memory relative to the smallest size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="10000,100000,1000000", help="sizes, separated by commas")
    parser.add_argument("--examples", default="500,5000", help="attacked examples, separated by commas")
    parser.add_argument("--steps", type=int, default=100, help="optimiser steps")
    parser.add_argument("--model", default="minilm", help="encoder")
    parser.add_argument("--attack", default="textbugger", help="attack")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, first = Path(scratch), None
        for rows in sorted(map(int, options.rows.split(","))):
            file, output = write_rows(folder / f"{rows}.csv", rows), folder / str(rows)
            epochs = options.steps * BATCH / (rows - 2 * min(2_000, rows // 10))
            training = ["--method", "finetune", "--epochs", f"{epochs:.9f}", "--batch-size", str(BATCH)]
            places = ["--train-file", str(file), "--model", options.model, "--output", str(output)]
            measured = run(["run", *training, "--no-attack", *places], folder / "cache")
            seconds = json.loads((output / "result.json").read_text(encoding="utf-8"))["seconds"]
            per_million = 1e6 * seconds["data"] / rows
            first = first or measured
            say(f"{rows:,} rows, {per_million:.0f} s of preparation a million", measured, first)
        classifier = min(folder.glob("*/model"), key=lambda place: int(place.parent.name))
        first = None
        for examples in sorted(map(int, options.examples.split(","))):
            places = ["--test-file", str(write_rows(folder / "test.csv", examples))]
            places += ["--output", str(folder / f"attack-{examples}")]
            given = ["attack", str(classifier), "--attack", options.attack, "--examples", str(examples)]
            measured = run([*given, *places], folder / "cache")
            first = first or measured
            say(f"{examples:,} examples under {options.attack}", measured, first)


if __name__ == "__main__":
    main()
