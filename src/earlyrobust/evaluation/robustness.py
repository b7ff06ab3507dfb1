"""Measures accuracy under attack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from earlyrobust import processes
from earlyrobust.attacks.base import Attack
from earlyrobust.attacks.engine import DEFAULT_IN_FLIGHT, run_attacks
from earlyrobust.attacks.example import Example
from earlyrobust.attacks.models import Victim
from earlyrobust.attacks.precision import Precision
from earlyrobust.attacks.server import Server
from earlyrobust.data.digests import split_digest
from earlyrobust.data.splitting import stratified_draw
from earlyrobust.encoders import LEAST_LENGTH
from earlyrobust.errors import ConfigError, DataError, OutputError
from earlyrobust.evaluation.sharing import own_journal, put_together
from earlyrobust.extensions import code_of
from earlyrobust.journal import HASH, AttackedExample, Journal, comparable, header_of
from earlyrobust.results import AttackRecord

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def evaluate_under_attack(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    dataset: Dataset,
    attack: Attack,
    *,
    examples: int | None = None,
    seed: int = 0,
    max_length: int | None = None,
    journal: Path | None = None,
    token_budget: int | None = None,
    in_flight: int = DEFAULT_IN_FLIGHT,
    watch: Callable[[Sequence[AttackedExample], int], None] | None = None,
    precision: Precision = "float32",
) -> AttackRecord:
    """Attack a classifier on a sample of a data set.

    Args:
        model: Any sequence classifier. It is put into evaluation mode.
        tokenizer: The model's tokenizer.
        dataset: Rows with `text`, `pair` for sentence pairs, and `label`, numbered as the model's outputs.
        attack: The attack, for example `TextFooler()`.
        examples: Size of the sample, which keeps the shares of the classes; None for all rows.
        seed: Seed of the sample and of the attack's random choices.
        max_length: Maximum number of tokens of a text that the model reads; the rest is cut off, as in
            training. None for the model's own limit, which is never exceeded.
        journal: File that keeps finished examples. If it exists, the attack continues from it.
        token_budget: Maximum number of tokens of a batch. It changes speed and memory, never the result. None
            for the number that suits the model's device.
        in_flight: Number of examples that are attacked side by side. It changes speed and memory, never the
            result.
        watch: A function that is called whenever an example is done, with all finished examples and their
            final number. If several processes share the attack, each passes its own examples.
        precision: The precision in which the classifier is computed. `Resources` has a precision of its own
            for the other models.

    Returns:
        Accuracy before and under the attack, queries, changed words and similarity, with 95 % intervals.

    Raises:
        DataError: If the data set is empty, lacks a column or a text, or has a label that is no output of the
            model.
        ConfigError: If the sample is too small for the classes, or the seed, `max_length` or `precision`
            cannot be used.
        OutputError: If the journal belongs to another attack, or cannot be written.
    """
    if max_length is not None and max_length < LEAST_LENGTH:
        raise ConfigError(f"max_length is {max_length}: choose at least {LEAST_LENGTH}.")
    victim = Victim(model, tokenizer, max_length, precision, attack.score)
    return evaluate_victim(
        victim,
        Server.of(model.device, token_budget),
        dataset,
        attack,
        examples=examples,
        seed=seed,
        journal=journal,
        in_flight=in_flight,
        watch=watch,
    )


def evaluate_victim(
    victim: Victim,
    server: Server,
    dataset: Dataset,
    attack: Attack,
    *,
    examples: int | None = None,
    seed: int = 0,
    journal: Path | None = None,
    in_flight: int = DEFAULT_IN_FLIGHT,
    watch: Callable[[Sequence[AttackedExample], int], None] | None = None,
) -> AttackRecord:
    """Attack a victim on a sample of a data set, with a server that other attacks on the victim may share.

    If several attacks ask about the same text, the server computes its answer only once. Each attack still
    counts the query.

    Args:
        victim: The classifier with its tokenizer, its limit of tokens and its precision.
        server: Computes the victim's answers and remembers them.
        dataset: Rows with `text`, `pair` for sentence pairs, and `label`, numbered as the model's outputs.
        attack: The attack, for example `TextFooler()`.
        examples: Size of the sample; None for all rows.
        seed: Seed of the sample and of the attack's random choices.
        journal: File that keeps finished examples. If it exists, the attack continues from it.
        in_flight: Number of examples that are attacked side by side.
        watch: A function that is called whenever an example is done, with all finished examples and their
            final number.

    Returns:
        The record of the attack.

    Raises:
        DataError: If the data set is empty, lacks a column or a text, or has a label that is no output of the
            model.
        ConfigError: If the sample is too small for the classes, or the seed is negative.
        OutputError: If the journal belongs to another attack, or cannot be written.
    """
    if seed < 0:
        raise ConfigError(f"The seed is {seed}: choose 0 or more.")
    victim = victim.answering(attack.score)
    dataset = dataset.with_format(None)
    chosen = sample_examples(dataset, examples, seed, victim.classes)
    precision = {} if victim.precision == "float32" else {"precision": victim.precision}
    rows = dataset.select(chosen)
    header = {
        **attack.describe(),
        **all_fingerprints(attack),
        **precision,
        "model": victim.fingerprint,
        "max_length": victim.reads,
        "data": split_digest(rows),
        "examples": len(chosen),
        "seed": seed,
        "cut": victim.longer([_columns(row, index) for row, index in zip(rows, chosen, strict=True)]),
    }
    cut = header["cut"]
    if journal is not None and _is_of_earlier_version(found := header_of(journal) or {}, header, victim):
        header = found
    done = put_together(journal, header)
    before, finished = len(done), {example.index for example in done}
    waiting = [index for index in chosen if index not in finished]
    own = waiting[processes.rank() :: processes.count()]
    attacks = (attack.attack(_example(dataset[index], index, seed), victim) for index in own)
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
    settings = {**attack.describe(), **precision}
    name = None if journal is None else journal.name
    return AttackRecord.of(done, settings, name, cut, victim.class_names)


def all_fingerprints(attack: Attack) -> dict[str, str]:
    """Return the hashes of an attack's resources and, for a class from outside the package, of its code."""
    code = code_of(type(attack))
    return attack.fingerprints() if code is None else {**attack.fingerprints(), f"code{HASH}": code}


