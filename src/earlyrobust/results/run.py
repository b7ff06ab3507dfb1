"""The record of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from earlyrobust.results.attack import AttackRecord
from earlyrobust.results.confusion import Confusion
from earlyrobust.results.records import SCHEMA_VERSION, EnvironmentRecord, SavedRecord
from earlyrobust.results.training import TrainingLog
from earlyrobust.statistics.measures import Accuracy
from earlyrobust.tickets.drawing import mask_distance
from earlyrobust.tickets.ticket import Miniepoch, Ticket

RECORD_NAME = "result.json"
# Folder of the trained classifier, within the folder of the run.
MODEL_FOLDER = "model"


@dataclass(frozen=True)
class DataRecord:
    """The data of a run.

    Attributes:
        name: Name of the task or file.
        fingerprint: Hash over the content of the data.
        sizes: Number of rows of each split.
        label_names: Names of the classes.
        largest_class: Share of the largest class in the test split; None in the record of an older version.
        classes: Number of rows of each class, by split.
        merged_labels: For each spelling of a label that was merged into a class, the class.
        duplicates: Numbers of rows with repeated texts, within the splits and across them: see
            `earlyrobust.data.duplicates.count_repeats`.
        max_length: Largest number of tokens of a text that the model reads; None without a limit.
        cut: Number of texts that are longer than `max_length` and lose their end, by split.
        reads_more: Whether the model could read more tokens than `max_length`; None in the record of an older
            version.
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
    reads_more: bool | None = None


