"""Refusing trainings that would go on without their adversary, or without a part of it."""

from __future__ import annotations

import inspect
from typing import Any

from accelerate.utils.other import is_compiled_module
from torch import nn
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from earlyrobust.errors import ConfigError


class StepGuard(TrainerCallback):  # type: ignore[misc]
    """Refuses a trainer class whose own training step passes the adversary, the penalty or the noise by.

    Args:
        kind: The class of the trainer, for the message.

    Attributes:
        taken: Whether the step that belongs around the user's has been taken since the last optimiser step.
    """

    def __init__(self, kind: type) -> None:
        self._kind = kind
        self.taken = False

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Check that the gradients are those of the adversary's step.

        Raises:
            ConfigError: If they are not.
        """
        if not self.taken:
            raise ConfigError(
                f"{self._kind.__name__}.training_step passes the adversary, the penalty and the noise by: "
                "let it call super().training_step(model, inputs, num_items_in_batch), and return what that "
                "returns."
            )
        self.taken = False


def check_signature(kind: type[Trainer]) -> None:
    """Refuse a `compute_loss` that does not take what Trainer gives it, as was usual in older days.

    Raises:
        ConfigError: If it does not.
    """
    taken = inspect.signature(kind.compute_loss).parameters
    takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken.values())
    missing = [name for name in ("return_outputs", "num_items_in_batch") if name not in taken]
    if missing and not takes_all:
        raise ConfigError(
            f"{kind.__name__}.compute_loss does not take {' and '.join(missing)}, but Trainer gives it: "
            "write compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None)."
        )


def check_model(model: nn.Module, args: TrainingArguments) -> None:
    """Refuse a compiled model, which passes the hooks by that perturb, scale and watch it.

    Raises:
        ConfigError: If it is compiled, or is to be.
    """
    in_place = getattr(model, "_compiled_call_impl", None) is not None
    if args.torch_compile or in_place or is_compiled_module(model):
        raise ConfigError(
            "A compiled model does not see what adversaries, coefficients and noise do to it: leave out "
            "torch_compile, and hand over the model as it was before torch.compile."
        )


def check_parts(trainer: Any, parts: nn.Module) -> None:
    """Refuse what would go on without the parts that an adversary has beside the model.

    Args:
        trainer: An `AdversarialTrainer`.
        parts: Those of its adversary.

    Raises:
        ConfigError: If the model is made anew without them, or the optimiser does not know their weights.
    """
    name = type(trainer.adversary).__name__
    if trainer.model_init is not None:
        raise ConfigError(
            f"{name} keeps something beside the model, which model_init would make anew without it: hand "
            "over the model itself."
        )
    if trainer.optimizer is not None and any(True for _ in parts.parameters()):
        raise ConfigError(
            f"{name} trains weights beside the model's, which the optimizers that were given do not know: "
            "choose the optimiser by TrainingArguments(optim=...) or optimizer_cls_and_kwargs."
        )
