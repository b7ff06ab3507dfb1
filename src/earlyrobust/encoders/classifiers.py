"""Loads trained classifiers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from earlyrobust.encoders.devices import fastest_device
from earlyrobust.encoders.fetching import check_sizes, fetch, locate
from earlyrobust.encoders.folders import Note, note_choices, silent, weights_in
from earlyrobust.encoders.weights import check_whole
from earlyrobust.onnx_classifier import FILE_NAME, OnnxClassifier

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def load_classifier(name: str, note: Note = silent) -> PreTrainedModel:
    """Load a trained sequence classifier of any architecture, cut or not, from a folder or the hub.

    Args:
        name: A folder, or a name on the Hugging Face hub.
        note: Receives a sentence about each choice, such as between two files of weights.

    Returns:
        A float32 classifier on the accelerator, or on the CPU if there is none. A classifier that was
        exported to ONNX always runs on the CPU.

    Raises:
        ModelError: If the model cannot be loaded, has no trained classification head, or lacks any other
            weight.
    """
    place = locate(name)
    note_choices(name, place, note)
    graph = Path(place) / FILE_NAME
    if graph.is_file() and (weights := weights_in(Path(place))):
        note(f"'{name}' is read from {weights[0]}, not from the {FILE_NAME} beside it.")
    elif graph.is_file():
        config = fetch(AutoConfig.from_pretrained, name, place)
        return cast("PreTrainedModel", OnnxClassifier(graph, config))
    load = AutoModelForSequenceClassification.from_pretrained
    options: dict[str, Any] = {"dtype": torch.float32, "ignore_mismatched_sizes": True}
    model, loading = fetch(load, name, place, output_loading_info=True, **options)
    check_sizes(model.config, name)
    check_whole(
        model,
        loading,
        name,
        f"'{name}' is an encoder without a trained classification head, so it cannot be evaluated: train it "
        "with `earlyrobust run` or choose a classifier.",
    )
    return cast("PreTrainedModel", model.to(fastest_device()))
