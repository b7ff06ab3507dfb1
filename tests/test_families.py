"""Every family: masking equals cutting, and what is cut is exactly what the ticket cuts."""

from __future__ import annotations

import copy

import models
import numpy as np
import pytest
import torch
from models import ATTENTIONS, HEADS, HIDDEN, LAYERS, NEURONS
from transformers import AutoConfig, GPT2Config, PreTrainedModel, XLNetConfig

from earlyrobust.errors import ModelError
from earlyrobust.families import FAMILIES, Dimensions, Family, family_of
from earlyrobust.pruning import masked, prune

HEAD_SIZE = HIDDEN // HEADS


def test_every_family_has_a_tiny_model() -> None:
    assert set(models.CONFIGS) == set(FAMILIES)
    assert all(name == family.model_type for name, family in FAMILIES.items())


@pytest.mark.parametrize("name", FAMILIES)
def test_dimensions(name: str) -> None:
    assert family_of(models.classifier(name).config) is FAMILIES[name]
    size = FAMILIES[name].dimensions(models.classifier(name).config)
    assert size == Dimensions(LAYERS, HEADS, NEURONS, HEAD_SIZE)


@pytest.mark.parametrize("config", [GPT2Config(), XLNetConfig(), AutoConfig.for_model("albert")])
def test_other_families_are_refused_and_the_supported_ones_named(config: object) -> None:
    with pytest.raises(ModelError) as error:
        family_of(config)
    assert all(f"{name}" in str(error.value) for name in [config.model_type, *FAMILIES])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("name", FAMILIES)
def test_masking_equals_cutting(name: str, attention: str, dtype: torch.dtype, tolerance: float) -> None:
    model = models.classifier(name, attention).to(dtype)
    whole = models.logits(model)
    ticket = models.ticket(name)
    with masked(model, ticket):
        switched_off = models.logits(model)
    small = prune(model, ticket)
    cut = models.logits(small)
    assert small.config._attn_implementation == model.config._attn_implementation == attention
    assert cut.dtype == dtype
    assert (switched_off - cut).abs().max() < tolerance
    assert (switched_off - whole).abs().max() > 1e-2, "the ticket changes nothing, so nothing was compared"


@pytest.mark.parametrize("name", FAMILIES)
def test_padding_and_token_types_reach_the_cut_model(name: str) -> None:
    small = prune(models.classifier(name), models.ticket(name))
    fed = models.batch(name)
    row = {key: value[:1, : int(fed["attention_mask"][0].sum())] for key, value in fed.items()}
    torch.testing.assert_close(models.logits(small, row), models.logits(small, fed)[:1], atol=1e-5, rtol=1e-5)
    if "token_type_ids" in fed:
        without = fed | {"token_type_ids": torch.zeros_like(fed["token_type_ids"])}
        assert (models.logits(small, without) - models.logits(small, fed)).abs().max() > 1e-3


@pytest.mark.parametrize("name", FAMILIES)
def test_one_head_and_one_neuron_are_enough(name: str) -> None:
    heads, neurons = np.zeros((LAYERS, HEADS), bool), np.zeros((LAYERS, NEURONS), bool)
    heads[:, 2] = neurons[:, 17] = True
    ticket = models.Ticket(name, heads, neurons)
    model = models.classifier(name)
    with masked(model, ticket):
        expected = models.logits(model)
    torch.testing.assert_close(models.logits(prune(model, ticket)), expected, atol=1e-5, rtol=0)


def projections(family: Family, layer: torch.nn.Module) -> dict[str, torch.nn.Linear]:
    paths = ("query", "key", "value", "attention_output", "ffn_input", "ffn_output")
    return {path: layer.get_submodule(getattr(family, path)) for path in paths}


@pytest.mark.parametrize("name", FAMILIES)
def test_weights_that_stay_are_exactly_slices(name: str) -> None:
    family, model, ticket = FAMILIES[name], models.classifier(name), models.ticket(name)
    small = prune(model, ticket)
    for index, (before, after) in enumerate(zip(family.layers(model), family.layers(small), strict=True)):
        channels = torch.from_numpy(np.repeat(ticket.heads[index], HEAD_SIZE))
        neurons = torch.from_numpy(ticket.neurons[index])
        old, new = projections(family, before), projections(family, after)
        for path in ("query", "key", "value"):
            assert torch.equal(new[path].weight, old[path].weight[channels])
            assert torch.equal(new[path].bias, old[path].bias[channels])
        assert torch.equal(new["attention_output"].weight, old["attention_output"].weight[:, channels])
        assert torch.equal(new["attention_output"].bias, old["attention_output"].bias)
        assert torch.equal(new["ffn_input"].weight, old["ffn_input"].weight[neurons])
        assert torch.equal(new["ffn_input"].bias, old["ffn_input"].bias[neurons])
        assert torch.equal(new["ffn_output"].weight, old["ffn_output"].weight[:, neurons])
        assert torch.equal(new["ffn_output"].bias, old["ffn_output"].bias)

    touched = {
        id(tensor)
        for layer in family.layers(small)
        for module in projections(family, layer).values()
        for tensor in (module.weight, module.bias)
    }
    old_state = dict(model.named_parameters())
    for key, tensor in small.named_parameters():
        assert id(tensor) in touched or torch.equal(tensor, old_state[key]), key


@pytest.mark.parametrize("name", FAMILIES)
def test_parameter_count(name: str) -> None:
    model, ticket = models.classifier(name), models.ticket(name)
    # A head has three projections of HEAD_SIZE rows with biases, and HEAD_SIZE columns of the output.
    head = 3 * HEAD_SIZE * (HIDDEN + 1) + HEAD_SIZE * HIDDEN
    # A neuron has a row with its bias, and a column.
    neuron = (HIDDEN + 1) + HIDDEN
    gone = int((~ticket.heads).sum()) * head + int((~ticket.neurons).sum()) * neuron
    assert gone > 0
    assert prune(model, ticket).num_parameters() == model.num_parameters() - gone


@pytest.mark.parametrize("name", FAMILIES)
def test_a_cut_model_trains(name: str) -> None:
    small = prune(models.classifier(name).train(), models.ticket(name))
    assert small.training
    optimiser = torch.optim.SGD(small.parameters(), lr=0.01)
    fed = models.batch(name) | {"labels": torch.tensor([0, 1, 2, 1, 0])}
    before = copy.deepcopy(small.state_dict())
    small.eval()
    losses = []
    for _ in range(3):
        optimiser.zero_grad()
        loss = small(**fed).loss
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    frozen = [key for key, value in small.state_dict().items() if torch.equal(value, before[key])]
    assert not [key for key in frozen if "layer" in key and "weight" in key]


@pytest.mark.parametrize("name", FAMILIES)
def test_prune_leaves_its_argument_and_the_random_state_alone(name: str) -> None:
    model = models.classifier(name)
    before, whole = copy.deepcopy(model.state_dict()), models.logits(model)
    config, state = model.config.to_dict(), torch.get_rng_state()
    small: PreTrainedModel = prune(model, models.ticket(name))
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        for parameter in small.parameters():
            parameter.zero_()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(models.logits(model), whole)
    assert model.config.to_dict() == config
    assert not model.training
    assert not small.training
