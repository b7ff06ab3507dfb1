"""Cheap dropout: its rate, its independence, its seed, and that it changes nothing else."""

from __future__ import annotations

from typing import Any

import models
import numpy as np
import pytest
import tiny
import torch
from scipy.stats import binomtest, chisquare
from torch.nn import functional

from earlyrobust.trainer.dropout import cheap_dropout, keep_mask


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.001, 0.95])
def test_the_rate_is_kept_and_the_mean_is_one(rate: float) -> None:
    torch.manual_seed(0)
    mask = keep_mask((1000, 400), rate)
    dropped = int((mask == 0).sum())
    assert binomtest(dropped, mask.numel(), rate).pvalue > 1e-3
    assert mask.unique().tolist() == pytest.approx([0, 1 / (1 - rate)], rel=1e-4)
    assert abs(float(mask.mean()) - 1) < 5 * (rate / (1 - rate) / mask.numel()) ** 0.5


def test_entries_are_independent_of_their_neighbours() -> None:
    """Also of those that come from the same random number, and of the same place in another draw."""
    torch.manual_seed(1)
    dropped = np.concatenate([(keep_mask((64_000,), 0.3) == 0).numpy() for _ in range(10)])
    for distance in (1, 2, 3, 4, 5, 8, 16, 64, 64_000):
        pairs = 2 * dropped[:-distance].astype(int) + dropped[distance:]
        observed = np.bincount(pairs, minlength=4)
        expected = np.array([0.49, 0.21, 0.21, 0.09]) * len(pairs)
        assert chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-4, distance
    in_fours = dropped.reshape(-1, 4).sum(axis=1)
    expected = np.array([0.7**4, 4 * 0.3 * 0.7**3, 6 * 0.09 * 0.49, 4 * 0.027 * 0.7, 0.3**4]) * len(in_fours)
    assert chisquare(np.bincount(in_fours, minlength=5), expected).pvalue > 1e-4


def test_it_is_seeded_and_any_shape_is_drawn() -> None:
    for shape in ((1,), (3,), (5, 7), (2, 3, 4, 5)):
        torch.manual_seed(2)
        first = keep_mask(shape, 0.5)
        state = torch.get_rng_state()
        second = keep_mask(shape, 0.5)
        torch.manual_seed(2)
        assert torch.equal(keep_mask(shape, 0.5), first)
        torch.set_rng_state(state)
        assert torch.equal(keep_mask(shape, 0.5), second)
        assert first.shape == shape


def test_the_gradient_is_that_of_the_mask() -> None:
    x = torch.randn(50, 40, requires_grad=True)
    with cheap_dropout():
        y = torch.nn.Dropout(0.4)(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.allclose(y, x * x.grad)
    assert 0.3 < float((x.grad == 0).float().mean()) < 0.5


def test_what_needs_no_masks_is_left_alone() -> None:
    x = torch.randn(6, 6)
    state = torch.get_rng_state()
    with cheap_dropout():
        assert torch.equal(functional.dropout(x, 0.0, True), x)
        assert torch.equal(functional.dropout(x, 0.5, False), x)
        assert not functional.dropout(x, 1.0, True).any()
        assert functional.dropout(torch.empty(0, 3), 0.5, True).shape == (0, 3)
        assert torch.equal(torch.nn.Dropout(0.5).eval()(x), x)
        query = torch.randn(1, 2, 3, 4)
        plain = functional.scaled_dot_product_attention(query, query, query)
    assert torch.equal(plain, functional.scaled_dot_product_attention(query, query, query))
    before = torch.get_rng_state()
    torch.set_rng_state(state)
    functional.dropout(x, 1.0, True)  # PyTorch's own draws numbers here, too
    torch.randn(1, 2, 3, 4)
    assert torch.equal(before, torch.get_rng_state())
    with cheap_dropout():
        torch.manual_seed(3)
        cheap = functional.dropout(x, 0.5, True)
    torch.manual_seed(3)
    assert not torch.equal(cheap, functional.dropout(x, 0.5, True))


@pytest.mark.parametrize("kind", ["none", "bool", "float"])
def test_attention_is_that_of_pytorch_on_average(kind: str) -> None:
    torch.manual_seed(4)
    query, key, value = (torch.randn(2, 3, 5, 8) for _ in range(3))
    allowed = torch.ones(2, 1, 1, 5, dtype=torch.bool)
    allowed[1, ..., 3:] = False
    masks = {"none": None, "bool": allowed, "float": torch.zeros(2, 1, 1, 5).masked_fill(~allowed, -1e9)}
    expected = functional.scaled_dot_product_attention(query, key, value, masks[kind], scale=0.3)
    with cheap_dropout():
        options: Any = {"attn_mask": masks[kind], "dropout_p": 0.2, "scale": 0.3}
        attend = functional.scaled_dot_product_attention
        draws = torch.stack([attend(query, key, value, **options) for _ in range(4000)])
    deviation = draws.std(0) / 4000**0.5
    assert ((draws.mean(0) - expected).abs() < 5 * deviation + 1e-6).all()
    assert draws.std() > 0.01


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_a_row_that_may_attend_to_nothing_gets_what_pytorch_gives(kind: str) -> None:
    torch.manual_seed(6)
    allowed = torch.ones(2, 1, 5, 5, dtype=torch.bool)
    allowed[1, :, 2:] = False
    mask = allowed if kind == "bool" else torch.zeros(2, 1, 5, 5).masked_fill(~allowed, -torch.inf)
    found = []
    for context in (torch.enable_grad, cheap_dropout):
        fed = [torch.ones(2, 3, 5, 8, requires_grad=True) for _ in range(3)]
        with context():
            attended = functional.scaled_dot_product_attention(*fed, attn_mask=mask, dropout_p=1e-5)
        found.append([attended, *torch.autograd.grad(attended.square().sum(), fed)])
    assert not found[0][0][1, :, 2:].any()
    assert all(torch.allclose(one, other, atol=1e-3) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "modernbert", "deberta-v2"])
def test_a_model_without_dropout_trains_as_ever(family: str) -> None:
    model: Any = models.classifier(family)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.config.attention_probs_dropout_prob = 0.0
    for name in ("attention_dropout", "dropout_prob"):
        for module in model.modules():
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    model.eval()
    fed = models.batch(family)
    gradients = []
    for context in (torch.enable_grad, cheap_dropout):
        model.zero_grad()
        with context():
            model(**fed).logits.square().sum().backward()
        gradients.append([weight.grad.clone() for weight in model.parameters() if weight.grad is not None])
    assert gradients[0]
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_bert_drops_in_every_place_where_it_did() -> None:
    """The scatter of the logits is that of PyTorch's dropout."""
    model = tiny.classifier(dropout=0.3).train()
    fed = {name: values for name, values in tiny.batch(4).items() if name != "labels"}
    spreads = []
    for context in (torch.no_grad, cheap_dropout):
        torch.manual_seed(5)
        with torch.no_grad(), context():
            draws = torch.stack([model(**fed).logits for _ in range(600)])
        spreads.append(draws.std(0))
    assert torch.allclose(spreads[0], spreads[1], rtol=0.25)


def test_what_was_exchanged_is_put_back() -> None:
    before = functional.dropout, functional.scaled_dot_product_attention
    seen = []

    def interrupted() -> None:
        seen.append(functional.dropout)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), cheap_dropout():
        interrupted()
    assert seen[0] is not before[0]
    assert (functional.dropout, functional.scaled_dot_product_attention) == before
