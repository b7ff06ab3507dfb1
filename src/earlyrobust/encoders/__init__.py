"""Loads encoders, classifiers and tokenizers by name, from a folder or from the Hugging Face hub."""

from __future__ import annotations

from earlyrobust.encoders.attack_models import load_masked_lm, load_sentence_encoder
from earlyrobust.encoders.capacity import (
    LEAST_LENGTH,
    length_to_read,
    load_skeleton,
    readable_by_encoder,
    readable_tokens,
    trained_tokens,
)
from earlyrobust.encoders.classifiers import load_classifier
from earlyrobust.encoders.devices import (
    device_name,
    fastest_device,
    has_bf16,
    on_device,
    synchronize,
    time_in_bf16,
)
from earlyrobust.encoders.digests import files_digest
from earlyrobust.encoders.fetching import EMBEDDED, locate
from earlyrobust.encoders.fingerprints import fingerprint
from earlyrobust.encoders.fitting import fit_tokenizer
from earlyrobust.encoders.folders import Note, silent
from earlyrobust.encoders.given import has_fresh_head, load_given, names_of_head
from earlyrobust.encoders.outputs import output_names
from earlyrobust.encoders.pretrained import load_dimensions, load_pretrained, load_untrained
from earlyrobust.encoders.tokenizers import load_tokenizer, padding_side, save_tokenizer

__all__ = [
    "EMBEDDED",
    "LEAST_LENGTH",
    "Note",
    "device_name",
    "fastest_device",
    "files_digest",
    "fingerprint",
    "fit_tokenizer",
    "has_bf16",
    "has_fresh_head",
    "length_to_read",
    "load_classifier",
    "load_dimensions",
    "load_given",
    "load_masked_lm",
    "load_pretrained",
    "load_sentence_encoder",
    "load_skeleton",
    "load_tokenizer",
    "load_untrained",
    "locate",
    "names_of_head",
    "on_device",
    "output_names",
    "padding_side",
    "readable_by_encoder",
    "readable_tokens",
    "save_tokenizer",
    "silent",
    "synchronize",
    "time_in_bf16",
    "trained_tokens",
]
