"""Runs classifiers in ONNX files with onnxruntime, with the interface of transformers models."""

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
# Operators that quantise activations while a graph runs.
_QUANTISES = {"DynamicQuantizeLinear", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"}


def require_onnx(*packages: str) -> None:
    """Check that some packages of the extra `export` are installed.

    Args:
        packages: Names of the packages.

    Raises:
        ModelError: If a package is not installed.
    """
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ModelError(f"ONNX needs {', '.join(missing)}: pip install 'earlyrobust[export]'.")


class OnnxClassifier(nn.Module):
    """A classifier in an ONNX file, on the CPU, for inference only.

    Args:
        path: The file. Weights of a large graph are in another file beside it, which the graph names.
        config: The model's configuration, which names the classes.

    Attributes:
        config: The model's configuration.
        device: The CPU.
        inputs: Names of the graph's inputs.
        is_quantised: Whether the graph quantises activations while it runs.

    Raises:
        ModelError: If onnxruntime is not installed, or cannot run the file.
    """

    def __init__(self, path: Path, config: PreTrainedConfig) -> None:
        super().__init__()
        require_onnx("onnxruntime")
        import onnxruntime

        self.config = config
        self.device = torch.device("cpu")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        # Threads that wait for the next batch in a loop would take the cores from all other work.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self.is_quantised, digest = _facts(path)
            # Given the content of the file alone, onnxruntime would not find the other file.
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises errors of its own classes
            raise ModelError(f"'{path}' cannot be run by onnxruntime: export the model again.") from error
        self.inputs = [node.name for node in self._session.get_inputs()]
        # The hash identifies the model, because it has no weights that could be hashed.
        self.register_buffer("file_digest", torch.frombuffer(bytearray(digest), dtype=torch.uint8))

    def forward(self, **inputs: Tensor) -> SequenceClassifierOutput:
        """Return the logits of a batch, shape (batch, classes).

        A quantised model computes one scale for all activations that it is given together. So it is given
        each text alone and without padding, and the logits of a text do not depend on the other texts.

        Args:
            inputs: The graph's inputs by name, and `attention_mask`, each of shape (batch, tokens).
        """
        if not self.is_quantised:
            return SequenceClassifierOutput(logits=self.run(inputs))
        rows = []
        for index, mask in enumerate(inputs["attention_mask"].bool()):
            rows.append(self.run({name: values[index, mask][None] for name, values in inputs.items()}))
        return SequenceClassifierOutput(logits=torch.cat(rows))

    def run(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the logits of a batch, shape (batch, classes), computed for all rows at once."""
        fed: dict[str, Any] = {name: inputs[name].numpy() for name in self.inputs}
        (logits,) = self._session.run(None, fed)
        return torch.from_numpy(logits)


def _facts(path: Path) -> tuple[bool, bytes]:
    """Return whether a graph quantises activations, and the hash of the graph with all its weights."""
    content = path.read_bytes()
    digest = hashlib.sha256(content)
    for beside in sorted(path.parent.glob(f"{path.name}?*")):
        if beside.name.encode() in content:  # the graph names the file of its weights
            with beside.open("rb") as file:
                hashlib.file_digest(file, lambda: digest)
    return any(name.encode() in content for name in _QUANTISES), digest.digest()
