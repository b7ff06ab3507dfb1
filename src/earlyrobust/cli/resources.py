"""`earlyrobust resources`: shows the resources of attacks and their places on this machine."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earlyrobust.cli.options import expanded

if TYPE_CHECKING:
    from rich.console import Console


class Fetchable(StrEnum):
    """The resources that the command can download."""

    counter_fitted = "counter-fitted"


def resources(
    fetch: Annotated[
        Fetchable | None,
        typer.Option(
            help="Download these vectors, then list the resources. Otherwise the command uses no network."
        ),
    ] = None,
    nltk_data: Annotated[
        Path | None,
        typer.Option(help="Folder of NLTK's data.", show_default="where NLTK looks", callback=expanded),
    ] = None,
) -> None:
    """Show which resources of attacks are on this machine, and how to get those that are missing."""
    from rich.console import Console
    from rich.table import Table

    from earlyrobust.attacks.resources.availability import find_resources

    console = Console(highlight=False, markup=False)  # commands may contain brackets
    if fetch is Fetchable.counter_fitted:
        _fetch_counterfitted(console)
    table = Table("resource", "purpose", "place", "source", show_lines=True)
    for column in table.columns:
        column.overflow = "fold"  # users cannot copy a shortened path or command
    for resource in find_resources(nltk_data):
        table.add_row(resource.name, resource.purpose, resource.place or "missing", resource.how)
    console.print(table)


def _fetch_counterfitted(console: Console) -> None:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from earlyrobust.attacks.resources.counterfitted import fetch_counterfitted

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("counter-fitted vectors", total=None)
        path = fetch_counterfitted(
            progress=lambda done, total: progress.update(bar, completed=done, total=total)
        )
    console.print(f"The counter-fitted vectors are in {path}.", soft_wrap=True)
