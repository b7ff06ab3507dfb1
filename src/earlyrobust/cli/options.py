"""Makes flags of options. What an option means is written where it is a field: see `earlyrobust.options`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from earlyrobust.errors import ConfigError
from earlyrobust.options.base import Description

Command = TypeVar("Command", bound=Callable[..., None])
# By the name of an option its annotated type, as Typer reads it.
Flags = dict[str, Any]

Model = Annotated[
    str, typer.Argument(help="Classifier, cut or not: its folder, that of a run, or a name on the hub.")
]
CONFIG: Flags = {
    "config": Annotated[
        Path | None,
        typer.Option(help="YAML file of options, named as the flags are; flags win.", show_default=False),
    ]
}
NO_ATTACK: Flags = {
    "no_attack": Annotated[
        bool, typer.Option("--no-attack", help="Do not attack what was trained.", rich_help_panel="Attack")
    ]
}


def flag(kind: type, help_: str, shown: str, panel: str | None = None) -> Any:
    """Annotate a flag that is None unless it is given.

    Args:
        kind: The type that the flag is read as.
        help_: What it does.
        shown: The default that the help tells; empty for none.
        panel: The part of the help that shows it; None for the first.
    """
    return Annotated[
        kind | None, typer.Option(help=help_, show_default=shown or False, rich_help_panel=panel)
    ]


def takes(*groups: Mapping[str, tuple[type, Description]] | Flags) -> Callable[[Command], Command]:
    """Give a command flags in place of its `**options`.

    Args:
        *groups: Flags by name: of `Options.flags`, or annotated as Typer reads them.
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
    """Return some of the flags."""
    return {name: flags[name] for name in names}


def with_attack(flags: dict[str, Any], no_attack: bool | None) -> dict[str, Any]:
    """Return the flags with `--no-attack` carried out.

    Raises:
        ConfigError: If attacks are asked for, too.
    """
    if not no_attack:
        return flags
    if flags["attack"] is not None:
        raise ConfigError("Choose either --attack or --no-attack, not both.")
    return {**flags, "attack": ()}
