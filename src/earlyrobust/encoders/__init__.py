"""Loading encoders, classifiers and tokenizers, by name, from a folder or from the hub."""

from __future__ import annotations

from earlyrobust.encoders.attack_models import load_masked_lm, load_sentence_encoder
from earlyrobust.encoders.classifiers import load_classifier
from earlyrobust.encoders.devices import fastest_device, has_bf16
from earlyrobust.encoders.fetching import EMBEDDED, locate
from earlyrobust.encoders.outputs import output_names
from earlyrobust.encoders.pretrained import load_dimensions, load_pretrained, load_untrained
from earlyrobust.encoders.tokenizers import check_length, load_tokenizer, save_tokenizer

__all__ = [
    "EMBEDDED",
    "check_length",
    "fastest_device",
    "has_bf16",
    "load_classifier",
    "load_dimensions",
    "load_masked_lm",
    "load_pretrained",
    "load_sentence_encoder",
    "load_tokenizer",
    "load_untrained",
    "locate",
    "output_names",
    "save_tokenizer",
]
