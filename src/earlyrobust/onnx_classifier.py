"""Classifiers in ONNX files, run by onnxruntime as if they were transformers models."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import SequenceClassifierOutput

from earlyrobust.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

FILE_NAME = "model.onnx"
# Operators of graphs whose activations are quantised while they run.
_QUANTISES = {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"}


def require_onnx(*packages: str) -> None:
    """Check that packages of the extra `export` are installed.

    Raises:
        ModelError: If one is not.
    """
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ModelError(f"ONNX needs {', '.join(missing)}: pip install 'earlyrobust[export]'.")


class OnnxClassifier(nn.Module):
    """A classifier in an ONNX file, on the CPU, for inference only.

    Args:
        path: The file.
        config: The model's configuration, which its classes are named in.

    Raises:
        ModelError: If onnxruntime is not installed, or the file cannot be read by it.
    """

    def __init__(self, path: Path, config: PreTrainedConfig) -> None:
        super().__init__()
        require_onnx("onnxruntime")
        import onnxruntime

        self.config = config
        self.device = torch.device("cpu")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # Threads that wait in a loop for the next batch take the cores from whatever else computes here.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            content = path.read_bytes()
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises classes of its own making
            raise ModelError(f"'{path}' cannot be run by onnxruntime: export the model again.") from error
        self.inputs = [node.name for node in self._session.get_inputs()]
        self.is_quantised = any(name.encode() in content for name in _QUANTISES)
        # What makes it another model than that of another file; there are no weights to tell by.
        digest = hashlib.sha256(content).digest()
        self.register_buffer("file_digest", torch.frombuffer(bytearray(digest), dtype=torch.uint8))

    def forward(self, **inputs: Tensor) -> SequenceClassifierOutput:
        """Logits of a batch, shape (batch, classes).

        A quantised model is given each text alone, without its padding: the scale of its activations is that
        of all that it is given together, and no text's logits shall depend on the others.
        """
        if not self.is_quantised:
            return SequenceClassifierOutput(logits=self.run(inputs))
        rows = []
        for index, mask in enumerate(inputs["attention_mask"].bool()):
            rows.append(self.run({name: values[index, mask][None] for name, values in inputs.items()}))
        return SequenceClassifierOutput(logits=torch.cat(rows))

    def run(self, inputs: dict[str, Tensor]) -> Tensor:
        """Logits of a batch as the graph computes them, all of its rows at once."""
        fed: dict[str, Any] = {name: inputs[name].numpy() for name in self.inputs}
        (logits,) = self._session.run(None, fed)
        return torch.from_numpy(logits)
