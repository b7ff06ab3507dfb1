"""Loading trained classifiers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from earlyrobust.encoders.devices import fastest_device
from earlyrobust.encoders.fetching import check_sizes, fetch, locate
from earlyrobust.errors import ModelError
from earlyrobust.onnx_classifier import FILE_NAME, OnnxClassifier

if TYPE_CHECKING:
    from transformers import PreTrainedModel


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
        config = fetch(AutoConfig.from_pretrained, name, place)
        return cast("PreTrainedModel", OnnxClassifier(graph, config))
    load = AutoModelForSequenceClassification.from_pretrained
    model, loading = fetch(load, name, place, dtype=torch.float32, output_loading_info=True)
    check_sizes(model.config, name)
    if loading["missing_keys"]:
        raise ModelError(
            f"'{name}' is an encoder without a trained classification head, so it cannot be evaluated: "
            "train it with `earlyrobust run` or choose a classifier."
        )
    return cast("PreTrainedModel", model.to(fastest_device()))
