"""Continuing from a search: a checkpoint of the cut model, from which its training resumes.

A search trains weights, and the optimiser keeps moments of their gradients. Both are cut in the same way, and
are then the state of the smaller model's training. So the training resumes at the step, with the learning
rate, the order of the examples and the noise with which the search ended.
"""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME, TRAINER_STATE_NAME

from earlyrobust import processes
from earlyrobust.errors import ConfigError
from earlyrobust.families import family_of
from earlyrobust.pruning import ImportanceCoefficients, prune
from earlyrobust.pruning.kept import kept_entries
from earlyrobust.trainer.passes import PARTS_NAME

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from earlyrobust.tickets.ticket import Ticket
    from earlyrobust.trainer import AdversarialTrainer


def save_cut_checkpoint(
    trainer: AdversarialTrainer, coefficients: ImportanceCoefficients, ticket: Ticket, folder: Path
) -> Path:
    """Write a checkpoint of the cut model's training, at the step that the search has reached.

    The coefficients of the remaining parts are multiplied into the weights. So the cut model computes the
    same as the searched model with its other heads and neurons switched off.

    Args:
        trainer: The trainer of the search, after its training.
        coefficients: The coefficients, detached from the model.
        ticket: The ticket of the search.
        folder: The folder for the checkpoints of the training that continues.

    Returns:
        The folder of the checkpoint, for `Trainer.train(resume_from_checkpoint=...)`.

    Raises:
        ConfigError: If the optimiser keeps a state that cannot be cut, as Adafactor does.
    """
    model = trainer.accelerator.unwrap_model(trainer.model)
    place = folder / f"checkpoint-{trainer.state.global_step}"
    if processes.is_first():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        whole = copy.deepcopy(model)
        coefficients.fold_into(whole)
        small = prune(whole, ticket)
        if trainer.parts is not None:  # the checkpoint keeps it, such as FAT's memory
            small.add_module(PARTS_NAME, trainer.parts)
        small.save_pretrained(place)
        torch.save(_cut_state(trainer.optimizer, model, small, ticket), place / OPTIMIZER_NAME)
        torch.save(trainer.lr_scheduler.state_dict(), place / SCHEDULER_NAME)
        trainer.state.save_to_json(str(place / TRAINER_STATE_NAME))
        _forget_the_search(place / TRAINER_STATE_NAME)
        if trainer.noise is not None:
            trainer.noise.save(place)
    processes.wait()
    trainer._save_scaler(str(place))
    trainer._save_rng_state(str(place))  # each process has a state of its own
    processes.wait()
    return place


def _forget_the_search(file: Path) -> None:
    """Remove the log of the search, its best model, and its request to stop, from a saved trainer state."""
    state = json.loads(file.read_text(encoding="utf-8"))
    wishes = state["stateful_callbacks"]["TrainerControl"]["args"]
    wishes.update(dict.fromkeys(wishes, False))
    # The best model of the search is not cut, so it cannot be the best model of this training.
    best = dict.fromkeys(("best_metric", "best_global_step", "best_model_checkpoint"))
    file.write_text(json.dumps({**state, **best, "log_history": []}, indent=2), "utf-8")


def _cut_state(
    optimizer: Any, model: PreTrainedModel, small: PreTrainedModel, ticket: Ticket
) -> dict[str, Any]:
    """Return the state of a search's optimiser for the cut model.

    Args:
        optimizer: The optimiser of the search.
        model: The searched model.
        small: The cut model.
        ticket: The ticket.
    """
    kept = _kept(model, ticket)
    names = {id(weight): name for name, weight in model.named_parameters()}
    shapes = {name: weight.shape for name, weight in small.named_parameters()}
    state = optimizer.state_dict()
    groups: list[dict[str, Any]] = []
    found: dict[str, dict[str, Any]] = {}
    for group, saved in zip(optimizer.param_groups, state["param_groups"], strict=True):
        here = []
        for weight, number in zip(group["params"], saved["params"], strict=True):
            name = names.get(id(weight), "")
            if name not in shapes:  # a coefficient
                continue
            here.append(name)
            moments = state["state"].get(number, {})
            found[name] = {
                key: _cut(value, weight, kept.get(id(weight)), shapes[name]) for key, value in moments.items()
            }
        # The optimiser of the cut model finds its moments by their order, which the user may have chosen.
        groups.append({**saved, "params": here})
    numbers = {name: number for number, name in enumerate(n for group in groups for n in group["params"])}
    return {
        "state": {numbers[name]: moments for name, moments in found.items() if moments},
        "param_groups": [
            {**group, "params": [numbers[name] for name in group["params"]]} for group in groups
        ],
    }


def _kept(model: PreTrainedModel, ticket: Ticket) -> dict[int, Tensor]:
    """Return the flat indices of the remaining entries of each weight that is cut, by the weight's `id`."""
    family = family_of(model.config)
    size = family.dimensions(model.config)
    found: dict[int, Tensor] = {}
    for layer, heads, neurons in zip(family.layers(model), ticket.heads, ticket.neurons, strict=True):
        kept = kept_entries(family, layer, heads, neurons, size.head_size)
        found.update({id(weight): kept[name] for name, weight in layer.named_parameters()})
    return found


def _cut(value: Any, weight: nn.Parameter, kept: Tensor | None, shape: torch.Size) -> Any:
    """Return the part of an optimiser's value for a weight that belongs to the weight's remaining entries."""
    if not isinstance(value, Tensor) or value.dim() == 0 or (kept is None and value.shape == weight.shape):
        return value
    if value.shape != weight.shape:
        raise ConfigError(
            "The optimiser keeps a state of another shape than its weights, which cannot be cut: choose "
            "AdamW, or start the ticket's training afresh."
        )
    return value.flatten()[kept.to(value.device)].view(shape)  # type: ignore[union-attr]
