"""How an adversary is named among the options: `freelb`, `freelb,steps=2,step_size=0.03`, or `none`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter

NONE = "none"
# From left to right: 2 is a whole number before it is any other, and whatever is nothing else is text.
_VALUE: TypeAdapter[Any] = TypeAdapter(Annotated[int | float | bool | str, Field(union_mode="left_to_right")])


def parse_spec(spec: str) -> tuple[str, dict[str, Any]]:
    """Split the name of an adversary from its settings.

    Args:
        spec: The name, then settings, separated by commas.

    Returns:
        The name, and the settings by their names.

    Raises:
        ValueError: If it is not of that form.
    """
    name, *rest = (part.strip() for part in spec.split(","))
    settings = {}
    for part in rest:
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not (key and equals and value):
            raise ValueError(f"it must be a name and settings as in 'freelb,steps=2', not '{part}'")
        settings[key.replace("-", "_")] = None if value == NONE else _VALUE.validate_strings(value)
    return name, settings
