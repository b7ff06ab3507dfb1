"""The configuration of a cut model: that of its family, with the numbers of heads and neurons of each layer.

Its model type is `earlyrobust-<family>`, so that transformers does not load a cut model as a dense one.
Without this package, transformers reports an unknown model type.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, cast

from earlyrobust.families import CUT_PREFIX, FAMILIES, Family

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


@functools.cache
def cut_config_class(family: Family) -> type[PreTrainedConfig]:
    """Return the configuration class of a family's cut models."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    base = CONFIG_MAPPING[family.model_type]
    body = {
        "__module__": __name__,
        "__doc__": f"A {base.__name__} with the heads and neurons that each layer keeps.",
        "__annotations__": {"kept_heads": list[int] | None, "kept_neurons": list[int] | None},
        "model_type": CUT_PREFIX + family.model_type,
        "kept_heads": None,
        "kept_neurons": None,
    }
    made = type(f"EarlyRobust{base.__name__}", (base,), body)
    globals()[made.__name__] = made  # pickling imports the class by its name
    return cast("type[PreTrainedConfig]", made)


def cut_config(dense: PreTrainedConfig, heads: list[int], neurons: list[int]) -> PreTrainedConfig:
    """Return the configuration of a cut model.

    Args:
        dense: The configuration of the dense model.
        heads: Number of heads that each layer keeps.
        neurons: Number of neurons that each layer keeps.
    """
    return _rebuilt(
        cut_config_class(FAMILIES[dense.model_type]), dense, kept_heads=heads, kept_neurons=neurons
    )


def dense_config(cut: PreTrainedConfig) -> PreTrainedConfig:
    """Return the configuration of the dense model from which a model was cut."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    return _rebuilt(CONFIG_MAPPING[cut.model_type.removeprefix(CUT_PREFIX)], cut)


def _rebuilt(kind: type[PreTrainedConfig], config: PreTrainedConfig, **kept: list[int]) -> PreTrainedConfig:
    content = config.to_dict()
    for key in ("model_type", "architectures", "transformers_version", "kept_heads", "kept_neurons"):
        content.pop(key, None)
    rebuilt = kind(**content, **kept)
    rebuilt._attn_implementation = config._attn_implementation
    return rebuilt
