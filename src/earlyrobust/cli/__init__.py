"""The command line, one file a command. PyTorch is imported when a command runs, so that help is instant."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from earlyrobust import __version__
from earlyrobust.cli import (
    attack,
    benchmark,
    compare,
    evaluate,
    export,
    finetune,
    listing,
    report,
    reproduce,
    resources,
    run,
    search,
    ticket,
)
from earlyrobust.errors import EarlyRobustError

app = typer.Typer(
    help="Robust early-bird tickets: make Hugging Face text classifiers robust and small, cheaply.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"earlyrobust {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


app.command("run")(run.run)
app.command("search")(search.search)
app.command("finetune")(finetune.finetune)
app.command("compare")(compare.compare)
app.command("reproduce")(reproduce.reproduce)
app.command("report")(report.report)
app.command("attack")(attack.attack)
app.command("evaluate")(evaluate.evaluate)
app.command("benchmark")(benchmark.benchmark)
app.command("export")(export.export)
app.add_typer(ticket.app, name="ticket")
app.command("list")(listing.list_)
app.command("resources")(resources.resources)


def main() -> None:
    """Run the command line: exit code 2 and one sentence where the user can mend what is wrong."""
    try:
        app()
    except EarlyRobustError as error:
        sys.stderr.write(f"Error: {error}\n")
        sys.exit(2)
