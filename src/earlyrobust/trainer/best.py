"""A callback that keeps the best weights of a training, and stops a training that no longer improves."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_model, save_model
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from earlyrobust import processes
from earlyrobust.storage import write_folder

if TYPE_CHECKING:
    from torch.utils.data import DataLoader
    from transformers import PreTrainedModel

# The key of the log that holds the value of the model after an epoch.
VALUE = "selection"
_BEST, _WEIGHTS = "best", "model.safetensors"


class BestWeightsCallback(TrainerCallback):  # type: ignore[misc]
    """Evaluates the model after each epoch, and ends the training with the weights of the best epoch.

    The training stops early if the model has not improved for `patience` epochs. The log of the training
    holds the values, so a resumed training continues with them. Among equal values the first one counts as
    the best.

    Args:
        judge: Returns the value of a model; greater is better.
        patience: Epochs in a row without improvement after which the training stops.
        report: Receives the epoch and the value of each model.
    """

    def __init__(
        self,
        judge: Callable[[PreTrainedModel], float],
        patience: int,
        report: Callable[[float, float], object] = lambda *_: None,
    ) -> None:
        self._judge = judge
        self._patience = patience
        self._report = report

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: PreTrainedModel,
        train_dataloader: DataLoader[Any],
        **kwargs: Any,
    ) -> None:
        """Evaluate the model of a checkpoint that was written after an epoch, but before its evaluation."""
        steps = math.ceil(len(train_dataloader) / args.gradient_accumulation_steps)
        judged = {entry["step"] for entry in state.log_history if VALUE in entry}
        if state.global_step and state.global_step % steps == 0 and state.global_step not in judged:
            self.on_epoch_end(args, state, control, model=model)

    def on_epoch_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: PreTrainedModel,
        **kwargs: Any,
    ) -> None:
        """Evaluate the model, keep its weights if they are the best so far, and stop without improvement."""
        before = _values(state)
        value = self._judge(model)
        state.log_history.append({VALUE: value, "epoch": state.epoch, "step": state.global_step})
        self._report(float(state.epoch or 0), value)
        if not before or value > max(before):
            place = Path(args.output_dir) / _BEST
            if processes.is_first():
                shutil.rmtree(place, ignore_errors=True)
                write_folder(place, lambda folder: save_model(model, str(folder / _WEIGHTS)))
            processes.wait()
        values = _values(state)
        if len(values) - 1 - values.index(max(values)) >= self._patience:
            control.should_training_stop = True

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: PreTrainedModel,
        **kwargs: Any,
    ) -> None:
        """Load the weights of the best epoch into the model."""
        values = _values(state)
        if values and values.index(max(values)) < len(values) - 1:
            load_model(model, Path(args.output_dir) / _BEST / _WEIGHTS, device=str(model.device))


def _values(state: TrainerState) -> list[float]:
    return [entry[VALUE] for entry in state.log_history if VALUE in entry]
