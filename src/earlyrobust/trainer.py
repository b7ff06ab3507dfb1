"""`AdversarialTrainer`: transformers' Trainer, with an adversary in its training step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import Trainer
from transformers.trainer_pt_utils import LengthGroupedSampler

from earlyrobust.adversarial import Adversary, Passes


class AdversarialTrainer(Trainer):  # type: ignore[misc]
    """Trains a classifier under an adversary; everything else is transformers' own Trainer.

    Checkpoints and resuming, mixed precision, gradient accumulation, callbacks, reporting and length grouping
    work as they do there.

    Args:
        *args: As for `transformers.Trainer`: model, arguments, ...
        adversary: Perturbs the embeddings in every training step; None for plain training.
        penalty: A differentiable scalar that is added to the training loss, once per optimiser step.
        **kwargs: As for `transformers.Trainer`.
    """

    def __init__(
        self,
        *args: Any,
        adversary: Adversary | None = None,
        penalty: Callable[[], Tensor] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.adversary = adversary
        self._penalty = penalty
        self._pass_weight = 1.0
        # Classifiers average their loss over the batch they are given. Trainer takes any model that accepts
        # keyword arguments to have normalised the loss over the whole accumulated batch, and would then not
        # divide by the accumulation steps.
        self.model_accepts_loss_kwargs = False

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """Accumulate the gradients of one batch, under the adversary where there is one.

        Returns:
            The loss, a detached scalar.
        """
        if self.adversary is None:
            return cast("Tensor", super().training_step(model, inputs, num_items_in_batch))
        inputs = self._prepare_inputs(inputs)
        embedding = self.accelerator.unwrap_model(model).get_input_embeddings()
        passes = _TrainerPasses(self, model, inputs, num_items_in_batch)
        return self.adversary.step(embedding, inputs["attention_mask"], passes)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The model's loss; in training also the penalty, and both times the weight of the pass at hand.

        The weights of an adversarial step's passes add up to one, so the penalty counts once.
        """
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        if model.training:
            if self._penalty is not None:
                # Trainer divides by the accumulation steps, but not a loss function of the user's own.
                parts = 1 if self.compute_loss_func is None else self.current_gradient_accumulation_steps
                loss = loss + self._penalty() / parts
            loss = loss * self._pass_weight
        return (loss, outputs) if return_outputs else loss

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        # Trainer hands over the data set without the columns that the model does not take, the lengths that
        # length grouping needs among them, and would then read every example to measure it.
        sampler = super()._get_train_sampler(self.train_dataset)
        if isinstance(sampler, LengthGroupedSampler):
            seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
            return _ReplayableSampler(sampler, seed)
        return sampler

    def plain_step(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        weight: float,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Tensor:
        """One forward and backward pass of transformers' own training step, its loss weighted.

        Returns:
            The weighted loss, a detached scalar.
        """
        self._pass_weight = weight
        try:
            return cast("Tensor", super().training_step(model, dict(inputs), num_items_in_batch))
        finally:
            self._pass_weight = 1.0


class _TrainerPasses(Passes):
    """Runs a batch through the trainer's own step, whose business precision, scaling and devices are."""

    def __init__(
        self,
        trainer: AdversarialTrainer,
        model: nn.Module,
        inputs: dict[str, Any],
        num_items_in_batch: Tensor | int | None,
    ) -> None:
        self._trainer = trainer
        self._model = model
        self._inputs = inputs
        self._items = num_items_in_batch

    def accumulate(self, weight: float) -> Tensor:
        return self._trainer.plain_step(self._model, self._inputs, weight, self._items) / weight


class _ReplayableSampler(LengthGroupedSampler):  # type: ignore[misc]
    """Groups by length in an order that the seed and the epoch decide alone.

    The original draws it from the global random generator, whose state at the start of an epoch is not known
    to a training that is resumed within that epoch: it would go on with other batches.
    """

    def __init__(self, sampler: LengthGroupedSampler, seed: int) -> None:
        super().__init__(sampler.batch_size, lengths=sampler.lengths)
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        self.generator = torch.Generator().manual_seed(self._seed + self._epoch)
        order: Iterator[int] = super().__iter__()
        return order
