"""How an adversary is named among the options: `freelb`, `freelb,steps=2,step_size=0.03`, or `none`."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

NONE = "none"
# In this order: 2 is a whole number before it is any other.
_VALUE: TypeAdapter[int | float | bool] = TypeAdapter(int | float | bool)


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
        try:
            settings[key.replace("-", "_")] = _VALUE.validate_strings(value)
        except ValidationError:
            equals = ""
        if not (key and equals):
            raise ValueError(f"it must be a name and settings as in 'freelb,steps=2', not '{part}'")
    return name, settings
