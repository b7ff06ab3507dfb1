"""Loads the models that attacks use besides the victim: masked language models and sentence encoders."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from transformers import AutoModelForMaskedLM

from earlyrobust.encoders.capacity import readable_by_encoder
from earlyrobust.encoders.fetching import fetch, locate
from earlyrobust.encoders.folders import Note, note_choices, silent
from earlyrobust.encoders.tokenizers import load_tokenizer
from earlyrobust.encoders.weights import check_encoder, check_numbers, check_whole
from earlyrobust.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def load_masked_lm(name: str, note: Note = silent) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a masked language model and its tokenizer, from a folder or the Hugging Face hub.

    Args:
        name: A folder, or a name on the Hugging Face hub.
        note: Receives a sentence about each choice, such as between two files of weights.

    Returns:
        The float32 model on the CPU, and its tokenizer.

    Raises:
        ModelError: If the model or its tokenizer cannot be loaded, the head is not trained, or any other
            weight is missing.
    """
    place = locate(name)
    note_choices(name, place, note)
    load = AutoModelForMaskedLM.from_pretrained
    hint = "choose another --masked-lm"
    options: dict[str, Any] = {"dtype": torch.float32, "ignore_mismatched_sizes": True}
    model, loading = fetch(load, name, place, hint=hint, output_loading_info=True, **options)
    headless = f"'{name}' is an encoder without a trained masked-language-model head: {hint}."
    check_whole(model, loading, name, headless)
    return cast("PreTrainedModel", model), load_tokenizer(name)


def load_sentence_encoder(name: str, device: torch.device, note: Note = silent) -> SentenceTransformer:
    """Load a sentence-transformers model and limit it to the number of tokens that it can read.

    Args:
        name: `minilm`, a folder, or a name on the Hugging Face hub.
        device: The device on which the model runs.
        note: Receives a sentence about each choice, such as between two files of weights.

    Raises:
        ModelError: If sentence-transformers is not installed, the model cannot be loaded, or a weight is
            missing.
    """
    if importlib.util.find_spec("sentence_transformers") is None:
        raise ModelError(
            "Attacks need sentence-transformers: pip install 'earlyrobust[attack]', or do without attacks "
            "(--no-attack)."
        )
    from sentence_transformers import SentenceTransformer

    place = locate(name)
    note_choices(name, place, note)
    model = cast(
        "SentenceTransformer",
        fetch(SentenceTransformer, name, place, hint="choose another --sentence-encoder", device=str(device)),
    )
    for module in model:
        encoder = getattr(module, "auto_model", None)
        # sentence-transformers does not report which weights its files lack. So the encoder is loaded again
        # from its folder, together with the report of transformers.
        if encoder is not None and Path(encoder.name_or_path).is_dir():
            options: dict[str, Any] = {"output_loading_info": True, "ignore_mismatched_sizes": True}
            again, loading = fetch(type(encoder).from_pretrained, name, encoder.name_or_path, **options)
            check_encoder(again, loading, name)
    check_numbers(model, name)
    most = readable_by_encoder(model)
    if most is not None and most != model.max_seq_length:
        model.max_seq_length = most  # the encoder has no positions for the longer texts that were allowed
    return model
