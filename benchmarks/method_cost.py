"""Measures the time of one training step of every method relative to fine-tuning, and the time in theory.

The steps of all methods take turns on the same batches of the built-in corpus. The theory counts
forward-backward passes. A pass that computes only the gradient of the embeddings counts as 2/3. The theory
also needs the share of a step that is not a pass, but belongs to the optimiser: the script measures this
share. Run the script on an otherwise idle machine. `--save` keeps the numbers that `earlyrobust list methods`
shows:

    HF_HUB_OFFLINE=1 python benchmarks/method_cost.py --save
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import cycle
from typing import Any

import torch
from cost import LABELS, SEED, arguments
from torch.utils.data import DataLoader
from transformers import DataCollatorWithPadding
from transformers.utils import logging

from earlyrobust.adversarial import Adversary, FreeLB
from earlyrobust.attacks.resources.neighbours import load_neighbours
from earlyrobust.data import TASKS, load_task, tokenize
from earlyrobust.encoders import load_pretrained, load_tokenizer
from earlyrobust.families import family_of
from earlyrobust.noise import Lexicon, TextNoise
from earlyrobust.options.methods import METHODS
from earlyrobust.options.run import RunConfig
from earlyrobust.pipeline.method_costs import COSTS_FILE, MeasuredCosts, MethodCost, StepCost
from earlyrobust.pipeline.noising import NoiseChoice
from earlyrobust.pipeline.recipe import Recipe
from earlyrobust.pipeline.tickets import random_ticket
from earlyrobust.pruning import prune
from earlyrobust.storage import write_json
from earlyrobust.trainer import AdversarialTrainer
from earlyrobust.trainer.noising import TextCarrier, without_texts
from earlyrobust.trainer.passes import PARTS_NAME
from earlyrobust.workspace.environment import describe_environment
from earlyrobust.workspace.observer import Observer

BATCH_SIZE, MAX_LENGTH = 16, 64
Batch = dict[str, Any]
Step = Callable[[Batch], None]


def pretrained() -> Any:
    return load_pretrained("minilm", LABELS, SEED)


def stepper(trainer: AdversarialTrainer) -> Step:
    """Return a function that makes one optimiser step on a batch, as the trainer's training loop does."""
    if trainer._parts is not None:
        trainer.model.add_module(PARTS_NAME, trainer._parts)  # `train` does this, too.
    optimizer = trainer.create_optimizer()
    trainer.current_gradient_accumulation_steps = 1

    def step(batch: Batch) -> None:
        trainer.training_step(trainer.model, without_texts(batch) if trainer.noise is None else dict(batch))
        if trainer.noise is not None:
            trainer.noise.update(1.0)
        torch.nn.utils.clip_grad_norm_(trainer.model.parameters(), 1.0)
        optimizer.step()
        trainer.model.zero_grad()
        # Each step here has its own batch, so each must count as the first of its replays.
        trainer.state.global_step += 1 if trainer.adversary is None else trainer.adversary.replays

    return step


def training(model: Any, adversary: Adversary | None, noise: TextNoise | None = None) -> Step:
    return stepper(AdversarialTrainer(model, arguments(), adversary=adversary, noise=noise))


