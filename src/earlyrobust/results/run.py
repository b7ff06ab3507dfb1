"""The record of a run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earlyrobust.results.attack import AttackRecord
from earlyrobust.results.confusion import Confusion
from earlyrobust.results.records import SCHEMA_VERSION, EnvironmentRecord, read_record
from earlyrobust.results.training import TrainingLog
from earlyrobust.statistics.measures import Accuracy
from earlyrobust.storage import write_json
from earlyrobust.tickets.drawing import mask_distance
from earlyrobust.tickets.ticket import Miniepoch, Ticket

RECORD_NAME = "result.json"
# The folder of the classifier that a run made, within the folder of the run.
MODEL_FOLDER = "model"


@dataclass(frozen=True)
class DataRecord:
    """What a model was trained and tested on.

    Attributes:
        name: Of the task or file.
        fingerprint: Hash over all its content.
        sizes: Rows of each split.
        label_names: The classes.
        largest_class: Share of the largest class in the test split; None in the record of an older version.
        classes: Rows of each class, by split.
        merged_labels: Spellings of a label that count as another one: spelling → class.
        duplicates: Numbers of rows with repeated texts, within the splits and across them: see
            `earlyrobust.data.duplicates.count_repeats`.
        max_length: Most tokens of a text that the model reads; None where nothing limits them.
        cut: Number of texts that are longer and lose their end, by split.
    """

    name: str
    fingerprint: str
    sizes: dict[str, int]
    label_names: list[str]
    largest_class: float | None = None
    classes: dict[str, dict[str, int]] = field(default_factory=dict)
    merged_labels: dict[str, str] = field(default_factory=dict)
    duplicates: dict[str, int] = field(default_factory=dict)
    max_length: int | None = None
    cut: dict[str, int] = field(default_factory=dict)


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
        classes_named: Number of classes that it names on the test split; None in an older version's record.
        swapped: Classes of the test split that it seems to take for one another: class → class that it names.
        calibration_error: Expected calibration error on the test split, a share; None in an older version's
            record.
        confusion: Its answers on the test split by class; None in an older version's record.
    """

    test: Accuracy
    selection: Accuracy
    parameters: int
    encoder_parameters: int
    bytes: int
    attacks: dict[str, AttackRecord] = field(default_factory=dict)
    classes_named: int | None = None
    swapped: dict[str, str] = field(default_factory=dict)
    calibration_error: float | None = None
    confusion: Confusion | None = None


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
        settled_since: Epochs after which the first of the settled masks was drawn; None if they never
            settled, or in the record of an older version.
    """

    stop_reason: str
    epochs: float
    steps_per_epoch: int
    steps_per_miniepoch: int
    miniepochs: list[Miniepoch]
    head_distances: list[list[float]]
    neuron_distances: list[list[float]]
    settled_since: float | None = None

    @property
    def has_distances(self) -> bool:
        """Whether masks could be compared: it takes two miniepochs."""
        return len(self.miniepochs) > 1

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
            settled_since=trace.settled_since,
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
        dense: The same encoder, fine-tuned whole, or the classifier that was given; None where there is none.
        speed: The cut model against the dense encoder; None for a model that is not cut.
        weights: What a ticket over single weights keeps; None without one.
        needs_dense: Whether the ticket was searched on the dense model, whose training is then part of it.
        findings: What has gone wrong, and what to try: see `find_faults`.
        training: What the training of each stage logged; empty in the record of an older version.
        choices: Which weights were chosen where there was a choice, and what was made up beside the head, a
            sentence each.
        given: Whether the training started from a trained classifier; `dense` is then this classifier without
            any training.
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
    needs_dense: bool = False
    findings: list[str] = field(default_factory=list)
    training: dict[str, TrainingLog] = field(default_factory=dict)
    choices: list[str] = field(default_factory=list)
    given: bool = False
    schema_version: int = field(default=SCHEMA_VERSION)

    @property
    def rival(self) -> str:
        """The name of `dense` in a sentence."""
        return "classifier as it came" if self.given else "dense model"

    @property
    def column_of_dense(self) -> str:
        """The heading of `dense` in a table."""
        return "as given" if self.given else "dense"

    @property
    def training_seconds(self) -> float:
        """Seconds of all training that `model` took, its search included, the data's preparation not."""
        stages = ("dense", "ticket", "model") if self.needs_dense else ("ticket", "model")
        return sum(self.seconds.get(stage, 0.0) for stage in stages)

    @property
    def is_guess(self) -> bool:
        """Whether `model` may as well always name one class, as one does whose training has collapsed.

        No attack changes the answers of such a model: its accuracy under attack is high and means nothing.
        """
        return self.guesses(self.model)

    def guesses(self, model: ModelRecord) -> bool:
        """Whether one of the run's models may do so."""
        return not model.test.beats(self.chance)

    @property
    def chance(self) -> float:
        """The accuracy of always naming one class: the largest, if its share is known."""
        share = self.data.largest_class
        return 1 / len(self.data.label_names) if share is None else share

    @property
    def title(self) -> str:
        """What the model is called beside the dense one: the ticket, or the method's name."""
        return self.method if self.ticket is None and self.weights is None else "ticket"

    @property
    def attacks(self) -> dict[str, AttackRecord]:
        """What each attack did to the dense model and to the method's, by a title."""
        title = "ticket" if self.title == "ticket" else f"{self.title} model"
        models = {self.rival: self.dense, title: self.model}
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
        missing = f"There is no finished run in '{folder}': {RECORD_NAME} is missing."
        return read_record(folder / RECORD_NAME, cls, missing)
