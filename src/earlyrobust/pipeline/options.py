"""What all sets of options have in common: they come from flags and a YAML file, and are checked at once."""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from earlyrobust.errors import ConfigError


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return [name.strip() for name in value.split(",") if name.strip()]
    return value


# In one string they are separated by commas.
Names = Annotated[tuple[str, ...], BeforeValidator(_split)]
Numbers = Annotated[tuple[int, ...], BeforeValidator(_split)]


# A value may be long, and a few lines of YAML that refer to one another endless.
_SHORT = reprlib.Repr()
_SHORT.maxlevel = 1


class Options(BaseModel):
    """Base of all sets of options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def parse(cls, flags: dict[str, Any], file: Path | None = None) -> Self:
        """Combine flags and a YAML file; flags win.

        Args:
            flags: Options that were given; those that are None count as not given.
            file: YAML file of the same options, None for none.

        Raises:
            ConfigError: If the file cannot be used, or an option is unknown or unusable.
        """
        options = {} if file is None else _read_yaml(file)
        options.update({name: value for name, value in flags.items() if value is not None})
        try:
            return cls.model_validate(options)
        except ValidationError as error:
            raise ConfigError(cls._explain(error, file)) from error

    def to_dict(self) -> dict[str, Any]:
        """The options as JSON types."""
        return self.model_dump(mode="json")

    @classmethod
    def _explain(cls, error: ValidationError, file: Path | None) -> str:
        """Say the first thing that is wrong with the options, in one sentence."""
        problem = error.errors()[0]
        option = "--" + str(problem["loc"][0]).replace("_", "-")
        where = "" if file is None else f" (flags and '{file}')"
        if problem["type"] == "extra_forbidden":
            known = ", ".join(name.replace("_", "-") for name in cls.model_fields)
            return f"There is no option {_SHORT.repr(option[2:])}{where}: choose from {known}."
        reason = problem["msg"].removeprefix("Value error, ")
        reason = reason[0].lower() + reason[1:]
        return f"{option} is {_SHORT.repr(problem['input'])}{where}, but {reason.replace('input ', 'it ')}."


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The config file '{file}' cannot be read: {getattr(error, 'strerror', error)}."
        ) from error
    except (yaml.YAMLError, ValueError, KeyError, AttributeError, RecursionError) as error:
        # The last four come of values that are not what they are marked as, or are nested too deep.
        reason = " ".join(str(error).split())
        raise ConfigError(f"The config file '{file}' is not YAML: {reason}.") from error
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"The config file '{file}' must hold options as 'name: value' lines.")
    options = {key.replace("-", "_"): value for key, value in content.items()}
    if len(options) < len(content):
        raise ConfigError(f"The config file '{file}' names an option twice, with '-' and with '_'.")
    return options
