"""The command line, one file a command. PyTorch is imported when a command runs, so that help is instant."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from earlyrobust import __version__, processes
from earlyrobust.cli import (
    attack,
    benchmark,
    compare,
    evaluate,
    export,
    finetune,
    listing,
    predict,
    replay,
    report,
    reproduce,
    resources,
    run,
    search,
    ticket,
)
from earlyrobust.cli.examples import ending
from earlyrobust.errors import EarlyRobustError, explain

# Taken off the line before it is read: one thinks of it last.
_DEBUG = "--debug"
# How Typer ends a command that is interrupted.
_INTERRUPTED = 130
# Seconds within which the first process of a machine finds what another has found.
_PATIENCE = 30

app = typer.Typer(
    help="Robust early-bird tickets: make Hugging Face text classifiers robust and small, cheaply.",
    no_args_is_help=True,
    add_completion=True,
    context_settings={"help_option_names": ["-h", "--help"]},
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
    debug: Annotated[
        bool, typer.Option(_DEBUG, help="Show where in the program an error arose; anywhere on the line.")
    ] = False,
) -> None:
    pass


app.command("run", epilog=ending("run"))(run.run)
app.command("search", epilog=ending("search"))(search.search)
app.command("finetune", epilog=ending("finetune"))(finetune.finetune)
app.command("compare", epilog=ending("compare"))(compare.compare)
app.command("reproduce", epilog=ending("reproduce"))(reproduce.reproduce)
app.command("report", epilog=ending("report"))(report.report)
app.command("attack", epilog=ending("attack"))(attack.attack)
app.command("replay", epilog=ending("replay"))(replay.replay)
app.command("evaluate", epilog=ending("evaluate"))(evaluate.evaluate)
app.command("predict", epilog=ending("predict"))(predict.predict)
app.command("benchmark", epilog=ending("benchmark"))(benchmark.benchmark)
app.command("export", epilog=ending("export"))(export.export)
app.add_typer(ticket.app, name="ticket")
app.command("list", epilog=ending("list"))(listing.list_)
app.command("resources", epilog=ending("resources"))(resources.resources)


def main() -> None:
    """Run the command line: exit code 2 and one sentence where the user can mend what is wrong."""
    debug = _DEBUG in sys.argv
    try:
        app([argument for argument in sys.argv[1:] if argument != _DEBUG])
    except SystemExit as end:
        # A command that had begun has said so itself; one that was still loading PyTorch has not.
        if end.code == _INTERRUPTED and end.__cause__ is None:
            sys.stderr.write("Interrupted.\n")
        raise
    except Exception as error:
        if debug:
            raise
        sentence = explain(error)
        if isinstance(error, EarlyRobustError) and not processes.is_first_on_its_machine():
            # What the user got wrong all processes of a machine find alike, and one says it. When any ends
            # the launcher ends the others, that one unheard: these wait to be ended.
            time.sleep(_PATIENCE)
        sys.stderr.write(f"Error: {sentence or _unforeseen(error)}\n")
        sys.exit(1 if sentence is None else 2)


def _unforeseen(error: Exception) -> str:
    reason = " ".join(str(error).split())
    return (
        f"Something that earlyrobust did not foresee ({type(error).__name__}: {reason}): what is done is "
        f"kept; add {_DEBUG} to see where it arose, and report it."
    )
