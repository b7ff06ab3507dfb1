"""Loading the models that attacks use beside the victim: masked language models and sentence encoders."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, cast

import torch
from transformers import AutoModelForMaskedLM

from earlyrobust.encoders.capacity import readable_by_encoder
from earlyrobust.encoders.fetching import fetch, locate
from earlyrobust.encoders.tokenizers import load_tokenizer
from earlyrobust.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def load_masked_lm(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a masked language model and its tokenizer, from a folder or the hub.

    Raises:
        ModelError: If it cannot be had or its head is not trained.
    """
    load = AutoModelForMaskedLM.from_pretrained
    hint = "choose another --masked-lm"
    model, loading = fetch(load, name, locate(name), hint=hint, dtype=torch.float32, output_loading_info=True)
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

    encoder = fetch(
        SentenceTransformer, name, locate(name), hint="choose another --sentence-encoder", device=str(device)
    )
    most = readable_by_encoder(encoder)
    if most is not None and most != encoder.max_seq_length:
        encoder.max_seq_length = most  # it has no positions for longer texts, whatever its tokenizer says
    return cast("SentenceTransformer", encoder)
