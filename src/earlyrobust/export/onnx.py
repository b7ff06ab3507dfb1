"""Exports a classifier as an ONNX graph, in float32 or with its matrices as 8-bit integers."""

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

from earlyrobust.errors import ModelError
from earlyrobust.onnx_classifier import FILE_NAME, require_onnx
from earlyrobust.pruning import dense_config, is_cut

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Two texts of different lengths, because a graph that is traced on one row, or without padding, would work
# only in that case.
_SAMPLE = ["one", "two and three"]


def export_onnx(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: str | Path, *, int8: bool = False
) -> list[str]:
    """Write a classifier as `model.onnx`, for batches of any size and texts of any length.

    The function also writes the configuration of an ordinary model of the same family. The graph itself holds
    the sizes of a cut model. Weights of more than 1.5 GiB are in `model.onnx.data` beside it. Save the
    tokenizer beside it with `tokenizer.save_pretrained`.

    Args:
        model: Any classifier, cut or not, in float32. The function changes neither the model nor its device.
        tokenizer: The model's tokenizer, which determines the inputs of the graph.
        folder: The folder to which the export is written.
        int8: Whether to store the matrices as 8-bit integers, with a scale for each column, and to quantise
            activations while the graph runs.

    Returns:
        The names of the graph's inputs. Each input is an array of whole numbers, shape (texts, tokens).

    Raises:
        ModelError: If a package that the export needs is not installed, or PyTorch cannot write the graph.
    """
    require_onnx("onnx", "onnxscript", "onnxruntime")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    known = inspect.signature(model.forward).parameters
    sample = tokenizer(_SAMPLE, padding=True, return_tensors="pt")
    names = [name for name in tokenizer.model_input_names if name in known and name in sample]
    with tempfile.TemporaryDirectory() as scratch:
        graph = Path(scratch) / FILE_NAME if int8 else folder / FILE_NAME
        with _quietly(), _told_apart(model), torch.no_grad():
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
            assert program is not None  # it is None only if the exporter is given a file
            program.save(graph)
            if int8:
                _quantise(graph, folder / FILE_NAME)
    (dense_config(model.config) if is_cut(model) else model.config).save_pretrained(folder)
    return names


def complete_tokenizer(folder: Path, tokenizer: PreTrainedTokenizerBase, max_length: int | None) -> None:
    """Write padding and truncation into the `tokenizer.json` of an export.

    So the package tokenizers needs no other file. transformers sets padding and truncation at each call.

    Args:
        folder: The folder of the export, with the tokenizer.
        tokenizer: The tokenizer. If the folder has no `tokenizer.json`, the function does nothing.
        max_length: Maximum number of tokens of a text that the model reads; None for no limit.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        return
    from tokenizers import Tokenizer

    alone = Tokenizer.from_file(str(path))
    if max_length is not None:
        alone.enable_truncation(max_length, direction=tokenizer.truncation_side)
    alone.enable_padding(
        direction=tokenizer.padding_side,
        pad_id=tokenizer.pad_token_id,
        pad_type_id=tokenizer.pad_token_type_id,
        pad_token=tokenizer.pad_token,
    )
    alone.save(str(path))


class _Logits(nn.Module):
    """Wraps a classifier, so that it takes its inputs by position and returns only the logits."""

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
    # A file of a graph cannot exceed 2 GiB. So if the exporter puts weights into a file of their own, every
    # step does.
    apart = graph.with_name(f"{graph.name}.data").is_file()
    quant_pre_process(
        graph, prepared, skip_symbolic_shape=True, save_as_external_data=apart, all_tensors_to_one_file=True
    )
    quantize_dynamic(
        prepared, target, per_channel=True, weight_type=QuantType.QInt8, use_external_data_format=apart
    )


@contextlib.contextmanager
def _told_apart(model: PreTrainedModel) -> Iterator[None]:
    """Raise a `ModelError` of one sentence if PyTorch's exporter fails inside the block."""
    try:
        yield
    except torch.onnx.OnnxExporterError as error:
        raise ModelError(
            f"PyTorch cannot write {type(model).__name__} as an ONNX graph ({type(error).__name__}): export "
            "it as dense or remote-code instead."
        ) from error


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence the warnings and log messages of the exporters inside the block."""
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
