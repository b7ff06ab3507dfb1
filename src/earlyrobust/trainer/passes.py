"""The model passes of an adversary over one batch, which run through transformers' Trainer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from earlyrobust.adversarial import Objective, Passes
from earlyrobust.errors import ConfigError
from earlyrobust.families import layers_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from earlyrobust.trainer.losses import LossTrainer

# During training, the adversary's own module is a submodule of the model by this name.
PARTS_NAME = "adversary"
# Largest rounding error of the sum of the weights of a step's passes, which must be one.
_ROUNDING = 1e-6


class TrainerPasses(Passes):
    """Runs a batch through the trainer's own step, which handles precision, loss scaling and devices.

    Several processes exchange the weights' gradients once a step, in the pass that completes them. Passes
    that compute no gradients of weights run on the model without its wrapper for several processes.

    Args:
        trainer: The trainer.
        model: The model, possibly wrapped for several processes.
        bare: The model without its wrapper.
        inputs: The batch.
        num_items_in_batch: Number of examples of the whole optimiser step; None if it is unknown.
        memory: The tensors that the adversary keeps for this batch.
    """

    def __init__(
        self,
        trainer: LossTrainer,
        model: nn.Module,
        bare: PreTrainedModel,
        inputs: dict[str, Any],
        num_items_in_batch: Tensor | int | None,
        memory: dict[str, Tensor],
    ) -> None:
        self.memory = memory
        self.parts = getattr(bare, PARTS_NAME, None)
        self._trainer = trainer
        self._model = model
        self._bare = bare
        self._inputs = inputs
        self._items = num_items_in_batch
        self._done = 0.0

    @property
    def tokens(self) -> Tensor:
        """Return the token ids of the batch, shape (B, T)."""
        return cast("Tensor", self._inputs["input_ids"])

    def accumulate(self, weight: float = 1.0, objective: Objective | None = None, **options: Any) -> Tensor:
        """Run forward and backward once, by the trainer's own step; see `Passes.accumulate`."""
        inputs = {**self._inputs, **options}
        self._done += weight
        exchange = nullcontext if self._is_complete else self._trainer.accelerator.no_sync
        with exchange(self._model), self._with_parts_in_outputs():
            return self._trainer.plain_step(self._model, inputs, weight, objective, self._items) / weight

    @property
    def _is_complete(self) -> bool:
        return self._done > 1 - _ROUNDING

    def check_complete(self, kind: type) -> None:
        """Check that the weights of the passes add up to one, so that the processes have exchanged gradients.

        Args:
            kind: The class of the adversary, for the message.

        Raises:
            ConfigError: If they do not.
        """
        if abs(self._done - 1) > _ROUNDING:
            raise ConfigError(
                f"The weights of the passes of {kind.__module__}:{kind.__qualname__} add up to "
                f"{self._done:g}: let those of the `accumulate` calls of a step add up to 1."
            )

    @contextmanager
    def _with_parts_in_outputs(self) -> Iterator[None]:
        """Add zero times the weights of `parts` to the model's outputs if several processes train together.

        The wrapper for several processes reads from the outputs which weights will get a gradient. An
        objective uses the parts only after the forward pass, and perhaps not for every batch.
        """
        weights = [] if self.parts is None or self._model is self._bare else [*self.parts.parameters()]
        if not weights:
            yield
            return

        def add(_module: nn.Module, _inputs: Any, outputs: Any) -> Any:
            nothing = sum(weight.sum() for weight in weights) * 0
            for name in ("loss", "logits"):
                if outputs.get(name) is not None:
                    outputs[name] = outputs[name] + nothing
            return outputs

        handle = self._bare.register_forward_hook(add)
        try:
            yield
        finally:
            handle.remove()

    def gradient(self, of: Tensor, objective: Objective | None = None) -> Tensor:
        """Return the gradient with respect to one tensor, on the model without its wrapper."""
        loss = self._trainer.task_loss(self._bare, self._inputs, objective, self._items)
        return self._gradient(loss, of, keep=False)

    def gradient_of(self, loss: Tensor, of: Tensor) -> Tensor:
        """Differentiate a loss that is already computed with respect to one tensor."""
        return self._gradient(loss, of, keep=True)

    def _gradient(self, loss: Tensor, of: Tensor, *, keep: bool) -> Tensor:
        scaler = self._trainer.accelerator.scaler
        if scaler is not None:
            loss = scaler.scale(loss)
        (gradient,) = torch.autograd.grad(loss, of, retain_graph=keep)
        return gradient

    def outputs(self) -> Any:
        """Run forward once on the model without its wrapper."""
        return self._trainer.outputs(self._bare, self._inputs, self._items)

    def first_layer(self) -> nn.Module:
        """Return the first layer of the encoder.

        Raises:
            ModelError: If the architecture is not supported, or an adapter wraps the model.
        """
        return layers_of(self._bare)[0]

    def output_of(self, module: nn.Module) -> Tensor:
        """Run forward until a module is computed, and return its output."""

        def stop(_module: nn.Module, _inputs: Any, output: Tensor | tuple[Tensor, ...]) -> None:
            raise _ReachedError(output if isinstance(output, Tensor) else output[0])

        handle = module.register_forward_hook(stop)
        try:
            self.outputs()
        except _ReachedError as reached:
            return reached.output
        finally:
            handle.remove()
        raise RuntimeError("The forward pass of the model did not run the requested module.")


class _ReachedError(Exception):
    """Ends a forward pass when its remaining outputs are not needed."""

    def __init__(self, output: Tensor) -> None:
        self.output = output
