"""`earlyrobust list`: lists methods, attacks, tasks, model families and experiments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from earlyrobust.pipeline.method_costs import StepCost


class Kind(StrEnum):
    """The kinds of things that the command can list."""

    methods = "methods"
    attacks = "attacks"
    tasks = "tasks"
    families = "families"
    experiments = "experiments"


def listing(
    kind: Annotated[Kind | None, typer.Argument(help="Kind to list.", show_default="all")] = None,
) -> None:
    """List the methods, attacks, tasks, model families and experiments that this version knows."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    rows: dict[Kind, Callable[[], Sequence[tuple[str, ...]]]]
    rows = {Kind.methods: _methods, Kind.attacks: _attacks, Kind.tasks: _tasks, Kind.families: _families}
    rows[Kind.experiments] = _experiments
    for shown in [kind] if kind is not None else list(Kind):
        table = Table(
            title=shown.value.capitalize(), title_justify="left", show_header=False, box=None, pad_edge=False
        )
        for row in rows[shown]():
            table.add_row(*row)
        console.print(table, "")
    if kind in (Kind.methods, None):
        console.print(_about_costs(), "", style="dim")
    if kind in (Kind.experiments, None):
        console.print(_about_scales(), "", style="dim")


def _methods() -> list[tuple[str, ...]]:
    from earlyrobust.options.methods import METHODS
    from earlyrobust.pipeline.method_costs import measured_costs

    costs = measured_costs().methods
    return [
        (name, method.description, _cost(costs[name].search), _cost(costs[name].training))
        if name in costs
        else (name, method.description, "", "not measured")
        for name, method in METHODS.items()
    ]


def _about_costs() -> str:
    from earlyrobust.pipeline.method_costs import measured_costs

    return (
        "Cost of a training step with default settings: forward-backward passes / time relative to a step of "
        "finetune. The first cost is that of the search, if the method has one; the second is that of the "
        f"fine-tuning. Measured on {measured_costs().measured_on}."
    )


def _attacks() -> list[tuple[str, str]]:
    from earlyrobust.attacks import ATTACKS
    from earlyrobust.extensions import installed

    others = [(name, f"from {entry.value}") for name, entry in installed("attack").items()]
    return [*ATTACKS.described().items(), *others]


def _tasks() -> list[tuple[str, str]]:
    from earlyrobust.data.tasks import TASKS

    return [(task.name, task.description) for task in TASKS.values()]


def _families() -> list[tuple[str, str]]:
    from earlyrobust.families import FAMILIES

    return [*FAMILIES.described().items()]


def _experiments() -> list[tuple[str, str]]:
    from earlyrobust.experiments.paper import EXPERIMENTS

    return [(name, experiment.title) for name, experiment in EXPERIMENTS.items()]


def _about_scales() -> str:
    from earlyrobust.experiments.paper import SCALES

    return "\n".join(["Scales:", *(f"  {name}: {scale.description}" for name, scale in SCALES.items())])


def _cost(cost: StepCost | None) -> str:
    return "" if cost is None else f"{cost.passes:.1f} / {cost.time:.1f}"