def _is_of_earlier_version(found: dict[str, Any], header: dict[str, Any], victim: Victim) -> bool:
    """Return whether an earlier version began the same attack and read the texts to the same length.

    Earlier versions recorded the length that the user asked for. They read at most as many tokens as the
    model's configuration named.
    """
    reads, wanted = header["max_length"], found.get("max_length")
    if reads is None or "cut" in found or reads > victim.named_positions:
        return False
    if wanted != reads and not (victim.reads_all_it_can and (wanted is None or wanted > reads)):
        return False
    known = {name: value for name, value in header.items() if name != "cut"}
    return {**found, "max_length": reads} == comparable(known, found)


def sample_examples(dataset: Dataset, examples: int | None, seed: int, classes: int) -> list[int]:
    """Choose the rows to attack.

    Args:
        dataset: Rows with `text` and `label`, numbered as the model's outputs.
        examples: Size of the sample; None for all rows.
        seed: Seed of the sample.
        classes: Number of classes of the model.

    Returns:
        Indices of rows in random order. The sample has the class shares of the data set.

    Raises:
        DataError: If the data set is empty, lacks a column, or has a label that is no output of the model.
        ConfigError: If the sample is too small for the classes.
    """
    if not {"text", "label"} <= set(dataset.column_names):
        raise DataError(
            f"The data set has the columns {dataset.column_names}, but needs 'text' and 'label': rename them."
        )
    labels = np.asarray(dataset.with_format(None)["label"])
    if not labels.size:
        raise DataError("There is no example to attack: the data set is empty.")
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            f"A label is {labels.tolist()[0]!r}, which is no whole number: give the index of the model's "
            "output for each row."
        )
    known = np.unique(labels)
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


def _columns(row: dict[str, Any], index: int) -> tuple[str, ...]:
    columns = (row["text"], row["pair"]) if "pair" in row else (row["text"],)
    if None in columns:
        raise DataError(f"Row {index} of the data set has no text: leave it out.")
    if other := [column for column in columns if not isinstance(column, str)]:
        raise DataError(
            f"Row {index} of the data set holds {other[0]!r} in place of a text: give it as text."
        )
    return columns


def _example(row: dict[str, Any], index: int, seed: int) -> Example:
    columns = _columns(row, index)
    # The random choices on an example do not depend on the other examples.
    own = np.random.SeedSequence([seed, index]).generate_state(1)[0]
    return Example(columns, row["label"], int(own), index)
