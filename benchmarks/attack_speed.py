"""Compares the speed of this package's attack engine with TextAttack, in queries per second.

Both engines attack the same sentences of the same victim on the same machine, in turns. They use the same
neighbours, sentence encoder and tagger. TextAttack runs in its own environment (see tests/golden/README.md).
It runs once with its stock wrapper, which pads every text to the maximum length of the model, and once with a
wrapper that pads to the longest text of the batch.

The script also measures the work that no engine can avoid. It tokenises the distinct texts of all queries,
and computes the models' answers to them. The texts are sorted by length, and the best of several batch sizes
counts.

    python benchmarks/attack_speed.py --victim runs/sst2/dense --data-dir DATA --textattack PYTHON

With `--precision bf16`, the script also runs the same attack with all models in bf16, in turns with float32.
It prints the ratio of the times, and the accuracy under attack in both precisions.

    python benchmarks/attack_speed.py --victim runs/sst2/dense --data-dir DATA --precision bf16
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from earlyrobust.attacks import ATTACKS, Example, Resources, Server, Victim, run_attacks
from earlyrobust.attacks.asks import Encoded, Model
from earlyrobust.attacks.engine import DEFAULT_IN_FLIGHT
from earlyrobust.attacks.precision import Precision
from earlyrobust.data import TASKS, load_task_test
from earlyrobust.encoders import fastest_device, load_classifier, load_tokenizer

BATCH_SIZES = (8, 16, 32, 64, 128)
WRAPPERS = ("stock", "dynamic")


class Recorder:
    """Records the distinct inputs of a model."""

    def __init__(self, model: Model) -> None:
        self.inputs: dict[bytes, Any] = {}
        self._model, self._encode = model, model.encode
        model.encode = self.encode  # type: ignore[method-assign]

    def encode(self, inputs: Sequence[Any]) -> list[Encoded]:
        encoded = self._encode(inputs)
        self.inputs.update((item.key, text) for item, text in zip(encoded, inputs, strict=True))
        return encoded

    def best_seconds(self) -> tuple[float, float]:
        """Measure the time for the recorded inputs alone, and forget them.

        The inputs are sorted by length.

        Returns:
            Seconds to tokenise all inputs, and seconds to compute them at the best batch size.
        """
        began = time.perf_counter()
        encoded = self._encode(list(self.inputs.values()))
        tokenising = time.perf_counter() - began
        items = sorted(encoded, key=lambda item: -item.length)
        times = []
        for size in BATCH_SIZES:
            began = time.perf_counter()
            for begin in range(0, len(items), size):
                batch = items[begin : begin + size]
                self._model.compute(batch, batch[0].length)
            times.append(time.perf_counter() - began)
        self.inputs.clear()
        return tokenising, min(times)


def sample(task: str, data_dir: Path, victim_labels: list[str], count: int, seed: int) -> list[Example]:
    rows = load_task_test(TASKS[task], data_dir=data_dir, outputs=victim_labels).rows
    chosen = np.random.default_rng(seed).choice(len(rows), count, replace=False)
    return [Example((rows[int(i)]["text"],), rows[int(i)]["label"], int(i)) for i in chosen]


def ours(
    attack: Any, victim: Victim, examples: list[Example], in_flight: int
) -> tuple[float, list[list[Any]]]:
    results: dict[int, list[Any]] = {}

    def one(number: int) -> Any:
        outcome = yield from attack.attack(examples[number], victim)
        results[number] = [outcome.status, outcome.queries]

    server = Server.of(fastest_device())
    began = time.perf_counter()
    for _ in run_attacks(map(one, range(len(examples))), server, in_flight):
        pass
    return time.perf_counter() - began, [results[number] for number in range(len(examples))]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--victim", required=True, help="folder of a dense classifier that transformers 4 loads too"
    )
    parser.add_argument(
        "--textattack", help="Python of TextAttack's environment; default: measure only this package"
    )
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--nltk-data", type=Path)
    parser.add_argument("--neighbours", default="minilm", help="the TextAttack worker always uses minilm")
    parser.add_argument("--attack", default="textfooler", choices=ATTACKS)
    parser.add_argument("--task", default="sst2", choices=("sst2", "imdb"))
    parser.add_argument("--precision", choices=("tf32", "bf16"), help="a second precision besides float32")
    parser.add_argument("--examples", type=int, default=20, help="examples of each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()

    model, tokenizer = load_classifier(options.victim), load_tokenizer(options.victim)

    def prepared(precision: Precision) -> tuple[Any, Victim, Resources]:
        resources = Resources(neighbours=options.neighbours, nltk_data=options.nltk_data, precision=precision)
        attack = ATTACKS[options.attack](resources)  # type: ignore[call-arg]
        return attack, Victim(model, tokenizer, precision=precision), resources

    attack, victim, resources = prepared("float32")
    other = prepared(options.precision) if options.precision else None
    labels = [model.config.id2label[index] for index in range(model.config.num_labels)]
    examples = sample(options.task, options.data_dir, labels, options.examples * options.rounds, options.seed)
    ours(attack, victim, examples[:1], 1)  # The first attack warms up.
    if other is not None:
        ours(*other[:2], examples[:1], 1)
    recorders = [Recorder(victim), Recorder(resources.sentence_encoder)]

    worker = None
    if options.textattack:
        environment = {**os.environ, **({"NLTK_DATA": str(options.nltk_data)} if options.nltk_data else {})}
        script = Path(__file__).with_name("textattack_worker.py")
        command = [options.textattack, "-W", "ignore", str(script), options.victim, options.attack]
        worker = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        assert worker.stdout is not None
        while worker.stdout.readline() not in ("ready\n", ""):
            pass

    rows = []
    for number in range(options.rounds):
        chunk = examples[number * options.examples : (number + 1) * options.examples]
        seconds, results = ours(attack, victim, chunk, in_flight=DEFAULT_IN_FLIGHT)
        queries = sum(count for _, count in results)
        distinct = sum(len(recorder.inputs) for recorder in recorders)
        row = {"queries": queries, "ours": seconds, "distinct": distinct}
        alone = [recorder.best_seconds() for recorder in recorders]
        row["computing alone"] = sum(computing for _, computing in alone)
        row["models alone"] = row["computing alone"] + sum(tokenising for tokenising, _ in alone)
        row["one in flight"] = ours(attack, victim, chunk, in_flight=1)[0]
        row["held"] = sum(status == "failed" for status, _ in results)
        if other is not None:
            row["lower"], lower = ours(*other[:2], chunk, in_flight=DEFAULT_IN_FLIGHT)
            row["held, lower"] = sum(status == "failed" for status, _ in lower)
            row["queries, lower"] = sum(count for _, count in lower)
            row["same, lower"] = sum(mine == theirs for mine, theirs in zip(results, lower, strict=True))
        for recorder in recorders:
            recorder.inputs.clear()
        for wrapper in WRAPPERS if worker is not None else ():
            assert worker is not None
            assert worker.stdin is not None
            assert worker.stdout is not None
            given = [{"texts": list(example.columns), "label": example.label} for example in chunk]
            worker.stdin.write(json.dumps({"wrapper": wrapper, "examples": given}) + "\n")
            worker.stdin.flush()
            answer = json.loads(worker.stdout.readline())
            row[wrapper] = answer["seconds"]
            same = sum(mine == theirs for mine, theirs in zip(results, answer["results"], strict=True))
            row[f"same as {wrapper}"] = same
        rows.append(row)
        print(json.dumps(row), flush=True)
    if worker is not None:
        worker.kill()

    def ratio(above: str, below: str) -> str:
        ratios = [row[above] / row[below] for row in rows]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"

    print(
        f"{options.task}, {options.attack}: {sum(row['queries'] for row in rows)} queries, "
        f"{torch.get_num_threads()} threads"
    )
    print(f"queries/s: {sum(row['queries'] for row in rows) / sum(row['ours'] for row in rows):.1f}")
    print(f"time / models alone (goal 1.25): {ratio('ours', 'models alone')}")
    print(f"time / models alone, given tokens: {ratio('ours', 'computing alone')}")
    print(f"one in flight / all: {ratio('one in flight', 'ours')}")
    if options.precision:
        total = options.examples * len(rows)
        print(f"float32 / {options.precision}: {ratio('ours', 'lower')}")
        speed = sum(row["queries, lower"] for row in rows) / sum(row["lower"] for row in rows)
        print(f"queries/s in {options.precision}: {speed:.1f}")
        held = [100 * sum(row[name] for row in rows) / total for name in ("held", "held, lower")]
        print(f"Aua% {held[0]:.1f} in float32, {held[1]:.1f} in {options.precision}")
        same = sum(row["same, lower"] for row in rows)
        print(f"same status and number of queries: {same} of {total} examples")
    if options.textattack:
        print(f"TextAttack, stock wrapper / ours (goal 10): {ratio('stock', 'ours')}")
        print(f"TextAttack, dynamic padding / ours (goal 1.5): {ratio('dynamic', 'ours')}")


if __name__ == "__main__":
    sys.exit(main())
