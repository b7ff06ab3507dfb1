"""Counts the epochs of a training, also if its data set has no length."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import has_length

# The state of a Trainer holds the epoch of a stream under this name, and so do its checkpoints.
_OF_STREAM = "earlyrobust_epoch"


class EpochCounter(TrainerCallback):  # type: ignore[misc]
    """Counts the passes of a Trainer over its training data, because each pass gets new noise.

    The Trainer's own state tells the pass for data sets of known length only. For a stream, which is a data
    set without a length, it adds the share of the whole training to the number of the pass.

    A resumed training continues the count of its checkpoint:

    - With a data set of known length, it continues within the epoch of the checkpoint.
    - With a stream, Trainer skips as many batches as the training has taken, but within a single pass. So a
      training that was interrupted in its first pass continues exactly. After an interruption in a later
      pass, nothing of that pass is left: the training continues at the beginning of the stream, as the next
      pass. No two passes have the same noise.
    - With `ignore_data_skip`, Trainer begins the interrupted epoch again, so it has its noise again.

    Attributes:
        epoch: Number of the epoch, from 0; None before the first epoch.
    """

    def __init__(self) -> None:
        self.epoch: int | None = None
        self._next = 0
        self._is_stream = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Begin with the epoch of the checkpoint, or with 0."""
        self._is_stream = not has_length(kwargs.get("train_dataloader"))
        # A resumed Trainer counts the passes of a stream from 0, so the epoch of its state is too small in
        # the next checkpoint.
        self._next = state.stateful_callbacks.pop(_OF_STREAM, int(state.epoch or 0))

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count the epoch that begins."""
        self.epoch = self._next
        self._next += 1
        if self._is_stream:
            state.stateful_callbacks[_OF_STREAM] = self.epoch
