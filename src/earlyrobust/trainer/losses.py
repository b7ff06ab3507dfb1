"""A trainer that adds an objective, a weight and a penalty to any loss that the user computes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import ModelOutput

from earlyrobust.adversarial import Adversary, Objective
from earlyrobust.errors import ConfigError, ModelError
from earlyrobust.storage import write_json
from earlyrobust.trainer.batches import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedModel


# Beside a checkpoint: the sums of the losses and penalties since the last log.
_SUMS_NAME = "sums.json"


class LossTrainer(Trainer):  # type: ignore[misc]
    """A Trainer that can change the loss of each pass, and adds a penalty once per training step.

    Args:
        model: The classifier.
        args: Training arguments.
        penalty: Returns a differentiable scalar that is added to the loss; None for no penalty.
        **kwargs: More arguments of `transformers.Trainer`.
    """

    adversary: Adversary | None
    _tr_loss: Tensor  # Trainer's sum of the losses since the last log
    _total_loss_scalar: float  # Trainer's sum of the losses until the last log
    _globalstep_last_logged: int

    def __init__(
        self,
        model: PreTrainedModel,
        args: TrainingArguments,
        *,
        penalty: Callable[[], Tensor] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, args, **kwargs)
        self._penalty = penalty
        self._penalty_is_due = False
        self._sums: dict[str, Any] = {}
        self.forget_penalties()
        self.add_callback(_RestoresSums(self))

    def forget_penalties(self) -> None:
        """Reset the mean of the penalties that the next log shows."""
        # The sum of the penalties since the last log, and the number of optimiser steps.
        self._penalties: tuple[Tensor | float, float] = (0.0, 0.0)

    def plain_step(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        weight: float = 1.0,
        objective: Objective | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """Run one forward and backward pass by transformers' own training step.

        Trainer calls `compute_loss` for the loss, and users may override that method. So this method wraps
        its result: it applies the objective and the weight, and adds the penalty once per training step.

        Args:
            model: The model, possibly wrapped for several processes.
            inputs: The batch.
            weight: Factor of the loss.
            objective: Computes the scalar to minimise from the loss and the model's outputs. None minimises
                the loss itself.
            num_items_in_batch: Number of examples of the whole optimiser step; None if it is unknown.

        Returns:
            The weighted loss without the penalty, a detached scalar.
        """
        own = self.__dict__.get("compute_loss")
        penalty: Tensor | None = None

        def restore() -> None:
            self.__dict__.pop("compute_loss", None)
            if own is not None:
                self.__dict__["compute_loss"] = own

        def surrounded(model: nn.Module, inputs: dict[str, Any], **options: Any) -> Tensor:
            nonlocal penalty
            restore()  # because the objective may run passes of its own
            share = self._share_of(inputs, num_items_in_batch)
            loss = self._loss(model, inputs, objective, share, **options) * weight
            if self._penalty is not None and self._penalty_is_due:
                self._penalty_is_due = False
                penalty = self._penalty()
                # Trainer divides a loss by the accumulation steps, unless it is normalised over all of them.
                parts = self.current_gradient_accumulation_steps if self._normalises_its_loss else 1
                loss = loss + penalty / parts
            return loss

        self.__dict__["compute_loss"] = surrounded
        try:
            loss = cast("Tensor", super().training_step(model, dict(inputs), num_items_in_batch))
        finally:
            restore()
        return loss if penalty is None else loss - self._noted(penalty.detach())

    def task_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        objective: Objective | None = None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """Return the loss of a batch, or its objective, without weight and penalty."""
        with self.compute_loss_context_manager():
            return self._loss(model, dict(inputs), objective, num_items_in_batch=num_items_in_batch)

    def outputs(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Any:
        """Return the outputs from which the loss is computed; they can be differentiated."""
        with self.compute_loss_context_manager():
            return self._loss_and_outputs(model, dict(inputs), num_items_in_batch=num_items_in_batch)[1]

    def _loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        objective: Objective | None,
        share: float = 1.0,
        **options: Any,
    ) -> Tensor:
        # `share` is the share of the loss in the mean loss of the batch; an objective takes this mean.
        if objective is None:
            return cast("Tensor", self.compute_loss(model, inputs, **options))
        loss, outputs = self._loss_and_outputs(model, inputs, **options)
        return objective(loss / share, outputs) * share

    def _loss_and_outputs(
        self, model: nn.Module, inputs: dict[str, Any], **options: Any
    ) -> tuple[Tensor, Any]:
        needed = "hidden_states" if inputs.get("output_hidden_states") else "logits"
        answer = self.compute_loss(model, inputs, return_outputs=True, **options)
        outputs = answer[1] if isinstance(answer, tuple) and len(answer) == 2 else None
        if isinstance(outputs, ModelOutput) and not hasattr(outputs, needed):
            raise ModelError(
                f"{type(self.adversary).__name__} needs the {needed} of the model, but this model returns "
                f"{type(outputs).__name__}, which has none: choose another adversary or another model."
            )
        if getattr(outputs, needed, None) is None:
            raise ConfigError(
                f"{type(self.adversary).__name__} needs the {needed} of the model: let compute_loss of "
                f"{type(self).__name__} return (loss, outputs) where return_outputs is true, the outputs as "
                "model(**inputs) returns them."
            )
        return cast("Tensor", answer[0]), outputs

    def _share_of(self, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None) -> float:
        """Return the quotient of the loss of a batch and the mean loss of its examples.

        It is 1, unless the loss is normalised over all accumulated batches.
        """
        if not self._normalises_its_loss:
            return 1.0
        labels = inputs.get("labels")
        counted = int(labels.ne(IGNORED).sum()) if isinstance(labels, Tensor) else 0
        if num_items_in_batch is None or not counted:
            return 1 / float(self.current_gradient_accumulation_steps)
        # Trainer counts the items of all processes, and multiplies the loss by the number of processes.
        processes = self.args.world_size if self.args.average_tokens_across_devices else 1
        return counted * processes / float(num_items_in_batch)

    @property
    def _normalises_its_loss(self) -> bool:
        told: bool | None = getattr(self, "loss_is_scaled_for_ga", None)
        return self.compute_loss_func is not None if told is None else told

    def _noted(self, penalty: Tensor) -> Tensor:
        """Record a penalty for the log, and return its share of the loss.

        Trainer sums up these shares over the accumulated batches.
        """
        parts: int = self.current_gradient_accumulation_steps
        self._penalties = (self._penalties[0] + penalty / parts, self._penalties[1] + 1 / parts)
        return penalty / parts

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        if self.args.world_size == 1:  # several processes save right after a log, when all sums are 0
            penalty, steps = self._penalties
            sums = {
                "loss": self._tr_loss.item(),
                "since": self._globalstep_last_logged,
                "penalty": penalty.item() if isinstance(penalty, Tensor) else penalty,
                "steps": steps,
            }
            write_json(self._checkpoint_folder(trial) / _SUMS_NAME, sums)

    def _checkpoint_folder(self, trial: Any) -> Path:
        """Return the folder of the checkpoint of this step.

        Each trial of a search for hyper-parameters has a folder of its own.
        """
        return Path(self._get_output_dir(trial=trial)) / f"checkpoint-{self.state.global_step}"

    def _load_from_checkpoint(self, resume_from_checkpoint: str, *args: Any, **kwargs: Any) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, *args, **kwargs)
        file = Path(resume_from_checkpoint) / _SUMS_NAME
        self._sums = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

    def restore_sums(self) -> None:
        """Continue the means of the next log with the sums of the checkpoint of a resumed training."""
        if sums := self._sums:
            self._tr_loss = torch.full_like(self._tr_loss, sums["loss"])
            # Trainer adds this sum to the total at the next log, and divides the total by the steps since the
            # training was resumed. So the losses before the checkpoint must not count there.
            self._total_loss_scalar -= sums["loss"]
            self._globalstep_last_logged = sums["since"]
            if sums["steps"]:
                self._penalties = (torch.full_like(self._tr_loss, sums["penalty"]), sums["steps"])
            self._sums = {}

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log the values; an entry with the loss also gets the mean penalty since the last log."""
        total, steps = self._penalties
        if "loss" in logs and isinstance(total, Tensor):
            logs["penalty"] = total.item() / steps
            self.forget_penalties()
        super().log(logs, *args, **kwargs)


class _RestoresSums(TrainerCallback):  # type: ignore[misc]
    """Restores the sums since the last log, after Trainer has set them to 0 when a training begins."""

    def __init__(self, trainer: LossTrainer) -> None:
        self._trainer = trainer

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Restore the sums."""
        self._trainer.restore_sums()
