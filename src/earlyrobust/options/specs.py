"""Parses options that name an adversary or noise: `freelb`, `freelb,steps=2,step_size=0.03`, or `none`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

NONE = "none"
# The types are tried from left to right: 2 is read as an integer first, and text is the last resort.
_VALUE: TypeAdapter[Any] = TypeAdapter(Annotated[int | float | bool | str, Field(union_mode="left_to_right")])


def parse_spec(spec: str) -> tuple[str, dict[str, Any]]:
    """Split an option into a name and its settings.

    Args:
        spec: The name, then settings such as `steps=2`, separated by commas.

    Returns:
        The name, and the settings by their names. A setting `none` is None.

    Raises:
        ValueError: If the option does not have this form.
    """
    name, *rest = (part.strip() for part in spec.split(","))
    settings = {}
    for part in rest:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value):
            raise ValueError(f"it must be a name and settings as in 'freelb,steps=2', not '{part}'")
        settings[key.replace("-", "_")] = None if value == NONE else _VALUE.validate_strings(value)
    return name, settings


def as_spec(name: str, settings: dict[str, Any]) -> str:
    """Join a name and its settings to an option, which `parse_spec` splits again."""
    parts = [f"{key}={NONE if value is None else value}" for key, value in settings.items()]
    return ",".join([name, *parts])
