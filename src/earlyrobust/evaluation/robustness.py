"""Accuracy under attack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earlyrobust import processes
from earlyrobust.attacks.engine import (
    ACCELERATOR_TOKEN_BUDGET,
    CPU_TOKEN_BUDGET,
    DEFAULT_IN_FLIGHT,
    Attacking,
    Server,
    run_attacks,
)
from earlyrobust.attacks.greedy import Example, WordSwapAttack
from earlyrobust.attacks.models import Victim
from earlyrobust.data.digests import split_digest
from earlyrobust.data.splits import stratified_draw
from earlyrobust.encoders import fingerprint
from earlyrobust.errors import ConfigError, DataError, OutputError
from earlyrobust.evaluation.sharing import own_journal, put_together
from earlyrobust.journal import AttackedExample, Journal
from earlyrobust.results import AttackRecord

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# A shorter input has no room for a text beside its special tokens.
_LEAST_LENGTH = 8


def evaluate_under_attack(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    dataset: Dataset,
    attack: WordSwapAttack,
    *,
    examples: int | None = None,
    seed: int = 0,
    max_length: int | None = None,
    journal: Path | None = None,
    token_budget: int | None = None,
    in_flight: int = DEFAULT_IN_FLIGHT,
    watch: Callable[[Sequence[AttackedExample], int], None] | None = None,
) -> AttackRecord:
    """Attack a classifier on a sample of a data set.

    Args:
        model: Any sequence classifier; it is in evaluation mode afterwards.
        tokenizer: Its tokenizer.
        dataset: Rows with `text`, `pair` for sentence pairs, and `label`, numbered as the model's outputs.
        attack: For example `TextFooler()`.
        examples: Size of the sample, which keeps the shares of the classes; None for all rows.
        seed: Of the sample and of the attack's random choices.
        max_length: Longest input of the model in tokens; the rest is cut off, as in training.
        journal: File that keeps what is done; an attack that was interrupted goes on from there.
        token_budget: Most tokens of a batch; changes speed and memory, never the result. None for what suits
            the model's device.
        in_flight: Examples attacked side by side; the same.
        watch: Called whenever an example is done, with all that are and their number in the end; of processes
            that share the attack each is told of its own.

    Returns:
        Accuracy before and under the attack, and what the attack took, each with a 95 % interval.

    Raises:
        DataError: If the data set is empty, lacks a column or a text, or has a label that the model does not
            know.
        ConfigError: If the sample is too small for the classes, or the seed or `max_length` cannot be used.
        OutputError: If the journal is another attack's, or cannot be written.
    """
    if seed < 0 or (max_length is not None and max_length < _LEAST_LENGTH):
        raise ConfigError(f"The seed must not be negative, and max_length must be at least {_LEAST_LENGTH}.")
    chosen = sample_examples(dataset, examples, seed, model.config.num_labels)
    header = {
        **attack.describe(),
        **attack.fingerprints(),
        "model": fingerprint(model),
        "max_length": max_length,
        "data": split_digest(dataset.select(chosen)),
        "examples": len(chosen),
        "seed": seed,
    }
    if token_budget is None:
        token_budget = CPU_TOKEN_BUDGET if model.device.type == "cpu" else ACCELERATOR_TOKEN_BUDGET
    victim, server = Victim(model, tokenizer, max_length), Server(token_budget)
    done = put_together(journal, header)
    before, finished = len(done), {example.index for example in done}
    waiting = [index for index in chosen if index not in finished]
    own = waiting[processes.rank() :: processes.count()]
    attacks = (_attack(attack, victim, index, _example(dataset[index], index, seed)) for index in own)
    with (
        processes.agreed(),
        nullcontext() if journal is None else Journal(own_journal(journal), header) as book,
    ):
        for example in run_attacks(attacks, server, in_flight):
            if book is not None:
                book.add(example)
            done.append(example)
            if watch is not None:
                watch(done, before + len(own))
    if not processes.is_alone():
        done = put_together(journal, header, done[before:])
    if sorted(example.index for example in done) != sorted(chosen):
        raise OutputError(
            f"The journal '{journal}' does not hold each attacked example once: delete it to begin again."
        )
    return AttackRecord.of(done, attack.describe(), None if journal is None else journal.name)


def _attack(attack: WordSwapAttack, victim: Victim, index: int, row: Example) -> Attacking[AttackedExample]:
    outcome = asdict((yield from attack.attack(row, victim)))
    final = outcome.pop("columns")
    return AttackedExample(index=index, label=row.label, texts=row.columns, final=final, **outcome)


def sample_examples(dataset: Dataset, examples: int | None, seed: int, classes: int) -> list[int]:
    """Choose the rows to attack.

    Args:
        dataset: As for `evaluate_under_attack`.
        examples: Size of the sample; None for all rows.
        seed: Of the sample.
        classes: How many the model knows.

    Returns:
        Indices of rows in random order, with the shares of the classes kept.

    Raises:
        DataError: If the data set is empty, lacks a column, or has a label that the model does not know.
        ConfigError: If the sample is too small for the classes.
    """
    if not {"text", "label"} <= set(dataset.column_names):
        raise DataError(f"The data set has the columns {dataset.column_names}, but not 'text' and 'label'.")
    try:
        labels = np.asarray(dataset["label"], np.int64)
    except (TypeError, ValueError) as error:
        raise DataError("The labels must be numbers, those of the model's outputs.") from error
    known = np.unique(labels)
    if not known.size:
        raise DataError("There is no example to attack: the data set is empty.")
    if known[0] < 0 or known[-1] >= classes:
        raise DataError(
            f"The data has labels from {known[0]} to {known[-1]}, the model only 0 to {classes - 1}: "
            "choose data of the model's own task."
        )
    size = len(labels) if examples is None else min(examples, len(labels))
    if size < len(known):
        raise ConfigError(
            f"{size} examples are too few for {len(known)} classes: attack at least one of each."
        )
    return [int(index) for index in stratified_draw(labels, size, np.random.default_rng(seed))[0]]


def _example(row: dict[str, Any], index: int, seed: int) -> Example:
    columns = (row["text"], row["pair"]) if "pair" in row else (row["text"],)
    if None in columns:
        raise DataError(f"Row {index} of the data set has no text: leave it out.")
    # Every example has random choices of its own, whatever else is attacked.
    own = np.random.SeedSequence([seed, index]).generate_state(1)[0]
    return Example(columns, row["label"], int(own))
