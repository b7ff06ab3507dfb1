"""Checks that raise an error if a training would leave out its adversary, or a part of it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from earlyrobust.adversarial import Adversary
from earlyrobust.compiled import COMPILED, check_is_not_compiled
from earlyrobust.errors import ConfigError
from earlyrobust.trainer.batches import ignores_all

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from earlyrobust.noise import NoiseConfig, TextNoise

# Values of a loss that is not finite, the worst one last. The first entry is for a finite loss.
FAULTS = ("", "inf", "nan")
# The kind of problem of a model of mutually exclusive classes.
_ONE_LABEL = "single_label_classification"


class StepGuard(TrainerCallback):  # type: ignore[misc]
    """Refuses a trainer class whose own training step bypasses the adversary, the penalty or the noise.

    Args:
        kind: The class of the trainer, for the message.

    Attributes:
        taken: Whether the training step of `AdversarialTrainer` has run since the last optimiser step.
    """

    def __init__(self, kind: type) -> None:
        self._kind = kind
        self.taken = False

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Check that the gradients come from the training step of `AdversarialTrainer`.

        Raises:
            ConfigError: If they do not.
        """
        if not self.taken:
            raise ConfigError(
                f"{self._kind.__name__}.training_step bypasses the adversary, the penalty and the noise: "
                "let it call super().training_step(model, inputs, num_items_in_batch), and return its result."
            )
        self.taken = False


def check_signature(kind: type[Trainer]) -> None:
    """Refuse a `compute_loss` that does not accept all arguments of Trainer, as in older versions of it.

    Raises:
        ConfigError: If an argument is missing.
    """
    taken = inspect.signature(kind.compute_loss).parameters
    takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken.values())
    missing = [name for name in ("return_outputs", "num_items_in_batch") if name not in taken]
    if missing and not takes_all:
        raise ConfigError(
            f"{kind.__name__}.compute_loss does not take {' and '.join(missing)}, but Trainer gives it: "
            "write compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None)."
        )


def check_is_adversary(adversary: Any) -> None:
    """Refuse anything but an adversary or None, such as the name of an adversary.

    Raises:
        ConfigError: If it is something else.
    """
    if not (adversary is None or isinstance(adversary, Adversary)):
        raise ConfigError(f"adversary is {adversary!r}, but must be an Adversary, such as FreeLB(steps=2).")


def check_is_transformer(model: Any) -> None:
    """Refuse a module without a configuration, which is no model of transformers.

    Raises:
        ConfigError: If it has none.
    """
    if model is not None and not hasattr(model, "config"):
        raise ConfigError(
            f"AdversarialTrainer trains models of transformers, but this one is a {type(model).__name__} "
            "without a configuration: give it a PreTrainedModel."
        )


def check_model(model: nn.Module, args: TrainingArguments) -> None:
    """Refuse a compiled model, because it ignores the hooks of adversaries, coefficients and noise.

    Raises:
        ConfigError: If the model or a module of it is compiled, or the arguments compile it.
    """
    if args.torch_compile:
        raise ConfigError(COMPILED)
    check_is_not_compiled(model)


def check_classes(noise: TextNoise, model: PreTrainedModel) -> None:
    """Refuse noise with another number of classes than the model of mutually exclusive classes.

    Raises:
        ConfigError: If the numbers differ.
    """
    classes = model.config.num_labels
    if classes > 1 and noise.classes != classes and model.config.problem_type in (None, _ONE_LABEL):
        raise ConfigError(
            f"The noise has {noise.classes} classes, but the model has {classes}: give TextNoise "
            f"classes={classes}."
        )


def check_needs_no_losses(config: NoiseConfig) -> None:
    """Refuse noise whose rate follows losses, in a training whose labels are no classes.

    Raises:
        ConfigError: If the rate follows losses.
    """
    if config.keeps and config.ramp:
        raise ConfigError(
            "The rate of noise follows the cross-entropy of classes, but each text of this training has no "
            "single class as its label, or the model returns no logits: choose NoiseConfig(keeps=0), for a "
            "rate that only rises."
        )


def check_parts(trainer: Any, parts: nn.Module) -> None:
    """Refuse trainings that would lose the module that an adversary trains beside the model.

    Args:
        trainer: An `AdversarialTrainer`.
        parts: The module of its adversary.

    Raises:
        ConfigError: If `model_init` would make a model without the module, or a given optimiser does not
            update the weights of the module.
    """
    name = type(trainer.adversary).__name__
    if trainer.model_init is not None:
        raise ConfigError(
            f"{name} adds a module to the model, which a model made by model_init would lack: pass the "
            "model itself."
        )
    if trainer.optimizer is not None and any(True for _ in parts.parameters()):
        raise ConfigError(
            f"{name} trains weights beside the model's, which the given optimizers do not update: "
            "choose the optimiser by TrainingArguments(optim=...) or optimizer_cls_and_kwargs."
        )


def fault_of(loss: Tensor, labels: Any) -> int:
    """Return the index in `FAULTS` of the value of the loss of a batch.

    The mean loss of a batch whose labels are all ignored is NaN. It is no fault, because its gradients are
    zero.
    """
    if loss.isfinite() or ignores_all(labels):
        return 0
    return FAULTS.index("nan" if loss.isnan() else "inf")
