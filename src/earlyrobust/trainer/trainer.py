"""`AdversarialTrainer`: transformers' Trainer, with an adversary in its training step."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import torch
from accelerate.data_loader import SeedableRandomSampler
from torch import Tensor, nn
from torch.utils.data import IterableDataset, RandomSampler, SequentialSampler
from transformers import Trainer, TrainingArguments
from transformers.trainer_pt_utils import LengthGroupedSampler

from earlyrobust import processes
from earlyrobust.adversarial import Adversary, Objective
from earlyrobust.errors import ConfigError, TrainingError
from earlyrobust.trainer.passes import PARTS_NAME, TrainerPasses
from earlyrobust.trainer.replays import Memories, RepeatedGroups
from earlyrobust.trainer.sampling import ReplayableSampler

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class AdversarialTrainer(Trainer):  # type: ignore[misc]
    """Trains a classifier under an adversary; everything else is transformers' own Trainer.

    Checkpoints and resuming, mixed precision, gradient accumulation, callbacks, reporting and length grouping
    work as they do there.

    Args:
        model: The classifier.
        args: Training arguments. Under an adversary that replays batches the epochs are divided by its
            replays.
        adversary: Perturbs the embeddings in every training step; None for plain training.
        penalty: A differentiable scalar that is added to the training loss, once per optimiser step.
        **kwargs: As for `transformers.Trainer`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        args: TrainingArguments,
        *,
        adversary: Adversary | None = None,
        penalty: Callable[[], Tensor] | None = None,
        **kwargs: Any,
    ) -> None:
        self._replays = 1 if adversary is None else adversary.replays
        if self._replays > 1:
            args = copy.copy(args)
            # Rounded down: Trainer rounds the number of steps up.
            args.num_train_epochs = math.nextafter(args.num_train_epochs / self._replays, 0)
        super().__init__(model, args, **kwargs)
        self.adversary = adversary
        self._penalty = penalty
        self._penalty_is_due = False
        self._objective: Objective | None = None
        self._pass_weight = 1.0
        self._memories = Memories(self._replays)
        if self._replays > 1:
            if isinstance(self.train_dataset, IterableDataset):
                raise ConfigError(
                    f"{type(adversary).__name__} replays batches, so it needs a data set of known length."
                )
            self.add_callback(self._memories)
        # Classifiers average their loss over the batch they are given. Trainer takes any model that accepts
        # keyword arguments to have normalised the loss over the whole accumulated batch, and would then not
        # divide by the accumulation steps.
        self.model_accepts_loss_kwargs = False
        # Trainer has just seeded the random generators; training goes on with them as without parts.
        with torch.random.fork_rng(devices=[]):
            self._parts = None if adversary is None else adversary.parts(self.model)

    @property
    def examples_per_step(self) -> int:
        """Examples of an optimiser step, those of all processes and accumulated batches together."""
        # The trainer's own batch size: the arguments' is not what `auto_find_batch_size` found.
        return int(self._train_batch_size * self.args.world_size * self.args.gradient_accumulation_steps)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train; what the adversary trains beside the model is a submodule of it meanwhile."""
        if self._parts is None:
            return super().train(*args, **kwargs)
        self.model.add_module(PARTS_NAME, self._parts.to(self.model.device, self.model.dtype))
        try:
            return super().train(*args, **kwargs)
        finally:
            delattr(self.model, PARTS_NAME)

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """Accumulate the gradients of one batch, under the adversary where there is one.

        Returns:
            The loss, a detached scalar.

        Raises:
            TrainingError: If the loss is NaN or infinite.
        """
        self._penalty_is_due = True
        loss = self._adversarial_step(model, inputs, num_items_in_batch)
        # A loss scaler, which half precision has, expects infinite gradients and mends them by itself.
        if self.accelerator.scaler is None:
            self._check(loss)
        return loss

    def _check(self, loss: Tensor) -> None:
        # One process may see it alone, and would leave the others waiting.
        wrong = [told for told in processes.gathered(_not_finite(loss)) if told is not None]
        if wrong:
            raise TrainingError(
                f"The training has diverged, its loss is {wrong[0]} at step {self.state.global_step + 1}: "
                "choose a smaller learning rate, smaller steps of the adversary, or no bf16, and another "
                "output folder."
            )

    def _adversarial_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None
    ) -> Tensor:
        if self.adversary is None:
            return cast("Tensor", super().training_step(model, inputs, num_items_in_batch))
        model.train()
        inputs = self._prepare_inputs(inputs)
        bare = self.accelerator.unwrap_model(model)
        memory = self._memories.of_next_batch(self.state.global_step)
        passes = TrainerPasses(self, model, bare, inputs, num_items_in_batch, memory)
        return self.adversary.step(bare.get_input_embeddings(), inputs["attention_mask"], passes)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The model's loss; in training what the adversary makes of it, weighted, and the penalty once."""
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        if model.training:
            # Trainer divides by the accumulation steps, but not a loss function of the user's own.
            parts = 1 if self.compute_loss_func is None else self.current_gradient_accumulation_steps
            if self._objective is not None:
                loss = self._objective(loss * parts, outputs) / parts
            loss = loss * self._pass_weight
            if self._penalty is not None and self._penalty_is_due:
                self._penalty_is_due = False
                loss = loss + self._penalty() / parts
        return (loss, outputs) if return_outputs else loss

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        # Trainer hands over the data set without the columns that the model does not take, the lengths that
        # length grouping needs among them, and would then read every example to measure it.
        sampler = super()._get_train_sampler(self.train_dataset)
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        if isinstance(sampler, LengthGroupedSampler):
            sampler = ReplayableSampler(sampler, self.examples_per_step, seed)
        if self._replays > 1:
            if isinstance(sampler, RandomSampler):
                # What accelerate makes of Trainer's own, which it would not recognise within another.
                sampler = SeedableRandomSampler(self.train_dataset, data_seed=seed)
            elif not isinstance(sampler, (ReplayableSampler, SequentialSampler)):
                raise ConfigError(
                    f"{type(self.adversary).__name__} replays batches, which train_sampling_strategy "
                    f"'{self.args.train_sampling_strategy}' does not allow for: choose another one."
                )
            return RepeatedGroups(sampler, self.examples_per_step, self._replays)
        return sampler

    def plain_step(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        weight: float,
        objective: Objective | None,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """One forward and backward pass of transformers' own training step, its loss weighted.

        Returns:
            The weighted loss, a detached scalar.
        """
        self._pass_weight, self._objective = weight, objective
        try:
            return cast("Tensor", super().training_step(model, dict(inputs), num_items_in_batch))
        finally:
            self._pass_weight, self._objective = 1.0, None

    def task_loss(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> tuple[Tensor, Any]:
        """The loss of transformers' own Trainer, differentiable, and the outputs of the model."""
        with self.compute_loss_context_manager():
            loss, outputs = super().compute_loss(model, dict(inputs), True, num_items_in_batch)
        return loss, outputs


def _not_finite(loss: Tensor) -> str | None:
    return None if bool(loss.isfinite()) else str(loss.item())
