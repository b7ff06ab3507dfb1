"""`AdversarialTrainer`: transformers' Trainer with an adversary in its training step."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate.data_loader import SeedableRandomSampler
from torch import Tensor, nn
from torch.utils.data import IterableDataset, RandomSampler, SequentialSampler
from transformers import TrainingArguments
from transformers.trainer_pt_utils import LengthGroupedSampler

from earlyrobust import processes
from earlyrobust.adversarial import Adversary
from earlyrobust.adversarial.perturbation import Perturbation
from earlyrobust.errors import ConfigError, TrainingError
from earlyrobust.noise import TEXT_COLUMNS
from earlyrobust.noise.epochs import EpochCounter
from earlyrobust.trainer import guard
from earlyrobust.trainer.arguments import own_arguments, own_tokenizer
from earlyrobust.trainer.batches import check_labels, check_labels_of, valid_tokens
from earlyrobust.trainer.card import extend_card
from earlyrobust.trainer.losses import LossTrainer
from earlyrobust.trainer.noising import (
    TextCarrier,
    TextsOfBatch,
    count_of_losses,
    gradients_at,
    logits_of,
    losses_of,
    vectors_of,
    without_texts,
)
from earlyrobust.trainer.passes import PARTS_NAME, TrainerPasses
from earlyrobust.trainer.replays import Memories, Memory, RepeatedGroups, epochs_of_replays
from earlyrobust.trainer.sampling import ReplayableSampler

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from earlyrobust.noise import Aim, NoisyBatch, TextNoise


class AdversarialTrainer(LossTrainer):
    """Trains a classifier under an adversary; everything else is transformers' own Trainer.

    Checkpoints and resuming, mixed precision, gradient accumulation, callbacks, reporting and length grouping
    work as in Trainer.

    A subclass may compute a loss of its own in `compute_loss`, as with Trainer. The trainer applies the
    weights and objectives of the adversary and the penalty to this loss, and δ ascends it. The trainer
    assumes that the loss is the mean of the batch at hand, and divides it by the accumulation steps. A class
    that divides its loss by `num_items_in_batch` sets the attribute `loss_is_scaled_for_ga = True`.

    The adversary and the penalty are part of `training_step`. A subclass that overrides it must call
    `super().training_step(...)` for each batch. Otherwise the trainer raises an error before the first
    optimiser step.

    Args:
        model: The classifier.
        args: Training arguments. Under an adversary that replays batches, the number of epochs is divided by
            the number of replays. A process trains on one device, even if it sees several: start several
            processes with `torchrun` to use more.
        adversary: Perturbs the embeddings in every training step; None for plain training.
        penalty: Returns a differentiable scalar that is added to the training loss, once per optimiser step.
            The log shows it apart from the loss, as `penalty`.
        noise: Changes the texts of every training batch; None for no noise. The training data keep their
            columns `text` and, for pairs, `pair`.
        **kwargs: More arguments of `transformers.Trainer`.

    Raises:
        ConfigError: If `adversary` is no adversary, or does not fit the model; `compute_loss` does not accept
            all arguments of Trainer; the adversary replays batches and the data set has no known length;
            `model_init` or `optimizers` would leave out a module that the adversary adds to the model; the
            model, or a module of it, is compiled under an adversary, a penalty or noise; or the noise has
            another number of classes than the model.
    """

    # An attribute of Trainer: the columns of a data set that reach the data collator.
    _signature_columns: list[str]

    def __init__(
        self,
        model: PreTrainedModel,
        args: TrainingArguments,
        *,
        adversary: Adversary | None = None,
        penalty: Callable[[], Tensor] | None = None,
        noise: TextNoise | None = None,
        **kwargs: Any,
    ) -> None:
        guard.check_is_adversary(adversary)
        self._replays = 1 if adversary is None else adversary.replays
        args = own_arguments(args)
        args.num_train_epochs = epochs_of_replays(args.num_train_epochs, self._replays)
        guard.check_signature(type(self))
        guard.check_is_transformer(model)
        if model is not None and "processing_class" in kwargs:
            kwargs["processing_class"] = own_tokenizer(kwargs["processing_class"], model.config)
        super().__init__(model, args, penalty=penalty, **kwargs)
        self.adversary = adversary
        self.noise = noise
        self._epochs = EpochCounter()
        if noise is not None:
            self.data_collator: Any = TextCarrier(self.data_collator)
            self.add_callback(self._epochs)
        self._labels_are_checked = False
        self._fault = 0  # the worst loss since the last optimiser step, as an index of guard.FAULTS
        self._memories = Memories(self._replays)
        if self._replays > 1:
            if isinstance(self.train_dataset, IterableDataset):
                raise ConfigError(
                    f"{type(adversary).__name__} replays batches, so it needs a data set of known length."
                )
            self.add_callback(self._memories)
        self._steps = guard.StepGuard(type(self))
        if adversary is not None or penalty is not None or noise is not None:
            self.add_callback(self._steps)
        # Classifiers average their loss over the batch at hand. Trainer assumes that any model that accepts
        # keyword arguments normalises the loss over the whole accumulated batch, and would then not divide by
        # the accumulation steps. A class that does normalise in this way needs the number of items.
        if getattr(self, "loss_is_scaled_for_ga", None) is not True:
            self.model_accepts_loss_kwargs = False
        # Trainer has just seeded the generators. The training draws from them as it does without parts.
        with torch.random.fork_rng(devices=[]):
            self._parts = None if adversary is None else adversary.parts(self.model)
        if adversary is not None or penalty is not None or noise is not None:
            guard.check_model(self.model, args)
        if noise is not None:
            guard.check_classes(noise, self.model)
        if self._parts is not None:
            guard.check_parts(self, self._parts)

    def _hp_search_setup(self, trial: Any) -> None:
        # A trial of a search for hyper-parameters may set the epochs anew; NaN tells whether it does.
        epochs, self.args.num_train_epochs = self.args.num_train_epochs, math.nan
        super()._hp_search_setup(trial)
        if not math.isnan(chosen := self.args.num_train_epochs):
            epochs = epochs_of_replays(chosen, self._replays)
        self.args.num_train_epochs = epochs

    @property
    def parts(self) -> nn.Module | None:
        """Return the module that the adversary trains beside the model, or None."""
        return self._parts

    @property
    def examples_per_step(self) -> int:
        """Return the examples of an optimiser step, over all processes and accumulated batches."""
        # The trainer's own batch size includes the result of `auto_find_batch_size`; that of the arguments
        # does not.
        return int(self._train_batch_size * self.args.world_size * self.args.gradient_accumulation_steps)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train the model; meanwhile the module that the adversary trains is a submodule of it.

        Raises:
            DataError: If a label is no class of the model.
        """
        self._labels_are_checked = check_labels_of(self.train_dataset, self.model)
        self._fault = 0
        self.forget_penalties()
        if self.noise is not None and self.model_init is not None:
            self.noise.forget()  # each trial of a search for hyper-parameters has a new model
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
        """Accumulate the gradients of one batch, under the adversary if there is one.

        Returns:
            The loss, a detached scalar.

        Raises:
            TrainingError: If the loss is NaN or infinite.
            DataError: If a label is no class of the model, or an adversary cannot perturb the batch.
        """
        if not self._labels_are_checked:  # the check synchronises the device, so it is skipped if possible
            check_labels(inputs.get("labels"), self.model)
        self._steps.taken = True
        self._penalty_is_due = True
        memory = self._memories.of_next_batch(self.state.global_step)
        if self._replays > 1:
            memory.check(inputs)
        if self.noise is None:
            loss = self._adversarial_step(model, inputs, num_items_in_batch, memory)
        else:
            loss = self._noisy_step(model, inputs, num_items_in_batch, memory, self.noise)
        # Half precision uses a loss scaler, which handles infinite gradients itself.
        if self.accelerator.scaler is None:
            self._check(loss, inputs)
        return loss

    def _check(self, loss: Tensor, inputs: dict[str, Any]) -> None:
        self._fault = max(self._fault, guard.fault_of(loss, inputs.get("labels")))
        if not self.accelerator.sync_gradients:
            return
        # All processes must raise the error: if only one did, the others would wait for it.
        worst, self._fault = processes.largest(self._fault), 0
        if worst:
            raise TrainingError(
                f"The training has diverged, its loss is {guard.FAULTS[worst]} at step "
                f"{self.state.global_step + 1}: choose a smaller learning rate, smaller steps of the "
                "adversary, or no bf16, and another output folder."
            )

    def _noisy_step(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        num_items_in_batch: Tensor | int | None,
        memory: Memory,
        noise: TextNoise,
    ) -> Tensor:
        """Add noise to a batch, train on it, and let the noise learn from the gradients and losses."""
        bare = self.accelerator.unwrap_model(model)
        # Replays of a batch share its noise, because the adversary keeps a perturbation of this shape.
        if memory.noisy is None:
            texts = TextsOfBatch(inputs, noise, bare, self._epochs.epoch or 0)
            aims = self._aims(texts.draft(), model, bare, noise) if noise.looks_ahead else None
            memory.noisy = texts.final(aims)
        inputs, made = memory.noisy
        embedding = bare.get_input_embeddings()
        with logits_of(bare) as logits, gradients_at(embedding, wanted=noise.learns) as slopes:
            loss = self._adversarial_step(model, inputs, num_items_in_batch, memory)
        if slopes:
            tokens = inputs["input_ids"].to(slopes[0].device)
            scale = self._scale_of_gradients(count_of_losses(inputs), num_items_in_batch)
            noise.observe(torch.stack(slopes).sum(0) * scale, tokens, vectors_of(embedding), made.found)
        if logits and (losses := losses_of(logits[-1], inputs.get("labels"))) is not None:
            noise.observe_losses(losses, made.noisy)
        else:
            guard.check_needs_no_losses(noise.config)
        if self.accelerator.sync_gradients:
            noise.update((self.state.global_step + 1) / max(1, self.state.max_steps))
        return loss

    def _aims(
        self,
        draft: tuple[dict[str, Any], NoisyBatch],
        model: nn.Module,
        bare: PreTrainedModel,
        noise: TextNoise,
    ) -> list[Aim]:
        """Return the exchanges that raise the loss of each text most, by the gradient of an extra pass."""
        model.train()
        inputs = self._prepare_inputs(draft[0])
        embedding = bare.get_input_embeddings()
        perturbation = Perturbation(
            embedding, valid_tokens(inputs, getattr(bare.config, "pad_token_id", None))
        )
        delta = perturbation.uniform(0).requires_grad_()
        with perturbation.applied(delta):
            gradient = TrainerPasses(self, model, bare, inputs, None, {}).gradient(delta)
        return noise.aims(gradient, inputs["input_ids"], vectors_of(embedding), draft[1].found)

    def _scale_of_gradients(self, examples: int, num_items_in_batch: Tensor | int | None) -> float:
        """Return the factor that turns the gradient of a batch's loss into those of its examples' losses."""
        if self._normalises_its_loss and num_items_in_batch is not None:
            factor = float(num_items_in_batch)
        else:
            factor = float(examples * self.current_gradient_accumulation_steps)
        scaler = self.accelerator.scaler
        return factor if scaler is None else factor / scaler.get_scale()

    def _adversarial_step(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        num_items_in_batch: Tensor | int | None,
        memory: Memory,
    ) -> Tensor:
        if self.adversary is None:
            return self.plain_step(model, inputs, num_items_in_batch=num_items_in_batch)
        model.train()
        inputs = self._prepare_inputs(inputs)
        bare = self.accelerator.unwrap_model(model)
        mask = valid_tokens(inputs, getattr(bare.config, "pad_token_id", None))
        passes = TrainerPasses(self, model, bare, inputs, num_items_in_batch, memory.adversary)
        loss = self.adversary.step(bare.get_input_embeddings(), mask, passes)
        passes.check_complete(type(self.adversary))
        return loss

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if self.noise is not None:
            known = self._signature_columns
            self._signature_columns = [*known, *(name for name in TEXT_COLUMNS if name not in known)]

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log the values; an entry with a loss also gets the level of the noise and its losses."""
        if "loss" in logs and self.noise is not None:
            logs["noise_level"] = self.noise.rate.level
            for kind, loss in zip(("clean", "noisy"), self.noise.rate.losses.tolist(), strict=True):
                if not math.isnan(loss):
                    logs[f"{kind}_loss"] = loss
        super().log(logs, *args, **kwargs)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write Trainer's model card, and add the adversary, the noise and the ticket of the model to it."""
        super().create_model_card(*args, **kwargs)
        if self.is_world_process_zero():
            ticket = getattr(self.accelerator.unwrap_model(self.model), "ticket", None)
            name = getattr(self, "hub_model_id", None) or "path/or/name"
            extend_card(Path(self.args.output_dir), self.adversary, self.noise, ticket, name)

    def prediction_step(self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Evaluate a batch, without noise."""
        return super().prediction_step(model, without_texts(inputs), *args, **kwargs)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        if self.noise is not None and self.args.should_save:
            self.noise.save(self._checkpoint_folder(trial))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, *args: Any, **kwargs: Any) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, *args, **kwargs)
        if self.noise is not None:
            self.noise.load(Path(resume_from_checkpoint))

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        # Trainer passes the data set without the columns that the model does not take. These include the
        # lengths for length grouping, so Trainer would read every example to measure it.
        sampler = super()._get_train_sampler(self.train_dataset)
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        if isinstance(sampler, LengthGroupedSampler):
            sampler = ReplayableSampler(sampler, self.examples_per_step, seed)
        if self._replays > 1:
            if isinstance(sampler, RandomSampler):
                # Accelerate replaces Trainer's sampler by this one, but does not recognise it within another
                # sampler.
                sampler = SeedableRandomSampler(self.train_dataset, data_seed=seed)
            elif not isinstance(sampler, (ReplayableSampler, SequentialSampler)):
                raise ConfigError(
                    f"{type(self.adversary).__name__} replays batches, which train_sampling_strategy "
                    f"'{self.args.train_sampling_strategy}' does not allow for: choose another one."
                )
            return RepeatedGroups(sampler, self.examples_per_step, self._replays)
        return sampler
