"""The command line, one file a command. A command is imported when it is used, and PyTorch when it runs."""

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

# Taken off the line before it is read: one thinks of it last.
_DEBUG = "--debug"
# How Typer ends a command that is interrupted.
_INTERRUPTED = 130
# Seconds within which the first process of a machine finds what another has found.
_PATIENCE = 30

# By its name the module of a command. The module holds a function of this name, or a group of commands.
COMMANDS = {
    name: "listing" if name == "list" else name
    for name in (
        *("run", "search", "finetune", "compare", "reproduce", "report", "attack", "replay", "evaluate"),
        *("predict", "benchmark", "export", "ticket", "list", "resources"),
    )
}


@cache
def load_command(name: str) -> TyperCommand | TyperGroup:
    """Import a command."""
    module = import_module(f"{__name__}.{COMMANDS[name]}")
    app = getattr(module, "app", None)
    if app is None:
        app = typer.Typer(rich_markup_mode="rich", add_completion=False)
        app.command(name, epilog=ending(name))(getattr(module, COMMANDS[name]))
    command = cast("TyperCommand | TyperGroup", typer.main.get_command(app))
    command.name = name
    return command


class Commands(TyperGroup):
    """The commands, each imported when it is first used."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands."""
        return [*COMMANDS]

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | TyperGroup | None:
        """Return a command; None if there is no command of this name."""
        return load_command(cmd_name) if cmd_name in COMMANDS else None


app = typer.Typer(
    cls=Commands,
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
