"""What a training step of each method costs, relative to one of ordinary fine-tuning."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

# Written by `benchmarks/method_cost.py`.
COSTS_FILE = Path(__file__).with_name("method_costs.json")


@dataclass(frozen=True)
class StepCost:
    """The cost of one training step.

    Attributes:
        passes: Forward-backward passes over the model at hand; one as far as the embeddings is two thirds.
        time: Measured, relative to a step of ordinary fine-tuning.
    """

    passes: float
    time: float


@dataclass(frozen=True)
class MethodCost:
    """The cost of a method's steps.

    Attributes:
        training: A step of its fine-tuning, on the cut model if it cuts one.
        search: A step of its ticket search, None if it has none.
    """

    training: StepCost
    search: StepCost | None = None


@dataclass(frozen=True)
class MeasuredCosts:
    """What was measured, and on what.

    Attributes:
        measured_on: Encoder, batch and machine, in words.
        methods: By the method's name.
    """

    measured_on: str
    methods: dict[str, MethodCost]


def measured_costs() -> MeasuredCosts:
    """Read the costs that were measured for this version."""
    return TypeAdapter(MeasuredCosts).validate_json(COSTS_FILE.read_bytes())
