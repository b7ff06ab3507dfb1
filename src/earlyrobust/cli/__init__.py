"""The command line. Each command has its own module, which is imported when the command is first used.

PyTorch is imported only when a command runs.
"""

from __future__ import annotations

import sys
import time
from functools import cache
from importlib import import_module
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

from earlyrobust import __version__, processes
from earlyrobust.cli.examples import ending
from earlyrobust.errors import EarlyRobustError, explain

# Removed from the arguments before Typer reads them, so users can add it anywhere, also at the end.
_DEBUG = "--debug"
# Exit code of Typer for an interrupted command.
_INTERRUPTED = 130
# Seconds within which the first process of a machine should meet the same error as the others.
_PATIENCE = 30

# Command → module. The module holds a function with the name of the module, or a group of commands as `app`.
COMMANDS = {
    name: "listing" if name == "list" else name
    for name in (
        *("run", "search", "finetune", "compare", "reproduce", "report", "attack", "replay", "evaluate"),
        *("predict", "benchmark", "export", "ticket", "list", "resources"),
    )
}


@cache
def load_command(name: str) -> TyperCommand | TyperGroup:
    """Import a command by its name."""
    module = import_module(f"{__name__}.{COMMANDS[name]}")
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(rich_markup_mode="rich", add_completion=False)
        app.command(name, epilog=ending(name))(getattr(module, COMMANDS[name]))
    command = cast("TyperCommand | TyperGroup", typer.main.get_command(app))
    command.name = name
    return command


class Commands(TyperGroup):
    """The group of all commands; imports each command when it is first used."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands."""
        return [*COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | TyperGroup | None:
        """Return a command by its name; None if no command has this name."""
        return load_command(cmd_name) if cmd_name in COMMANDS else None


app = typer.Typer(
    cls=Commands,
    help="Make Hugging Face text classifiers smaller, train them against attacks, and attack them.",
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
        bool, typer.Option(_DEBUG, help="Show the traceback of an error; allowed anywhere on the line.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line.

    An error that the user can correct ends with exit code 2 and one sentence. An unexpected error ends with
    exit code 1.
    """
    debug = _DEBUG in sys.argv
    try:
        app([argument for argument in sys.argv[1:] if argument != _DEBUG])
    except SystemExit as end:
        # A running command reports the interrupt itself. A command that was still loading PyTorch has not.
        if end.code == _INTERRUPTED and end.__cause__ is None:
            sys.stderr.write("Interrupted.\n")
        raise
    except Exception as error:
        if debug:
            raise
        sentence = explain(error)
        if isinstance(error, EarlyRobustError) and not processes.is_first_on_its_machine():
            # All processes of a machine find a mistake of the user, and only the first one reports it. The
            # launcher ends all processes as soon as one ends. So the others wait for the report of the first.
            time.sleep(_PATIENCE)
        sys.stderr.write(f"Error: {sentence or _unforeseen(error)}\n")
        sys.exit(1 if sentence is None else 2)


def _unforeseen(error: Exception) -> str:
    reason = " ".join(str(error).split())
    return (
        f"earlyrobust failed unexpectedly ({type(error).__name__}: {reason}): the finished results are kept; "
        f"add {_DEBUG} to see the traceback, and report the error."
    )
