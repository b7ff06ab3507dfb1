"""Returns a training under noise to its last good state when the model is no better than chance."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file, load_model, save_file, save_model
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from earlyrobust import processes
from earlyrobust.storage import write_folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from earlyrobust.noise import TextNoise

# The key of the log that records that the training went back.
_RETREAT = "retreat"
_GOOD, _WEIGHTS, _MOMENTS = "good", "model.safetensors", "optimizer.safetensors"
# Number of parts of a training; the model is judged after each part.
_QUARTERS = 4
# Largest number of times that a training goes back.
_MOST = 2


class RetreatCallback(TrainerCallback):  # type: ignore[misc]
    """Judges the model after each quarter of the training, and returns to the last good quarter if it fails.

    The training then continues at its current step, with the weights and the optimiser's state of the last
    good quarter. The level of the noise, its highest level and the learning rate are halved. The training
    goes back at most twice. Without a good quarter the training continues unchanged.

    Args:
        judge: Judges the model: True if it is good, False if it has failed, for example because it predicts
            only one class, None if it has learned too little to tell.
        noise: The noise in the training texts.
        report: Receives the step whenever the training goes back.
    """

    def __init__(
        self,
        judge: Callable[[PreTrainedModel], bool | None],
        noise: TextNoise,
        report: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._judge = judge
        self._noise = noise
        self._report = report

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: PreTrainedModel,
        optimizer: Any,
        lr_scheduler: Any,
        **kwargs: Any,
    ) -> None:
        """Judge the model if this step ends a quarter of the training."""
        quarters = [math.ceil(part * state.max_steps / _QUARTERS) for part in range(1, _QUARTERS + 1)]
        if state.global_step not in quarters:
            return
        place = Path(args.output_dir) / _GOOD
        is_good = self._judge(model)
        if is_good:
            if processes.is_first():
                shutil.rmtree(place, ignore_errors=True)
                write_folder(place, lambda folder: _write(folder, model, optimizer))
            processes.wait()
        elif (
            is_good is False
            and place.is_dir()
            and sum(_RETREAT in entry for entry in state.log_history) < _MOST
        ):
            load_model(model, place / _WEIGHTS, device=str(model.device))
            saved = load_file(place / _MOMENTS, device=str(model.device))
            for name, moment in _moments(optimizer).items():
                moment.copy_(saved[name])
            schedule = getattr(lr_scheduler, "scheduler", lr_scheduler)
            schedule.base_lrs = [rate / 2 for rate in schedule.base_lrs]
            for group in optimizer.param_groups:  # the schedule has already set the rate of the next step
                group["lr"] /= 2
            self._noise.rate.halve()
            state.log_history.append({_RETREAT: 1.0, "step": state.global_step})
            self._report(state.global_step)


def _write(folder: Path, model: PreTrainedModel, optimizer: Any) -> None:
    save_model(model, str(folder / _WEIGHTS))
    save_file(_moments(optimizer), folder / _MOMENTS)


def _moments(optimizer: Any) -> dict[str, Tensor]:
    """Return the tensors that an optimiser keeps for the weights, not copies of them."""
    return {
        f"{number}.{name}": value
        for number, kept in optimizer.state_dict()["state"].items()
        for name, value in kept.items()
        if isinstance(value, Tensor)
    }
