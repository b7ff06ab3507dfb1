"""Gives the cost of a training step of each method, relative to a step of ordinary fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

# The script `benchmarks/method_cost.py` writes this file.
COSTS_FILE = Path(__file__).with_name("method_costs.json")


@dataclass(frozen=True)
class StepCost:
    """The cost of one training step.

    Attributes:
        passes: Number of forward-backward passes over the model. A pass back to the embeddings, without the
            gradients of weights, counts as two thirds.
        time: Measured time, relative to a step of ordinary fine-tuning.
    """

    passes: float
    time: float


@dataclass(frozen=True)
class MethodCost:
    """The costs of a method's steps.

    Attributes:
        training: Cost of a step of its fine-tuning, on the cut model if the method cuts one.
        search: Cost of a step of its ticket search; None if the method has no search.
    """

    training: StepCost
    search: StepCost | None = None


@dataclass(frozen=True)
class MeasuredCosts:
    """The measured costs of all methods, with the conditions of the measurement.

    Attributes:
        measured_on: Encoder, batch and machine, in words.
        methods: The cost of each method by its name.
    """

    measured_on: str
    methods: dict[str, MethodCost]


def measured_costs() -> MeasuredCosts:
    """Read the costs measured for this version."""
    return TypeAdapter(MeasuredCosts).validate_json(COSTS_FILE.read_bytes())
