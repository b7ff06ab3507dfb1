"""Measures the cost of the method as ratios: coefficients, noise, trainer, and the cut model's forward pass.

The two sides of a ratio take turns on the same batches of the built-in corpus, so that a change in the
machine's speed affects both. Run the script on an otherwise idle machine:

    HF_HUB_OFFLINE=1 python benchmarks/cost.py
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader
from transformers import (
    DataCollatorWithPadding,
    PrinterCallback,
    TrainerCallback,
    TrainingArguments,
    get_linear_schedule_with_warmup,
)
from transformers.utils import logging

from earlyrobust import AdversarialTrainer, FreeLB, ImportanceCoefficients, Ticket, draw_mask, prune
from earlyrobust.attacks.resources.neighbours import load_neighbours
from earlyrobust.data import TASKS, load_task, tokenize
from earlyrobust.encoders import load_pretrained, load_tokenizer
from earlyrobust.evaluation import flops_ratio
from earlyrobust.families import family_of
from earlyrobust.noise import Lexicon, NoiseConfig, TextNoise
from earlyrobust.trainer.noising import gradients_at

SEED = 0
LABELS = ("negative", "positive")


def take_turns(first: Callable[[], Any], second: Callable[[], Any], rounds: int) -> list[float]:
    """Time two functions alternately, and return the ratio of their times in each round.

    Two more rounds, which warm up, come first.

    Args:
        first: The function whose time is the numerator.
        second: The function whose time is the denominator.
        rounds: Number of ratios.
    """
    ratios = []
    for round_ in range(rounds + 2):
        seconds = []
        # The order alternates, so that neither function always finds warm caches.
        for work in (first, second) if round_ % 2 else (second, first):
            began = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - began)
        ratios.append(seconds[0] / seconds[1] if round_ % 2 else seconds[1] / seconds[0])
    return ratios[2:]


def coefficients(batches: Iterator[dict[str, Any]], rounds: int) -> list[float]:
    """Return ratios of the time of a FreeLB step and its optimiser step: with coefficients / without them."""

    def stepper(gated: bool) -> Callable[[], None]:
        model = load_pretrained("minilm", LABELS, SEED)
        gates = ImportanceCoefficients.attach(model) if gated else None
        trainer = AdversarialTrainer(
            model,
            arguments(),
            adversary=FreeLB(),
            penalty=None if gates is None else lambda: gates.penalty(1e-5, 2e-4),
        )
        optimizer = trainer.create_optimizer()
        trainer.current_gradient_accumulation_steps = 1

        def step() -> None:
            trainer.training_step(model, batch)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            model.zero_grad()

        return step

    with_gates, without = stepper(True), stepper(False)
    ratios = []
    for _ in range(rounds):
        batch = next(batches)
        ratios += take_turns(with_gates, without, 1)
    return ratios


def trainer(tokens: Any, tokenizer: Any, rounds: int, steps: int = 20) -> list[float]:
    """Return ratios of the time of an epoch: AdversarialTrainer / a bare PyTorch loop over the same rows."""
    rows = tokens.select(range(16 * steps))
    models = [load_pretrained("minilm", LABELS, SEED) for _ in range(2)]
    columns = [name for name in rows.column_names if name != "length"]
    collate = DataCollatorWithPadding(tokenizer)

    def bare() -> float:
        model = models[0].train()
        # The optimiser that transformers chooses is fused, too.
        optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=0.0, fused=True)
        scheduler = get_linear_schedule_with_warmup(optimizer, 0, steps)
        loader = DataLoader(rows.select_columns(columns), batch_size=16, shuffle=False, collate_fn=collate)
        began = time.perf_counter()
        for batch in loader:
            model(**batch).loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        return time.perf_counter() - began

    def ours() -> float:
        clock = StepClock()
        run = AdversarialTrainer(
            models[1],
            arguments(num_train_epochs=1, train_sampling_strategy="sequential"),
            train_dataset=rows,
            processing_class=tokenizer,
            callbacks=[clock],
        )
        run.remove_callback(PrinterCallback)
        run.train()
        return clock.seconds

    bare(), ours()
    return [ours() / bare() if round_ % 2 else 1 / (bare() / ours()) for round_ in range(rounds)]


class StepClock(TrainerCallback):
    """Measures the seconds from the first batch to the last step, without the set-up of the trainer."""

    def on_epoch_begin(self, *args: Any, **kwargs: Any) -> None:
        self._began = time.perf_counter()

    def on_epoch_end(self, *args: Any, **kwargs: Any) -> None:
        self.seconds = time.perf_counter() - self._began


def forward_pass(batch: dict[str, Any], rounds: int) -> tuple[list[float], float]:
    """Return ratios of the time of a forward pass, cut model / dense model, and the ratio of operations."""
    dense = load_pretrained("minilm", LABELS, SEED).eval()
    size = family_of(dense.config).dimensions(dense.config)
    scores = np.random.default_rng(SEED)
    ticket = Ticket(
        model_type=dense.config.model_type,
        heads=draw_mask(scores.random((size.layers, size.heads), dtype=np.float32), 1 / 6),
        neurons=draw_mask(scores.random((size.layers, size.neurons), dtype=np.float32), 0.3),
    )
    small = prune(dense, ticket)
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    with torch.inference_mode():
        ratios = take_turns(lambda: small(**inputs), lambda: dense(**inputs), rounds)
    return ratios, flops_ratio(dense, ticket, inputs["input_ids"].shape[1])


def noise(texts: Any, tokenizer: Any, rounds: int) -> list[float]:
    """Return ratios of time: checking, making and learning noise / training on the same batch."""
    columns = [(text,) for text in texts["text"][:]]
    lexicon = Lexicon.of(columns, [load_neighbours("wordnet")])
    made = TextNoise(lexicon, tokenizer, len(LABELS), config=NoiseConfig(ramp=0.0), max_length=64)
    model = load_pretrained("minilm", LABELS, SEED).train()
    embedding = model.get_input_embeddings()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-5, fused=True)
    ratios = []
    for round_ in range(rounds + 2):
        rows = range(32 * round_, 32 * round_ + 32)
        labels = [texts["label"][row] for row in rows]
        ids = tokenizer([texts["text"][row] for row in rows], truncation=True, max_length=64)["input_ids"]
        seconds = [time.perf_counter()]
        made.reading.check([columns[row] for row in rows], ids)
        batch = made.batch([columns[row] for row in rows], labels, epoch=0)
        tokens, found = batch.tokens, batch.found
        seconds.append(time.perf_counter())
        with gradients_at(embedding) as gradients:
            model(**tokens, labels=torch.tensor(labels)).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter())
        made.observe(gradients[0], tokens["input_ids"], embedding.weight, found)
        made.update(1.0)
        seconds.append(time.perf_counter())
        making, training, learning = np.diff(seconds)
        ratios.append((making + learning) / training)
    return ratios[2:]


def arguments(**options: Any) -> TrainingArguments:
    return TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=16,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        seed=SEED,
        **options,
    )


def report(name: str, ratios: list[float], limit: float) -> None:
    low, median, high = statistics.quantiles(ratios, n=4)
    print(f"{name:<52} {median:.3f}  (quartiles {low:.3f} to {high:.3f}; goal at most {limit:.3f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="timed rounds of each comparison")
    rounds = parser.parse_args().rounds
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    tokenizer = load_tokenizer("minilm")
    texts = load_task(TASKS["builtin"]).train
    tokens = tokenize(texts, tokenizer, max_length=64)
    columns = [name for name in tokens.column_names if name != "length"]

    def loader(size: int) -> Iterator[dict[str, Any]]:
        return cycle(
            DataLoader(
                tokens.select_columns(columns), batch_size=size, collate_fn=DataCollatorWithPadding(tokenizer)
            )
        )

    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, {rounds} rounds, medians of ratios")
    report("FreeLB step with coefficients / without", coefficients(loader(16), rounds), 1.05)
    report("making and learning noise / training step", noise(texts, tokenizer, rounds), 0.05)
    report("AdversarialTrainer / bare PyTorch loop", trainer(tokens, tokenizer, rounds), 1.10)
    ratios, operations = forward_pass(next(loader(32)), 2 * rounds)
    report("forward pass, cut model / dense model", ratios, 1.1 * operations)
    print(f"  (its operations / the dense model's: {operations:.3f})")


if __name__ == "__main__":
    main()
