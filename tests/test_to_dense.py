"""A cut model at full size again: an ordinary model that computes the same."""

from __future__ import annotations

import copy
from pathlib import Path

import models
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from earlyrobust.errors import ModelError
from earlyrobust.families import FAMILIES
from earlyrobust.pruning import prune, to_dense


@pytest.mark.parametrize(("family", "attention"), models.attentions())
def test_an_ordinary_model_that_computes_the_same(family: str, attention: str, tmp_path: Path) -> None:
    model, ticket = models.classifier(family, attention), models.ticket(family)
    small = prune(model, ticket)
    dense = to_dense(small)
    assert type(dense) is type(model)
    assert dense.config.model_type == family
    assert not dense.training
    assert dense.num_parameters() == model.num_parameters()
    torch.testing.assert_close(models.logits(dense), models.logits(small), atol=1e-6, rtol=3e-6)
    # What stays is where it was, and all else is zero.
    before = dict(model.named_parameters())
    zeros = 0
    for name, weight in dense.named_parameters():
        same = weight == before[name]
        assert (same | (weight == 0)).all(), name
        zeros += int((~same).sum())
    assert zeros == model.num_parameters() - small.num_parameters()
    dense.save_pretrained(tmp_path)
    again = AutoModelForSequenceClassification.from_pretrained(tmp_path, attn_implementation=attention)
    torch.testing.assert_close(models.logits(again), models.logits(small), atol=1e-6, rtol=3e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_cut_again_it_is_the_cut_model(family: str) -> None:
    small = prune(models.classifier(family), models.ticket(family))
    again = prune(to_dense(small), models.ticket(family))
    assert small.config.to_dict() == again.config.to_dict()
    state = small.state_dict()
    assert all(torch.equal(weight, state[name]) for name, weight in again.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_precision_mode_and_argument_are_kept(dtype: torch.dtype) -> None:
    small = prune(models.classifier("bert").to(dtype).train(), models.ticket("bert"))
    before, state = copy.deepcopy(small.state_dict()), torch.get_rng_state()
    dense = to_dense(small)
    assert dense.training
    assert {weight.dtype for weight in dense.parameters()} == {dtype}
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(weight, before[name]) for name, weight in small.state_dict().items())


def test_the_same_weights_are_frozen() -> None:
    small = prune(models.classifier("bert"), models.ticket("bert"))
    small.base_model.requires_grad_(False)
    dense = to_dense(small)
    trained = [name for name, weight in dense.named_parameters() if weight.requires_grad]
    assert trained == ["classifier.weight", "classifier.bias"]


def test_what_cannot_be_made_dense_is_refused() -> None:
    with pytest.raises(ModelError, match=r"^The model is not cut, .*\.$"):
        to_dense(models.classifier("bert"))
    small = prune(models.classifier("bert"), models.ticket("bert"))
    small.ticket = None
    with pytest.raises(ModelError, match=r"^The model has no ticket, .*\.$"):
        to_dense(small)
