"""Times training steps with PyTorch's dropout and with cheap dropout, in turns, on the CPU.

Usage: python benchmarks/dropout.py [--threads 2] [--tokens 64] [--rounds 20]
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import nullcontext

import torch
from transformers import AutoModelForSequenceClassification

from earlyrobust.encoders import locate
from earlyrobust.trainer.dropout import cheap_dropout

BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(locate("minilm"), num_labels=2).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    inputs = {
        "input_ids": torch.randint(1000, 20_000, (BATCH, options.tokens)),
        "attention_mask": torch.ones(BATCH, options.tokens, dtype=torch.long),
        "labels": torch.randint(0, 2, (BATCH,)),
    }

    def step() -> float:
        began = time.perf_counter()
        model(**inputs).loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return time.perf_counter() - began

    seconds: dict[str, list[float]] = {"PyTorch": [], "cheap": []}
    for number in range(options.rounds + 1):
        for name, context in (("PyTorch", nullcontext()), ("cheap", cheap_dropout())):
            with context:
                took = step()
            if number:  # The first round warms up.
                seconds[name].append(took)
    ratios = [cheap / plain for plain, cheap in zip(*seconds.values(), strict=True)]
    for name, values in seconds.items():
        print(f"{name}: {1000 * statistics.median(values):.0f} ms a step")
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"Time with cheap dropout / with PyTorch's: {middle:.3f} (quartiles {low:.3f} and {high:.3f})")


if __name__ == "__main__":
    main()