@dataclass(frozen=True)
class ModelRecord:
    """The size and the results of a trained classifier.

    Attributes:
        test: Clean accuracy on the test split.
        selection: Clean accuracy on the selection split.
        parameters: Number of all weights, embeddings included.
        encoder_parameters: Number of weights in the transformer layers, which a ticket cuts.
        bytes: Size of the saved weights, in bytes.
        attacks: The record of each attack, by name.
        classes_named: Number of classes that the classifier predicts on the test split; None in the record of
            an older version.
        swapped: For each class of the test split that seems to be swapped, the class that is predicted
            instead.
        calibration_error: Expected calibration error on the test split, from 0 to 1; None in the record of an
            older version.
        confusion: Confusion matrix on the test split; None in the record of an older version.
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
    """The size of a ticket.

    Attributes:
        heads: Number of attention heads of a layer before the cut.
        neurons: Number of FFN neurons of a layer before the cut.
        heads_per_layer: Number of heads that each layer keeps.
        neurons_per_layer: Number of neurons that each layer keeps.
    """

    heads: int
    neurons: int
    heads_per_layer: list[int]
    neurons_per_layer: list[int]

    @property
    def heads_kept(self) -> tuple[int, int]:
        """Number of kept heads, and number of all heads."""
        return sum(self.heads_per_layer), self.heads * len(self.heads_per_layer)

    @property
    def neurons_kept(self) -> tuple[int, int]:
        """Number of kept neurons, and number of all neurons."""
        return sum(self.neurons_per_layer), self.neurons * len(self.neurons_per_layer)

    @classmethod
    def of(cls, ticket: Ticket) -> TicketRecord:
        """Count the heads and neurons of a ticket."""
        return cls(
            heads=ticket.heads.shape[1],
            neurons=ticket.neurons.shape[1],
            heads_per_layer=ticket.heads_per_layer,
            neurons_per_layer=ticket.neurons_per_layer,
        )


@dataclass(frozen=True)
class WeightsRecord:
    """The size of a ticket over single weights.

    Attributes:
        kept: Number of weights that the ticket keeps.
        total: Number of weights that the ticket covers.
    """

    kept: int
    total: int


@dataclass(frozen=True)
class SearchRecord:
    """The course of a search.

    Attributes:
        stop_reason: Reason of the stop: "converged", "fixed", "limit" or "callback".
        epochs: Number of epochs over the training data.
        steps_per_epoch: Number of optimiser steps in an epoch.
        steps_per_miniepoch: Number of optimiser steps in a miniepoch.
        miniepochs: Mask distances and streak at the end of each miniepoch.
        head_distances: Distances between the head masks of all pairs of miniepochs (the paper's Figure 2),
            shape (miniepochs, miniepochs).
        neuron_distances: Distances between the neuron masks of all pairs of miniepochs, shape (miniepochs,
            miniepochs).
        settled_since: Number of epochs after which the first of the settled masks was drawn; None if the
            masks never settled, or in the record of an older version.
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
        """Whether the search has at least two miniepochs, so masks could be compared."""
        return len(self.miniepochs) > 1

    @classmethod
    def of(cls, ticket: Ticket) -> SearchRecord | None:
        """Return the search of a ticket; None for a ticket that was not searched."""
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


# A ratio of times is plausible down to this share of the ratio of operations.
_PLAUSIBLE = 0.85


@dataclass(frozen=True)
class SpeedRecord:
    """The time of a forward pass of the cut model, relative to the dense model.

    Both models are timed in turns on the same batches.

    Attributes:
        time_ratio: Median time of the cut model / median time of the dense model.
        flops_ratio: Floating-point operations in the transformer layers of the cut model / of the dense
            model.
        batch_size: Number of examples in a batch.
        tokens: Length of the batches in tokens.
    """

    time_ratio: float
    flops_ratio: float
    batch_size: int
    tokens: int

    @property
    def plausible_time_ratio(self) -> float | None:
        """The ratio of times; None if it is far below the ratio of operations.

        Fewer operations cannot save so much time. Then other work on the machine disturbed the measurement.
        """
        return self.time_ratio if self.time_ratio > _PLAUSIBLE * self.flops_ratio else None


@dataclass(frozen=True)
class RunRecord(SavedRecord):
    """The settings and results of a run.

    Attributes:
        method: Name of the method that trained `model`.
        config: The resolved options.
        data: The data of the run.
        environment: Hardware and software of the run.
        seconds: Wall-clock seconds of each stage, by name: "data" for the preparation of the data, "dense",
            "ticket" and "model". The time of the evaluation is not included.
        ticket: Size of the ticket; None without a ticket, or for a ticket over single weights.
        search: The search of the ticket; None for a ticket that was not searched.
        ticket_origin: Origin of the ticket, as saved with it: method, task, model, seed and settings.
        model: The classifier that the method trained.
        dense: The dense model: the whole encoder after plain fine-tuning, or the given classifier. None
            without a dense model.
        speed: Speed of the cut model relative to the dense encoder; None for a model that is not cut.
        weights: Size of a ticket over single weights; None without such a ticket.
        needs_dense: Whether the ticket was searched on the dense model. The training of the dense model then
            counts as part of the method.
        findings: Problems of the run, with advice: see `find_faults`.
        training: The log of the training of each stage; empty in the record of an older version.
        choices: Notes on the choices of the run, a sentence each: for example, which weights were loaded, and
            which weights beside the head were initialised at random.
        given: Whether the training started from a trained classifier; `dense` is then this classifier without
            any training.
        word_sources: Names of the sources of neighbours with which the training of `model` replaced words;
            empty without noise and word swaps, or in the record of an older version.
        schema_version: Version of this layout.
    """

    FILE: ClassVar[str] = RECORD_NAME
    MISSING: ClassVar[str] = "There is no finished run in '{folder}': result.json is missing."

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
    word_sources: list[str] = field(default_factory=list)
    schema_version: int = field(default=SCHEMA_VERSION)

    @property
    def rival(self) -> str:
        """Name of `dense` in a sentence."""
        return "classifier as it came" if self.given else "dense model"

    @property
    def column_of_dense(self) -> str:
        """Heading of `dense` in a table."""
        return "as given" if self.given else "dense"

    @property
    def training_seconds(self) -> float:
        """Seconds of all training of `model`, with the search, without the preparation of the data."""
        stages = ("dense", "ticket", "model") if self.needs_dense else ("ticket", "model")
        return sum(self.seconds.get(stage, 0.0) for stage in stages)

    @property
    def is_guess(self) -> bool:
        """Whether `model` may always name one class, see `guesses`.

        This is the case after the training has collapsed. No attack changes the answers of such a model, so
        its accuracy under attack is high and means nothing.
        """
        return self.guesses(self.model)

    def guesses(self, model: ModelRecord) -> bool:
        """Return whether a model of the run may always name one class.

        Such a model is no more accurate than that, and its answers do not depend on the right classes.
        """
        depends = model.confusion is not None and model.confusion.depends_on_classes
        return not (depends or model.test.beats(self.chance))

    @property
    def chance(self) -> float:
        """Accuracy of always naming one class: the largest one, if its share is known."""
        share = self.data.largest_class
        return 1 / len(self.data.label_names) if share is None else share

    @property
    def title(self) -> str:
        """Name of `model` beside the dense model: "ticket", or the name of the method."""
        return self.method if self.ticket is None and self.weights is None else "ticket"

    @property
    def attacks(self) -> dict[str, AttackRecord]:
        """The records of all attacks on the dense model and on `model`, by a title."""
        title = "ticket" if self.title == "ticket" else f"{self.title} model"
        models = {self.rival: self.dense, title: self.model}
        return {
            f"{name} on the {title}": record
            for title, model in models.items()
            if model is not None
            for name, record in model.attacks.items()
        }
