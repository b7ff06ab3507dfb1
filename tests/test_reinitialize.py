"""Refilling: the weights that a ticket keeps in a model of full size, all others those of a fresh one."""

from __future__ import annotations

import copy

import models
import numpy as np
import pytest
import torch
from models import HEADS, HIDDEN, LAYERS, LAYOUTS, NEURONS
from transformers import GPT2Config, GPT2ForSequenceClassification, PreTrainedModel

from earlyrobust.errors import ModelError, TicketError
from earlyrobust.families import FAMILIES
from earlyrobust.pruning import prune, reinitialize_pruned
from earlyrobust.tickets.ticket import Ticket


def state(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in model.state_dict().items()}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def pair(family: str) -> tuple[PreTrainedModel, PreTrainedModel]:
    return models.classifier(family, seed=1), models.classifier(family, seed=2)


def refilled_by_hand(
    family: str, pretrained: dict[str, torch.Tensor], fresh: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Overwrite row by row, or column by column, what `models.ticket` cuts."""
    made = {name: weight.clone() for name, weight in pretrained.items()}
    ticket = models.ticket(family)
    path, layout = LAYOUTS[family]
    for layer in range(LAYERS):
        channels = [
            channel for channel in range(HIDDEN) if not ticket.heads[layer, channel // (HIDDEN // HEADS)]
        ]
        neurons = [neuron for neuron in range(NEURONS) if not ticket.neurons[layer, neuron]]
        for name, (kind, side) in layout.items():
            weight, bias = (f"{path.format(layer)}.{name}.{part}" for part in ("weight", "bias"))
            gone, width = (channels, HIDDEN) if kind == "head" else (neurons, NEURONS)
            if side == "columns":
                made[weight][:, gone] = fresh[weight][:, gone]
                continue
            for start in range(0, len(made[weight]), width):  # more than one where projections are fused
                rows = [start + index for index in gone]
                made[weight][rows] = fresh[weight][rows]
                if bias in made:
                    made[bias][rows] = fresh[bias][rows]
    return made


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_cut_is_fresh_and_everything_else_is_pretrained(family: str) -> None:
    model, fresh = pair(family)
    before, drawn = state(model), state(fresh)
    assert reinitialize_pruned(model, models.ticket(family), fresh) is model
    expected = refilled_by_hand(family, before, drawn)
    assert_same(state(model), expected)
    assert_same(state(fresh), drawn)
    # Of the weights outside the cut matrices, and of their norms, none is fresh.
    changed = {name for name in before if not torch.equal(before[name], expected[name])}
    path, layout = LAYOUTS[family]
    cut = {f"{path.format(layer)}.{name}" for layer in range(LAYERS) for name in layout}
    assert {name.rpartition(".")[0] for name in changed} <= cut
    assert {name for name in cut if f"{path.format(0)}." in name} <= {n.rpartition(".")[0] for n in changed}


@pytest.mark.parametrize("family", FAMILIES)
def test_cutting_a_refilled_model_gives_the_ticket_of_the_pretrained_one(family: str) -> None:
    model, fresh = pair(family)
    ticket = models.ticket(family)
    expected = prune(model, ticket)
    whole, drawn = models.logits(model), models.logits(fresh)
    refilled = reinitialize_pruned(model, ticket, fresh)
    assert_same(state(prune(refilled, ticket)), state(expected))
    assert torch.equal(models.logits(prune(refilled, ticket)), models.logits(expected))
    for other in (whole, drawn, models.logits(expected)):
        assert (models.logits(refilled) - other).abs().max() > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_refilling_by_a_ticket_that_keeps_all_changes_nothing(family: str) -> None:
    model, fresh = pair(family)
    before = state(model)
    keeps_all = Ticket(family, np.ones((LAYERS, HEADS), bool), np.ones((LAYERS, NEURONS), bool))
    assert_same(state(reinitialize_pruned(model, keeps_all, fresh)), before)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_refilled_model_trains_and_is_of_its_own(family: str) -> None:
    model, fresh = pair(family)
    model.base_model.get_input_embeddings().requires_grad_(False)
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    drawn = state(fresh)
    before = state(reinitialize_pruned(model.train(), models.ticket(family), fresh))
    assert model.training
    assert [name for name, weight in model.named_parameters() if weight.requires_grad] == trained
    model(**models.batch(family), labels=torch.tensor([0, 1, 2, 1, 0])).loss.backward()
    torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.1).step()
    after = state(model)
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    path, layout = LAYOUTS[family]
    assert moved >= {f"{path.format(layer)}.{name}.weight" for layer in range(LAYERS) for name in layout}
    assert_same(state(fresh), drawn)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_weights_are_taken_over_bit_for_bit_in_any_precision(dtype: torch.dtype) -> None:
    model, fresh = (one.to(dtype) for one in pair("bert"))
    expected = refilled_by_hand("bert", state(model), state(fresh))
    assert_same(state(reinitialize_pruned(model, models.ticket("bert"), fresh)), expected)


FOREIGN = {
    "other family": models.ticket("roberta"),
    "fewer layers": Ticket("bert", np.ones((2, HEADS), bool), np.ones((2, NEURONS), bool)),
    "more heads": Ticket("bert", np.ones((LAYERS, 8), bool), np.ones((LAYERS, NEURONS), bool)),
    "fewer neurons": Ticket("bert", np.ones((LAYERS, HEADS), bool), np.ones((LAYERS, 16), bool)),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_ticket_of_another_architecture_is_refused_before_anything_is_changed(name: str) -> None:
    model, fresh = pair("bert")
    before = state(model)
    with pytest.raises(TicketError, match=r"^The ticket is of another architecture: .*\.$"):
        reinitialize_pruned(model, FOREIGN[name], fresh)
    assert_same(state(model), before)


def test_neither_a_cut_model_nor_one_of_no_family_is_refilled() -> None:
    model, fresh = pair("bert")
    with pytest.raises(TicketError, match="of another architecture"):
        reinitialize_pruned(prune(model, models.ticket("bert")), models.ticket("bert"), fresh)
    stranger = GPT2ForSequenceClassification(GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=20))
    with pytest.raises(ModelError, match="gpt2"):
        reinitialize_pruned(stranger, models.ticket("bert"), copy.deepcopy(stranger))
