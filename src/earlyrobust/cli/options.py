"""Makes the flags of commands from options. The fields in `earlyrobust.options` describe each option."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from earlyrobust.errors import ConfigError
from earlyrobust.options.base import Description
from earlyrobust.options.places import at_home

Command = TypeVar("Command", bound=Callable[..., None])
# Name of an option → its annotated type, as Typer reads it.
Flags = dict[str, Any]


def expanded(value: Any) -> Any:
    """Return a path of the command line, or several, with the home folder in place of a `~` that begins it.

    Every parameter that names a path has this callback. Options expand their values themselves, too, because
    they may come from Python or YAML.
    """
    if isinstance(value, list):
        return [expanded(one) for one in value]
    if isinstance(value, Path):
        return at_home(value)
    return at_home(value) if isinstance(value, str) else value


Model = Annotated[
    str,
    typer.Argument(
        help="Classifier, cut or not: its folder, the folder of a run, or a name on the hub.",
        callback=expanded,
    ),
]
CONFIG: Flags = {
    "config": Annotated[
        Path | None,
        typer.Option(
            help="YAML file of options, named like the flags; flags win.",
            show_default=False,
            callback=expanded,
        ),
    ]
}
NO_ATTACK: Flags = {
    "no_attack": Annotated[
        bool, typer.Option("--no-attack", help="Do not attack the classifier.", rich_help_panel="Attack")
    ]
}


def flag(kind: type, help_: str, shown: str, panel: str | None = None) -> Any:
    """Return the annotated type of a flag that is None unless the user gives it.

    Args:
        kind: Type of the value.
        help_: Help text.
        shown: The default that the help shows; empty for none.
        panel: Panel of the help; None for the first panel.
    """
    callback = expanded if kind is Path else None
    return Annotated[
        kind | None,
        typer.Option(help=help_, show_default=shown or False, rich_help_panel=panel, callback=callback),
    ]


def takes(*groups: Mapping[str, tuple[type, Description]] | Flags) -> Callable[[Command], Command]:
    """Return a decorator that replaces the `**flags` of a command by flags of the command line.

    Args:
        *groups: Flags by name, either from `Options.flags` or annotated as Typer reads them.
    """
    shared = {
        name: flag(one[0], one[1].help, one[1].shown, None if one[1].panel == "Run" else one[1].panel)
        if isinstance(one, tuple)
        else one
        for group in groups
        for name, one in group.items()
    }

    def decorate(command: Command) -> Command:
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
            for name, annotation in shared.items()
        ]
        own = [
            parameter
            for parameter in inspect.signature(command, eval_str=True).parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD and parameter.name not in shared
        ]
        parameters = [*own, *added]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return decorate


def only(flags: Mapping[str, tuple[type, Description]], *names: str) -> dict[str, tuple[type, Description]]:
    """Return the flags with the given names."""
    return {name: flags[name] for name in names}


def with_attack(flags: dict[str, Any], no_attack: bool | None) -> dict[str, Any]:
    """Return the flags, without attacks if `--no-attack` is given.

    Raises:
        ConfigError: If `--attack` or an option that only attacks use is given, too.
    """
    if not no_attack:
        return flags
    if flags["attack"] is not None:
        raise ConfigError("Choose either --attack or --no-attack, not both.")
    of_attacks = [name for name in ("examples", "in_flight", "token_budget") if flags.get(name) is not None]
    if of_attacks:
        option = of_attacks[0].replace("_", "-")
        raise ConfigError(f"--{option} is for attacks, and --no-attack leaves them out: drop one of the two.")
    return {**flags, "attack": ()}
