"""Defines the base of all sets of options, which come from flags and a YAML file and are checked at once."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Collection, Hashable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, Self, cast, get_args, get_origin

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from earlyrobust.errors import ConfigError


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    return value


# A single string may hold all names or numbers, separated by commas.
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Numbers = Annotated[tuple[int, ...], BeforeValidator(_split)]
AtLeastOne = Annotated[int, Field(gt=0)]
Parts = Annotated[int, Field(gt=0, le=100_000)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Ratio = Annotated[float, Field(ge=0, lt=1)]
Epochs = Annotated[float, Field(gt=0, le=10_000)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


# The sources of defaults that descriptions name.
PAPER, RELEASE = "the paper", "the paper's release, for IMDB"

# A value may be long, and a few lines of YAML that refer to one another may expand without limit.
_SHORT = reprlib.Repr()
_SHORT.maxlevel = 1


Panel = Literal["Run", "Grid", "Data", "Training", "Fine-tuning", "Ticket", "Search", "Attack"]


@dataclass(frozen=True)
class Description:
    """The description of an option for users.

    Attributes:
        help: The effect of the option, in one sentence.
        panel: The part of the help that shows the option.
        shown: The default, as the help shows it.
        source: The source of the default; empty if it is ours or depends on other options.
        is_of_arms: Whether the arms of a comparison may differ in the option.
        settings: The settings of ticket searches that the option sets.
        has_flag: Whether the option is also a flag of commands, and not only a line of YAML.
    """

    help: str
    panel: Panel
    shown: str
    source: str = ""
    is_of_arms: bool = False
    settings: tuple[str, ...] = ()
    has_flag: bool = True


def option(
    default: Any,
    help_: str,
    panel: Panel,
    *,
    shown: str | None = None,
    source: str = "",
    arm: bool = False,
    settings: tuple[str, ...] = (),
    flag: bool = True,
) -> Any:
    """Describe an option as a field of a set of options.

    Args:
        default: The default value.
        help_: The effect of the option, in one sentence.
        panel: The part of the help that shows the option.
        shown: The default, as the help shows it; None to show the value.
        source: The source of the default, such as "the paper"; empty if it is ours.
        arm: Whether the arms of a comparison may differ in the option.
        settings: The settings of ticket searches that the option sets.
        flag: Whether the option is also a flag.
    """
    told = _told(default) if shown is None else shown
    extra: dict[str, Any] = asdict(Description(help_, panel, told, source, arm, settings, flag))
    if callable(default):
        return Field(default_factory=default, description=help_, json_schema_extra=extra)
    return Field(default, description=help_, json_schema_extra=extra)


def inherited(options: type[Options], name: str, shown: str | None = None) -> Any:
    """Describe an option as another set of options does; its default is None.

    Args:
        options: The other set.
        name: Name of the option there.
        shown: The default, as the help shows it; None to show that of the other set.
    """
    described = options.described()[name]
    extra: dict[str, Any] = asdict(described if shown is None else replace(described, shown=shown))
    return Field(None, description=described.help, json_schema_extra=extra)


def _told(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    if isinstance(default, float):
        return f"{default:g}"
    return "" if default is None or callable(default) else str(default)


class Options(BaseModel):
    """Base of all sets of options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def parse(cls, flags: dict[str, Any], file: Path | None = None) -> Self:
        """Combine flags and a YAML file; flags win.

        Args:
            flags: The given options; options that are None count as not given.
            file: YAML file of the same options; None for no file.

        Raises:
            ConfigError: If the file cannot be used, or an option is unknown or has an invalid value.
        """
        options = {} if file is None else _read_yaml(file)
        options.update({name: value for name, value in flags.items() if value is not None})
        for name, value in options.items():
            field = cls.model_fields.get(name)
            if isinstance(value, bool) and field is not None and _read_as(field) in (int, float):
                told = str(value).lower()
                raise ConfigError(f"--{name.replace('_', '-')} is {told}, but must be a number.")
        try:
            return cls.model_validate(options)
        except ValidationError as error:
            raise ConfigError(cls._explain(error, file)) from error

    @classmethod
    def described(cls) -> dict[str, Description]:
        """Return the description of each option by name."""
        return {
            name: Description(**cast("dict[str, Any]", field.json_schema_extra))
            for name, field in cls.model_fields.items()
        }

    @classmethod
    def flags(
        cls, panels: Collection[Panel] | None = None, *, without: Collection[str] = ()
    ) -> dict[str, tuple[type, Description]]:
        """Return the options that are flags: by name, the type of the flag's value, and the description.

        Args:
            panels: Parts of the help; None for all.
            without: Names of options to leave out.
        """
        order = get_args(Panel)
        in_order = sorted(cls.described().items(), key=lambda item: order.index(item[1].panel))
        return {
            name: (_read_as(cls.model_fields[name]), described)
            for name, described in in_order
            if described.has_flag and name not in without and (panels is None or described.panel in panels)
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the options as JSON types."""
        return self.model_dump(mode="json")

    @classmethod
    def _explain(cls, error: ValidationError, file: Path | None) -> str:
        """Describe the first error in the options, in one sentence."""
        problem = error.errors()[0]
        option = "--" + str(problem["loc"][0]).replace("_", "-")
        where = "" if file is None else f" (flags and '{file}')"
        if problem["type"] == "extra_forbidden":
            known = [name.replace("_", "-") for name in cls.model_fields]
            negated = option[2:].removeprefix("no-")
            if file is not None and negated != option[2:] and negated in known:
                empty = "[]" if negated == "attack" else "false"
                return f"There is no option '{option[2:]}' in '{file}': write '{negated}: {empty}'."
            near = difflib.get_close_matches(option[2:], known, n=1)
            choices = f"choose from {', '.join(known)}."
            meant = f"did you mean '{near[0]}'? C{choices[1:]}" if near else choices
            return f"There is no option {_SHORT.repr(option[2:])}{where}: {meant}"
        reason = problem["msg"].removeprefix("Value error, ")
        reason = reason[0].lower() + reason[1:]
        return f"{option} is {_SHORT.repr(problem['input'])}{where}, but {reason.replace('input ', 'it ')}."


def _read_as(field: FieldInfo) -> type:
    """Return the type of an option's value on the command line."""
    kinds: list[Any] = [field.annotation]
    while kinds:
        kind = kinds.pop()
        origin = get_origin(kind)
        if origin is Annotated:
            kinds.append(get_args(kind)[0])
        elif origin is Literal or origin is tuple:
            return str
        elif isinstance(kind, type) and origin is None:
            if kind is not NoneType:
                return kind
        else:  # a union with None
            kinds.extend(get_args(kind))
    raise TypeError(f"The type {field.annotation} has no flag.")


class _UniqueKeys(yaml.SafeLoader):
    """Reads YAML as `yaml.safe_load` does, but refuses a key that a mapping has twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping.

        Raises:
            ValueError: If a key occurs twice.
        """
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := [key for place, key in enumerate(keys) if key in keys[:place]]:
            raise ValueError(f"it gives '{twice[0]}' twice")
        return super().construct_mapping(node, deep)


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        loader = _UniqueKeys(file.read_text(encoding="utf-8"))
        content = loader.get_single_data()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The config file '{file}' cannot be read ({getattr(error, 'strerror', error)}): check its path."
        ) from error
    except (yaml.YAMLError, ValueError, KeyError, AttributeError, RecursionError) as error:
        # The last four errors come from values that do not fit their YAML tags or are nested too deep.
        reason = " ".join(str(error).split())
        raise ConfigError(f"The config file '{file}' cannot be read as YAML: {reason}.") from error
    if content is None:
        raise ConfigError(f"The config file '{file}' is empty: write options as 'name: value' lines.")
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"The config file '{file}' must hold options as 'name: value' lines.")
    options = {key.replace("-", "_"): value for key, value in content.items()}
    if len(options) < len(content):
        raise ConfigError(
            f"The config file '{file}' names an option twice, with '-' and with '_': remove one."
        )
    return options
