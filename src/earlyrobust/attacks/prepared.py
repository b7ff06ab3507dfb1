"""Models prepared for fast inference: with packed weights, a chosen precision, and padding by arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import torch
from torch import Tensor, nn

from earlyrobust.attacks.asks import Encoded
from earlyrobust.attacks.packing import is_packed, pack
from earlyrobust.attacks.padding import Padding
from earlyrobust.attacks.precision import Precision, check_precision, computing_in
from earlyrobust.encoders import fingerprint
from earlyrobust.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

M = TypeVar("M", bound=nn.Module)


class Prepared(Generic[M]):
    """A model that answers batches of inputs in a chosen precision.

    Args:
        model: The model. It is put into evaluation mode; its weights stay as they are.
        tokenizer: The model's tokenizer.
        config: The model's configuration; None if it has none.
        precision: The precision in which the model is computed.

    Attributes:
        model: The model as it was given.
        device: The device on which the model runs.
        precision: The precision in which the model is computed.
        counts_rows: Whether the caller must fill up small batches, see `asks.Model`.

    Raises:
        ConfigError: If the device or the model does not support the precision.
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
        self._used = pack(model.eval(), precision) or model
        self.counts_rows = not is_packed(self._used)
        self._padding = Padding(tokenizer, config)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the original weights, which does not depend on the precision."""
        return fingerprint(self.model)

    def answer(
        self, batch: Sequence[Encoded], length: int, ask: Callable[[M, dict[str, Tensor]], Tensor]
    ) -> Tensor:
        """Compute the model's answers to a batch.

        Args:
            batch: The inputs.
            length: Number of tokens to which each input is padded.
            ask: Calls the model with padded tensors, and returns a tensor with one row for each input.

        Returns:
            The rows that `ask` returns, on the CPU.
        """
        padded = {name: table.to(self.device) for name, table in self._padding.pad(batch, length).items()}
        with torch.inference_mode(), computing_in(self.precision, self.device):
            return ask(self._used, padded).cpu()
