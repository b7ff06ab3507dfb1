"""Finds compiled models, which may ignore hooks."""

from __future__ import annotations

from accelerate.utils.other import is_compiled_module
from torch import nn

from earlyrobust.errors import ConfigError

COMPILED = (
    "A compiled model ignores the hooks of adversaries, coefficients and noise: leave out torch_compile, and "
    "pass the model as it was before torch.compile, also of its layers."
)


def check_is_not_compiled(model: nn.Module) -> None:
    """Refuse a compiled model, and one with compiled modules, because their code may run without hooks.

    Raises:
        ConfigError: If the model or a module of it is compiled.
    """
    if any(_is_compiled(module) for module in model.modules()):
        raise ConfigError(COMPILED)


def _is_compiled(module: nn.Module) -> bool:
    return getattr(module, "_compiled_call_impl", None) is not None or bool(is_compiled_module(module))
