"""Run records: what a run was, did and measured, as plain dataclasses that are written as JSON.

This module imports neither PyTorch nor transformers, so that reports can be drawn from records anywhere.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from earlyrobust.errors import OutputError
from earlyrobust.journal import AttackedExample
from earlyrobust.storage import write_json
from earlyrobust.ticket import Miniepoch, Ticket, mask_distance

SCHEMA_VERSION = 1
RECORD_NAME = "result.json"
ATTACK_NAME = "attack.json"
# Holds the journals of a run.
ATTACKS_FOLDER = "attacks"


@dataclass(frozen=True)
class Accuracy:
    """Share of examples that are classified right.

    Attributes:
        correct: Examples classified right.
        total: Examples in all.
        low: Lower end of the 95 % Wilson interval of the share.
        high: Upper end.
    """

    correct: int
    total: int
    low: float
    high: float

    @classmethod
    def of(cls, correct: int, total: int) -> Accuracy:
        """Count and interval from the two numbers."""
        from scipy.stats import binomtest

        interval = binomtest(correct, total).proportion_ci(method="wilson")
        return cls(correct, total, float(interval.low), float(interval.high))

    @property
    def value(self) -> float:
        """Correct / total."""
        return self.correct / self.total


@dataclass(frozen=True)
class Mean:
    """Mean of a measurement over examples.

    Attributes:
        value: The mean.
        low: Lower end of its 95 % interval (Student's t).
        high: Upper end.
        count: Examples.
    """

    value: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float], least: float = 0.0, most: float = math.inf) -> Mean | None:
        """Mean and interval of some values; None of none.

        Args:
            values: The values.
            least: What none can be below, so the interval begins there at the lowest.
            most: What none can be above, so the interval ends there at the highest.
        """
        from scipy.stats import t

        if not values:
            return None
        value = statistics.fmean(values)
        spread = 0.0
        if len(values) > 1:
            error = statistics.stdev(values) / math.sqrt(len(values))
            spread = float(t.ppf(0.975, len(values) - 1)) * error
        return cls(value, max(least, value - spread), min(most, value + spread), len(values))


@dataclass(frozen=True)
class AttackRecord:
    """A classifier under one attack.

    Attributes:
        settings: The attack's settings, with the names of the resources it leaned on.
        clean: Accuracy on the attacked examples before the attack.
        under_attack: Accuracy under attack (Aua%): examples still right after the attack, of all.
        success_rate: Attacks that succeeded, of those on examples that were right; None if none was.
        queries: Queries per example that was right (#Query).
        words_changed: Share of the words that a successful attack replaced.
        similarity: Cosine of sentence embeddings before and after a successful attack.
        journal: Name of the file that holds the examples; None if none was kept.
    """

    settings: dict[str, Any]
    clean: Accuracy
    under_attack: Accuracy
    success_rate: Accuracy | None
    queries: Mean | None
    words_changed: Mean | None
    similarity: Mean | None
    journal: str | None = None

    @classmethod
    def of(
        cls, examples: Sequence[AttackedExample], settings: dict[str, Any], journal: str | None = None
    ) -> AttackRecord:
        """The numbers of a finished attack, whatever the order of its examples."""
        total = len(examples)
        right = [example for example in examples if example.status != "skipped"]
        broken = [example for example in right if example.status == "succeeded"]
        return cls(
            settings=settings,
            clean=Accuracy.of(len(right), total),
            under_attack=Accuracy.of(len(right) - len(broken), total),
            success_rate=Accuracy.of(len(broken), len(right)) if right else None,
            queries=Mean.of([example.queries for example in right]),
            words_changed=Mean.of([example.words_changed / example.words for example in broken], most=1),
            similarity=Mean.of(
                [example.similarity for example in broken if example.similarity is not None], -1, 1
            ),
            journal=journal,
        )


@dataclass(frozen=True)
class AttackReport:
    """What `earlyrobust attack` did and found.

    Attributes:
        model: Name or folder of the classifier.
        data: Name of what it was attacked on.
        data_fingerprint: Hash over all its content.
        label_names: The classifier's classes.
        config: The options.
        environment: Where it ran.
        attacks: The record of each attack, by its name.
        schema_version: Version of this layout.
    """

    model: str
    data: str
    data_fingerprint: str
    label_names: list[str]
    config: dict[str, Any]
    environment: EnvironmentRecord
    attacks: dict[str, AttackRecord]
    schema_version: int = field(default=SCHEMA_VERSION)

    def save(self, folder: Path) -> None:
        """Write the record into a folder as `attack.json`."""
        write_json(folder / ATTACK_NAME, dataclasses.asdict(self))


@dataclass(frozen=True)
class DataRecord:
    """What a model was trained and tested on: name, hash over all its content, rows per split, classes."""

    name: str
    fingerprint: str
    sizes: dict[str, int]
    label_names: list[str]


@dataclass(frozen=True)
class EnvironmentRecord:
    """Where a run took place: versions of what computes, and the hardware."""

    versions: dict[str, str]
    platform: str
    processor: str
    threads: int
    device: str


@dataclass(frozen=True)
class ModelRecord:
    """A trained classifier.

    Attributes:
        test: Clean accuracy on the test split.
        selection: Clean accuracy on the selection split.
        parameters: All weights, embeddings included.
        encoder_parameters: The weights of the transformer layers, which is what a ticket cuts.
        bytes: Size of the saved weights.
        attacks: What each attack did to it, by the attack's name.
    """

    test: Accuracy
    selection: Accuracy
    parameters: int
    encoder_parameters: int
    bytes: int
    attacks: dict[str, AttackRecord] = field(default_factory=dict)


@dataclass(frozen=True)
class TicketRecord:
    """A ticket in numbers: what each layer keeps, of how many."""

    heads: int
    neurons: int
    heads_per_layer: list[int]
    neurons_per_layer: list[int]

    @property
    def heads_kept(self) -> tuple[int, int]:
        """Heads kept, of all."""
        return sum(self.heads_per_layer), self.heads * len(self.heads_per_layer)

    @property
    def neurons_kept(self) -> tuple[int, int]:
        """Neurons kept, of all."""
        return sum(self.neurons_per_layer), self.neurons * len(self.neurons_per_layer)

    @classmethod
    def of(cls, ticket: Ticket) -> TicketRecord:
        """The numbers of a ticket."""
        return cls(
            heads=ticket.heads.shape[1],
            neurons=ticket.neurons.shape[1],
            heads_per_layer=ticket.heads_per_layer,
            neurons_per_layer=ticket.neurons_per_layer,
        )


@dataclass(frozen=True)
class WeightsRecord:
    """A ticket over single weights in numbers.

    Attributes:
        kept: Weights that are not zero.
        total: Weights that the ticket is about.
    """

    kept: int
    total: int


@dataclass(frozen=True)
class SearchRecord:
    """How a search went.

    Attributes:
        stop_reason: "converged", "fixed" or "limit".
        epochs: Epochs of the training data that the search used.
        steps_per_epoch: Optimiser steps of an epoch.
        steps_per_miniepoch: Optimiser steps of a miniepoch.
        miniepochs: Distances and streak at the end of each.
        head_distances: Distance of the head masks of every two miniepochs (the paper's Figure 2).
        neuron_distances: The same for the neuron masks.
    """

    stop_reason: str
    epochs: float
    steps_per_epoch: int
    steps_per_miniepoch: int
    miniepochs: list[Miniepoch]
    head_distances: list[list[float]]
    neuron_distances: list[list[float]]

    @classmethod
    def of(cls, ticket: Ticket) -> SearchRecord | None:
        """The search that a ticket came from; None for a ticket that was not searched."""
        trace = ticket.trace
        if trace is None:
            return None
        return cls(
            stop_reason=trace.stop_reason,
            epochs=trace.epochs,
            steps_per_epoch=trace.steps_per_epoch,
            steps_per_miniepoch=trace.steps_per_miniepoch,
            miniepochs=list(trace.miniepochs),
            head_distances=[[mask_distance(a, b) for b in trace.head_masks] for a in trace.head_masks],
            neuron_distances=[[mask_distance(a, b) for b in trace.neuron_masks] for a in trace.neuron_masks],
        )


@dataclass(frozen=True)
class SpeedRecord:
    """Forward pass of the cut model relative to the dense one, measured in turns on the same batches.

    Attributes:
        time_ratio: Median time of the cut model / median time of the dense model.
        flops_ratio: The same ratio of floating-point operations in the transformer layers.
        batch_size: Examples in a batch.
        tokens: Length of the batches in tokens.
    """

    time_ratio: float
    flops_ratio: float
    batch_size: int
    tokens: int


@dataclass(frozen=True)
class RunRecord:
    """Everything about one run.

    Attributes:
        method: Name of the method that trained `model`.
        config: The resolved options.
        data: What it was trained and tested on.
        environment: Where it ran.
        seconds: Wall-clock seconds of each stage; preparing the data and evaluating have their own.
        ticket: What the ticket keeps; None without one, or if it is one over single weights.
        search: How it was found; None for a ticket that was not searched.
        ticket_origin: Facts that travel with the ticket: its method, task, model, seed and settings.
        model: The classifier that was trained by the method.
        dense: The same encoder, fine-tuned whole; None where it was not trained.
        speed: Cut against dense; None where there is no dense model.
        weights: What a ticket over single weights keeps; None without one.
        schema_version: Version of this layout.
    """

    method: str
    config: dict[str, Any]
    data: DataRecord
    environment: EnvironmentRecord
    seconds: dict[str, float]
    ticket: TicketRecord | None
    search: SearchRecord | None
    ticket_origin: dict[str, Any]
    model: ModelRecord
    dense: ModelRecord | None = None
    speed: SpeedRecord | None = None
    weights: WeightsRecord | None = None
    schema_version: int = field(default=SCHEMA_VERSION)

    @property
    def title(self) -> str:
        """What the model is called beside the dense one: the ticket, or the method's name."""
        return self.method if self.ticket is None and self.weights is None else "ticket"

    @property
    def attacks(self) -> dict[str, AttackRecord]:
        """What each attack did to the dense model and to the method's, by a title."""
        title = "ticket" if self.title == "ticket" else f"{self.title} model"
        models = {"dense model": self.dense, title: self.model}
        return {
            f"{name} on the {title}": record
            for title, model in models.items()
            if model is not None
            for name, record in model.attacks.items()
        }

    def save(self, folder: Path) -> None:
        """Write the record into a run's folder as `result.json`."""
        write_json(folder / RECORD_NAME, dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: Path) -> RunRecord:
        """Read the record of a run.

        Raises:
            OutputError: If there is none, it is damaged, or it was written by a newer version.
        """
        path = folder / RECORD_NAME
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            version = content["schema_version"]
            if version > SCHEMA_VERSION:
                raise OutputError(
                    f"The record '{path}' has layout {version}, newer than the {SCHEMA_VERSION} that this "
                    "version reads: update earlyrobust."
                )
            return TypeAdapter(cls).validate_python(content)
        except FileNotFoundError as error:
            raise OutputError(f"There is no finished run in '{folder}': {RECORD_NAME} is missing.") from error
        except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
            raise OutputError(f"The record '{path}' is damaged and cannot be read.") from error