def contenders(rows: Any, tokenizer: Any) -> dict[tuple[str, str], tuple[Step, float]]:
    """Return the step of each stage of each method, and its number of passes in theory."""
    found: dict[tuple[str, str], tuple[Step, float]] = {}

    def passes(adversary: Adversary | None) -> float:
        return 1.0 if adversary is None else adversary.cost(layers)

    def noise(choice: NoiseChoice | None) -> TextNoise | None:
        """Return the noise at its full rate."""
        if choice is None:
            return None
        settings = replace(choice.settings, ramp=0.0, keeps=0.0)
        return TextNoise(lexicon, tokenizer, len(LABELS), config=settings, max_length=MAX_LENGTH)

    lexicon = Lexicon.of(((text,) for text in rows["text"][:]), [load_neighbours("wordnet")])
    layers = family_of(pretrained().config).dimensions(pretrained().config).layers
    for name in METHODS:
        config = RunConfig(method=name, heads=1 / 6, neurons=0.3)
        recipe = Recipe.of(config).equipped("minilm", tokenizer, Observer())
        model = pretrained()
        if recipe.search is not None:
            search = recipe.search(
                pretrained(),
                arguments(),
                rows,
                config=recipe.search_config,
                adversary=recipe.search_adversary,
                noise=noise(recipe.noise),
            )
            found[name, "search"] = stepper(search.trainer), passes(recipe.search_adversary)
            if recipe.search.starts_from == "pretrained":  # Other searches cut nothing.
                model = prune(model, random_ticket(config, {}))
        found[name, "training"] = (
            training(model, recipe.adversary, noise(recipe.noise)),
            passes(recipe.adversary),
        )
    return found


def medians(steps: dict[Any, Step], batches: Any, rounds: int) -> dict[Any, float]:
    """Return the median time of each step relative to the first step.

    Each round gives a ratio for each step. Two more rounds, which warm up, come first.
    """
    first = next(iter(steps))
    ratios: dict[Any, list[float]] = {key: [] for key in steps}
    for round_ in range(rounds + 2):
        batch = next(batches)
        # The order changes, so that no step always finds warm caches.
        order = list(steps)[round_ % len(steps) :] + list(steps)[: round_ % len(steps)]
        seconds = {}
        for key in order:
            began = time.perf_counter()
            steps[key](batch)
            seconds[key] = time.perf_counter() - began
        for key in steps if round_ > 1 else ():
            ratios[key].append(seconds[key] / seconds[first])
    return {key: statistics.median(values) for key, values in ratios.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=12, help="timed rounds")
    parser.add_argument("--save", action="store_true", help="keep the numbers for `earlyrobust list methods`")
    options = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    tokenizer = load_tokenizer("minilm")
    split = load_task(TASKS["builtin"]).train
    rows = tokenize(split, tokenizer, max_length=MAX_LENGTH).add_column("text", split["text"][:])
    columns = [name for name in rows.column_names if name != "length"]
    batches = cycle(
        DataLoader(
            rows.select_columns(columns),
            batch_size=BATCH_SIZE,
            collate_fn=TextCarrier(DataCollatorWithPadding(tokenizer)),
            drop_last=True,
        )
    )

    steps = contenders(rows, tokenizer)
    times = medians({key: step for key, (step, _) in steps.items()}, batches, options.rounds)
    # A step of ten passes shows which share of a plain step is the pass. The rest is the optimiser's share.
    plain = ("finetune", "training")
    ten = {"plain": steps[plain][0], "ten": training(pretrained(), FreeLB(steps=10, initial_magnitude=0.0))}
    pass_share = (medians(ten, batches, options.rounds)["ten"] - 1) / 9
    environment = describe_environment()
    measured_on = (
        f"minilm, batches of {BATCH_SIZE} of the built-in corpus, {environment.processor}, "
        f"{environment.threads} threads"
    )
    print(f"{measured_on}; a pass is {pass_share:.2f} of a step of fine-tuning")
    print(f"{'method':<15} {'stage':<9} {'passes':>7} {'theory':>7} {'measured':>9} {'ratio':>6}")
    for (name, stage), (_, passes) in steps.items():
        theory = 1 + (passes - 1) * pass_share
        measured = times[name, stage]
        print(
            f"{name:<15} {stage:<9} {passes:>7.2f} {theory:>7.2f} {measured:>9.2f} {measured / theory:>6.2f}"
        )
    if options.save:
        costs = {
            name: MethodCost(
                **{
                    stage: StepCost(round(steps[key][1], 3), round(times[key], 2))
                    for key in steps
                    for method, stage in [key]
                    if method == name
                }
            )
            for name in METHODS
        }
        write_json(COSTS_FILE, asdict(MeasuredCosts(measured_on, costs)))


if __name__ == "__main__":
    main()
