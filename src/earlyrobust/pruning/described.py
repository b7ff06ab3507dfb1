"""Compares a model with the one that its configuration describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from earlyrobust.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def check_is_described(model: PreTrainedModel, made: PreTrainedModel, why: str) -> None:
    """Refuse a model that differs from the one that was made from its configuration.

    Args:
        model: The model.
        made: A model of the same configuration, with any weights.
        why: The reason why a difference matters, as a sentence.

    Raises:
        ModelError: If a module is of another kind or has another setting, such as the rate of a dropout, or a
            weight is missing, is in excess or has another shape.
    """
    others = dict(made.named_modules())
    (_, *parts) = model.named_modules()  # the model itself may be of another class
    for name, module in parts:
        other = others.get(name)
        is_leaf = not [*module.children()]
        if other is None or type(module) is not type(other) or (is_leaf and repr(module) != repr(other)):
            described = "no such module" if other is None else _first_line(other)
            raise ModelError(
                f"'{name}' of the model is {_first_line(module)}, but the configuration describes "
                f"{described}. {why}"
            )
    shapes, wanted = (
        {name: tuple(weight.shape) for name, weight in one.state_dict().items()} for one in (model, made)
    )
    for name in sorted(shapes.keys() | wanted.keys()):
        if shapes.get(name) != wanted.get(name):
            found, described = (
                f"of shape {one[name]}" if name in one else "missing" for one in (shapes, wanted)
            )
            raise ModelError(
                f"The weight '{name}' of the model is {found}, and {described} in the model that the "
                f"configuration describes. {why}"
            )


def _first_line(module: nn.Module) -> str:
    return repr(module).partition("\n")[0].removesuffix("(")
