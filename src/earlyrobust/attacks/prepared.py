"""Models made ready to answer many batches: packed, in a precision, fed with padded arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from earlyrobust.attacks.engine import Encoded
from earlyrobust.attacks.packing import pack
from earlyrobust.attacks.padding import Padding
from earlyrobust.attacks.precision import Precision, check_precision, computing_in
from earlyrobust.encoders import fingerprint
from earlyrobust.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

M = TypeVar("M", bound=nn.Module)


class Prepared(Generic[M]):
    """A model that answers batches in a precision.

    Args:
        model: The model; it is put into evaluation mode, and keeps its weights.
        tokenizer: Its tokenizer.
        config: Its configuration; None if it has none.
        precision: In which it is computed.

    Attributes:
        model: The model as it was given.
        device: Where it runs.
        precision: In which it is computed.
        counts_rows: Whether small batches must be filled up by whoever forms them, see `engine.Model`.

    Raises:
        ConfigError: If the device or the model does not have the precision.
    """

    def __init__(
        self,
        model: M,
        tokenizer: PreTrainedTokenizerBase,
        config: PreTrainedConfig | None,
        precision: Precision,
    ) -> None:
        self.model, self.device, self.precision = model, cast("torch.device", model.device), precision
        check_precision(precision, self.device)
        if precision != "float32" and next(model.parameters(), None) is None:
            raise ConfigError("An ONNX file is computed as it was exported: leave --precision out.")
        packed = pack(model.eval(), precision)
        self._used = packed or model
        self.counts_rows = packed is None
        self._padding = Padding(tokenizer, config)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights, whatever they are computed in."""
        return fingerprint(self.model)

    def answer(
        self, batch: Sequence[Encoded], length: int, ask: Callable[[M, dict[str, Tensor]], Tensor]
    ) -> Tensor:
        """Let the model answer a batch.

        Args:
            batch: The inputs.
            length: Tokens to which each is padded.
            ask: Calls a model with padded tensors, and takes one row for each input from what it returns.

        Returns:
            The rows, on the CPU.
        """
        padded = {name: table.to(self.device) for name, table in self._padding.pad(batch, length).items()}
        with torch.inference_mode(), computing_in(self.precision, self.device):
            return ask(self._used, padded).cpu()
