"""`earlyrobust report`: renders reports from records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from earlyrobust.cli.options import expanded


def report(
    folders: Annotated[
        list[Path],
        typer.Argument(help="Folders of finished runs, comparisons or experiments.", callback=expanded),
    ],
) -> None:
    """Render the report of a run, a comparison or an experiment again, from its records alone."""
    from earlyrobust.reports.pages import render_report

    for folder in folders:
        for file in render_report(folder):
            typer.echo(file)
