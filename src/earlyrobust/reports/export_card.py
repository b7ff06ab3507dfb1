"""Writes the card of an exported classifier: its form, a program to run it, a comparison with the model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from earlyrobust.reports.card import CARD_NAME, escape
from earlyrobust.results import ExportRecord
from earlyrobust.storage import write_atomically

_PIPELINE = """\
from transformers import pipeline

classify = pipeline("text-classification", model="path/or/name"{options})
print(classify("a warm and funny film"))
"""
# The program does not need the package transformers. The tokenizer pads the shorter of several texts.
_ONNX = """\
import json

import numpy as np
from onnxruntime import InferenceSession
from tokenizers import Tokenizer

folder = "path/to/this/folder"
tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
session = InferenceSession(f"{folder}/model.onnx")
with open(f"{folder}/config.json", encoding="utf-8") as file:
    id2label = json.load(file)["id2label"]
fields = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}


def classify(texts):
    rows = tokenizer.encode_batch(texts)
    inputs = {
        one.name: np.array([getattr(row, fields[one.name]) for row in rows], dtype=np.int64)
        for one in session.get_inputs()
    }
    (logits,) = session.run(["logits"], inputs)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return [(id2label[str(row.argmax())], float(row.max())) for row in shares]


print(classify(["a warm and funny film"]))
"""
_NEEDS = {
    "dense": "Any release of transformers loads it. It is as large and as slow as the dense model.",
    "remote-code": "Transformers loads it with the code in this folder, which builds the smaller model.",
    "onnx": "It needs only onnxruntime and tokenizers.",
    "onnx-int8": "It needs only onnxruntime and tokenizers. Weights and activations are 8-bit integers. All "
    "texts of a batch share the scale of the activations, so answers depend a little on the other texts: "
    "classify texts one by one where that matters.",
}


def render_export_card(record: ExportRecord, folder: Path) -> Path:
    """Write the card of an export into its folder.

    Args:
        record: The record of the export.
        folder: The folder of the export.

    Returns:
        The path of the card.
    """
    path = folder / CARD_NAME
    content = "\n".join(_parts(record)).encode("utf-8", "backslashreplace")
    write_atomically(path, lambda temporary: temporary.write_bytes(content))
    return path


def _parts(record: ExportRecord) -> Iterator[str]:
    is_onnx = record.to.startswith("onnx")
    facts = {
        "pipeline_tag": "text-classification",
        "library_name": "onnx" if is_onnx else "transformers",
        "tags": ["earlyrobust", "adversarial-robustness", *(["onnx"] if is_onnx else [])],
    }
    yield f"---\n{yaml.safe_dump(facts, sort_keys=False)}---\n"
    yield f"# {escape(record.model)}, exported to {record.to}\n"
    yield f"{_NEEDS[record.to]}\n"
    if is_onnx:
        code = _ONNX
    else:
        code = _PIPELINE.format(options=", trust_remote_code=True" if record.to == "remote-code" else "")
    yield f"```python\n{code}```\n"
    if record.labels:
        names = ", ".join(f"{index}: {escape(name)}" for index, name in enumerate(record.labels))
        yield f"- Outputs: {names}"
    if record.inputs:
        yield f"- Inputs, whole numbers of shape (texts, tokens): {', '.join(record.inputs)}"
    # The files of the other forms cut nothing: the program that calls their tokenizer chooses the length.
    if is_onnx and record.max_length is not None:
        yield f"- It reads at most {record.max_length} tokens of a text; the rest is cut off."
    yield f"- Size: {record.bytes / 1e6:.1f} MB"
    if (check := record.check) is not None:
        yield (
            f"- On {check.examples:,} examples of {escape(check.data)}, logits differ from those of the "
            f"model by at most {check.largest_difference:.2g}; {check.predictions_changed} predictions "
            "differ."
        )
        if check.accuracy is not None:
            ours, theirs = check.accuracy.export, check.accuracy.model
            yield f"- Clean%: {100 * ours.value:.2f}; of the model: {100 * theirs.value:.2f}"
        for name, (model, export) in check.attacks.items():
            yield (
                f"- Aua%, {name}: {100 * export.under_attack.value:.2f}; of the model: "
                f"{100 * model.under_attack.value:.2f}"
            )
    versions = ", ".join(f"{name} {version}" for name, version in record.environment.versions.items())
    yield f"\nMade with {versions}.\n"
