"""`earlyrobust list`: what there is to choose from."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Kind(StrEnum):
    """What can be listed."""

    methods = "methods"
    attacks = "attacks"
    tasks = "tasks"
    families = "families"


def list_(
    kind: Annotated[Kind | None, typer.Argument(help="What to list.", show_default="all")] = None,
) -> None:
    """List the methods, attacks, tasks and model families that this version knows."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    rows = {Kind.methods: _methods, Kind.attacks: _attacks, Kind.tasks: _tasks, Kind.families: _families}
    for shown in [kind] if kind is not None else list(Kind):
        table = Table(
            title=shown.value.capitalize(), title_justify="left", show_header=False, box=None, pad_edge=False
        )
        for row in rows[shown]():
            table.add_row(*row)
        console.print(table, "")


def _methods() -> list[tuple[str, str]]:
    from earlyrobust.pipeline.methods import METHODS

    return [(name, method.description) for name, method in METHODS.items()]


def _attacks() -> list[tuple[str, str]]:
    from earlyrobust.attacks import ATTACKS

    return [(name, attack.description) for name, attack in ATTACKS.items()]


def _tasks() -> list[tuple[str, str]]:
    from earlyrobust.data.tasks import TASKS

    return [(task.name, task.description) for task in TASKS.values()]


def _families() -> list[tuple[str, str]]:
    from earlyrobust.families import FAMILIES

    return [(name, f"models of type '{family.model_type}'") for name, family in FAMILIES.items()]
