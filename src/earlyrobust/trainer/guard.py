"""Noticing that a training goes on without its adversary."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from earlyrobust.errors import ConfigError


class StepGuard(TrainerCallback):  # type: ignore[misc]
    """Refuses a trainer class whose own training step passes the adversary and the penalty by.

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
                f"{self._kind.__name__}.training_step passes the adversary and the penalty by: let it call "
                "super().training_step(model, inputs, num_items_in_batch), and return what that returns."
            )
        self.taken = False
