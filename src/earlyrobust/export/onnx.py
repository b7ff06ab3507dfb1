"""A classifier as an ONNX graph, in float32 or with its matrices in 8-bit integers."""

from __future__ import annotations

import contextlib
import copy
import inspect
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from earlyrobust.onnx_classifier import FILE_NAME, require_onnx
from earlyrobust.pruning import dense_config, is_cut

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Two texts of different lengths: a graph traced on one row, or without padding, would be of that case alone.
_SAMPLE = ["one", "two and three"]


def export_onnx(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, *, int8: bool = False
) -> None:
    """Write a classifier as `model.onnx`, for batches and lengths of any size.

    Beside it lies the configuration of an ordinary model of its family: the graph knows its sizes itself.

    Args:
        model: Any classifier, cut or not, in float32; left as it is, where it is.
        tokenizer: Tells which inputs the model takes.
        folder: Where to write to.
        int8: Store the matrices as 8-bit integers, with a scale for each column, and quantise activations as
            they come.

    Raises:
        ModelError: If the packages that write ONNX are not installed.
    """
    require_onnx("onnx", "onnxscript", "onnxruntime")
    folder.mkdir(parents=True, exist_ok=True)
    known = inspect.signature(model.forward).parameters
    sample = tokenizer(_SAMPLE, padding=True, return_tensors="pt")
    names = [name for name in tokenizer.model_input_names if name in known and name in sample]
    with tempfile.TemporaryDirectory() as scratch:
        graph = Path(scratch) / FILE_NAME if int8 else folder / FILE_NAME
        with _quietly(), torch.no_grad():
            sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length")}
            program = torch.onnx.export(
                _Logits(copy.deepcopy(model).cpu(), names).eval(),
                tuple(sample[name] for name in names),
                dynamo=True,
                input_names=names,
                output_names=["logits"],
                dynamic_shapes=(tuple(sizes for _ in names),),
                verbose=False,
            )
            assert program is not None  # it is None only where it is given a file to write to
            program.save(graph)
            if int8:
                _quantise(graph, folder / FILE_NAME)
    (dense_config(model.config) if is_cut(model) else model.config).save_pretrained(folder)


class _Logits(nn.Module):
    """A classifier whose inputs have places instead of names, and whose only output are the logits."""

    def __init__(self, model: PreTrainedModel, names: list[str]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs: Tensor) -> Tensor:
        logits: Tensor = self.model(**dict(zip(self.names, inputs, strict=True))).logits
        return logits


def _quantise(graph: Path, target: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = graph.with_name("prepared.onnx")
    quant_pre_process(graph, prepared, skip_symbolic_shape=True)
    quantize_dynamic(prepared, target, per_channel=True, weight_type=QuantType.QInt8)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporters say of their own insides."""
    loud = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "root")]
    levels = [logger.level for logger in loud]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loud:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loud, levels, strict=True):
                logger.setLevel(level)
