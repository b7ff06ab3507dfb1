"""Loading encoders, classifiers and tokenizers, by name, from a folder or from the hub."""

from __future__ import annotations

from earlyrobust.encoders.attack_models import load_masked_lm, load_sentence_encoder
from earlyrobust.encoders.classifiers import load_classifier
from earlyrobust.encoders.devices import fastest_device, has_bf16
from earlyrobust.encoders.fetching import EMBEDDED, locate
from earlyrobust.encoders.fingerprints import fingerprint
from earlyrobust.encoders.folders import Note, silent
from earlyrobust.encoders.pretrained import load_dimensions, load_pretrained, load_untrained
from earlyrobust.encoders.tokenizers import check_length, load_tokenizer, padding_side, save_tokenizer

__all__ = [
    "EMBEDDED",
    "Note",
    "check_length",
    "fastest_device",
    "fingerprint",
    "has_bf16",
    "load_classifier",
    "load_dimensions",
    "load_masked_lm",
    "load_pretrained",
    "load_sentence_encoder",
    "load_tokenizer",
    "load_untrained",
    "locate",
    "padding_side",
    "save_tokenizer",
    "silent",
]
