"""RobusT's search: hard-concrete masks against their closed forms, and what the search trains and draws."""

import math

import models
import numpy as np
import pytest
import tiny
import torch
from torch.testing import assert_close
from transformers import TrainerCallback

from earlyrobust.adversarial import FreeLB
from earlyrobust.families import FAMILIES
from earlyrobust.pruning import zero_weights
from earlyrobust.search import RobustTicketConfig, RobustTicketSearch
from earlyrobust.search.robust_ticket import HardConcrete, matrices_of

LOW, HIGH, TEMPERATURE = -0.1, 1.1, 2 / 3
# -β log(-l / h), by which a mask is likelier to be open than σ(log α).
SHIFT = -TEMPERATURE * math.log(0.1 / 1.1)

ADVERSARY = FreeLB(steps=2)
LOG_ALPHA = "log_alpha"


def sigmoid(value):
    return 1 / (1 + np.exp(-np.asarray(value, np.float64)))


def mask_of(log_alpha):
    mask = HardConcrete(torch.Size(np.shape(log_alpha)), 0.5)
    with torch.no_grad():
        mask.log_alpha.copy_(torch.as_tensor(log_alpha))
    return mask


def masks_by_hand(noise, log_alpha, temperature=TEMPERATURE):
    noise, log_alpha = np.asarray(noise, np.float64), np.asarray(log_alpha, np.float64)
    concrete = sigmoid((np.log(noise) - np.log(1 - noise) + log_alpha) / temperature)
    return np.minimum(1, np.maximum(0, concrete * (HIGH - LOW) + LOW))


@pytest.mark.parametrize("log_alpha", [-4.0, -2.0, -SHIFT, 0.0, 1.0, math.log(9)])
def test_the_share_of_closed_masks_is_that_of_the_closed_form(log_alpha):
    count = 400_000
    mask = mask_of(np.full((count,), log_alpha, np.float32))
    torch.manual_seed(0)
    drawn = mask(torch.ones(count))
    closed = (drawn == 0).double().mean().item()
    opened = sigmoid(log_alpha - TEMPERATURE * math.log(-LOW / HIGH))
    # Five standard deviations of the share of a sample: off by chance in one of a million.
    assert closed == pytest.approx(1 - opened, abs=5 * math.sqrt(opened * (1 - opened) / count))
    assert_close(mask.open_probabilities().detach(), torch.full((count,), opened).float())
    # By symmetry m ≥ 1 is as likely as m ≤ 0 at the opposite log α.
    full = (drawn == 1).double().mean().item()
    expected = sigmoid(log_alpha - SHIFT)
    assert full == pytest.approx(expected, abs=5 * math.sqrt(expected * (1 - expected) / count))


def test_training_draws_the_masks_of_its_noise_and_evaluation_those_without_any():
    log_alpha = np.random.default_rng(0).normal(0, 3, (40, 50)).astype(np.float32)
    weight = torch.randn(40, 50, generator=torch.Generator().manual_seed(1))
    mask = mask_of(log_alpha)
    torch.manual_seed(2)
    drawn = mask(weight)
    torch.manual_seed(2)
    noise = torch.rand(40, 50)
    expected = masks_by_hand(noise, log_alpha)
    assert {0.0, 1.0} < set(expected.ravel())
    assert_close(drawn.detach(), weight * torch.from_numpy(expected).float(), rtol=1e-4, atol=1e-5)
    assert torch.equal(mask(weight), drawn)
    mask.forget()
    assert not torch.equal(mask(weight), drawn)
    mask.eval()
    still = torch.from_numpy(masks_by_hand(0.5, log_alpha, temperature=1)).float()
    assert_close(mask(weight).detach(), weight * still, rtol=1e-4, atol=1e-5)
    assert torch.equal(mask(weight), mask(weight))


def test_gradients_pass_through_masks_that_are_neither_open_nor_closed():
    log_alpha = np.random.default_rng(0).normal(0, 3, 500).astype(np.float32)
    mask = mask_of(log_alpha)
    torch.manual_seed(2)
    mask(torch.full((500,), 2.0)).sum().backward()
    torch.manual_seed(2)
    noise = torch.rand(500).double().numpy()
    gate = sigmoid((np.log(noise) - np.log(1 - noise) + log_alpha) / TEMPERATURE)
    between = (gate * 1.2 - 0.1 > 0) & (gate * 1.2 - 0.1 < 1)
    expected = np.where(between, 2 * 1.2 * gate * (1 - gate) / TEMPERATURE, 0)
    assert 0 < between.sum() < 500
    assert_close(mask.log_alpha.grad, torch.from_numpy(expected).float(), rtol=1e-3, atol=1e-5)


def test_noise_at_the_ends_of_its_interval_gives_no_nan(monkeypatch):
    mask = mask_of(np.zeros(2, np.float32))
    monkeypatch.setattr(torch, "rand_like", lambda _: torch.tensor([0.0, 1.0]))
    drawn = mask(torch.ones(2))
    drawn.sum().backward()
    assert drawn.tolist() == [0, 1]
    assert mask.log_alpha.grad.isfinite().all()


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_masks_start_with_the_odds_asked_for(probability):
    alpha = HardConcrete(torch.Size([3, 4]), probability).log_alpha.exp()
    assert alpha.shape == (3, 4)
    assert_close(alpha / (1 + alpha), torch.full((3, 4), probability))


def test_masks_keep_the_precision_of_the_weights():
    mask = HardConcrete(torch.Size([3, 4]), 0.9)
    assert mask(torch.ones(3, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert mask.log_alpha.dtype == torch.float32


POOLERS = {"bert": ["bert.pooler.dense"], "albert": ["albert.pooler"]}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_matrices_are_those_of_the_layers_and_of_the_pooler(family):
    path, layout = models.LAYOUTS[family]
    model = models.classifier(family)
    expected = [f"{path.format(index)}.{name}" for index in range(models.LAYERS) for name in layout]
    matrices = matrices_of(model)
    assert sorted(matrices) == sorted([*expected, *POOLERS.get(family, [])])
    assert all(matrix is model.get_submodule(name) for name, matrix in matrices.items())


class Watch(TrainerCallback):
    """Keeps log α before each step and at the end, its gradients, and what the optimiser holds."""

    def __init__(self):
        self.before, self.gradients, self.trained = [], [], set()

    def on_pre_optimizer_step(self, args, state, control, *, model, optimizer, **_):
        self.before.append(log_alphas(model))
        self.gradients.append(
            {
                name: weight.grad.clone()
                for name, weight in model.named_parameters()
                if weight.grad is not None
            }
        )
        held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
        self.trained = {name for name, weight in model.named_parameters() if id(weight) in held}

    def on_train_end(self, args, state, control, *, model, **_):
        self.after = log_alphas(model)


def log_alphas(model):
    """Clones of log α, by the names of the masked weights."""
    return {
        name.replace(".parametrizations.weight.0.log_alpha", ".weight"): weight.detach().clone()
        for name, weight in model.named_parameters()
        if name.endswith(LOG_ALPHA)
    }


def search_of(folder, *, model=None, adversary=ADVERSARY, changes=None, **settings):
    watch = Watch()
    search = RobustTicketSearch(
        model or tiny.classifier(),
        tiny.arguments(folder, **(changes or {})),
        tiny.dataset(64),
        config=RobustTicketConfig(**{"epochs": 0.25, **settings}),
        adversary=adversary,
        processing_class=tiny.tokenizer(),
        callbacks=[watch],
    )
    return search, watch


@pytest.mark.parametrize("adversary", [None, ADVERSARY], ids=["plain", "freelb"])
def test_only_the_masks_are_trained(tmp_path, adversary):
    model = tiny.classifier()
    search, watch = search_of(tmp_path, model=model, adversary=adversary, changes={"weight_decay": 0.5})
    search.run()
    assert watch.gradients[0].keys() == watch.trained
    assert all(name.endswith(LOG_ALPHA) for name in watch.trained)
    assert watch.after.keys() == {f"{name}.weight" for name in matrices_of(model)}
    for name, log_alpha in watch.after.items():
        assert (watch.before[0][name] == torch.tensor(math.log(9))).all()
        assert (log_alpha != watch.before[0][name]).float().mean() > 0.99
    before = tiny.classifier().state_dict()
    assert [
        name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])
    ] == []


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("adversary", [None, ADVERSARY], ids=["plain", "freelb"])
def test_the_penalty_adds_the_gradient_of_the_expected_share_of_open_masks(tmp_path, adversary, accumulation):
    def first_gradients(penalty):
        changes = {"gradient_accumulation_steps": accumulation, "max_grad_norm": 0.0}
        search, watch = search_of(tmp_path, adversary=adversary, changes=changes, penalty=penalty)
        search.run()
        return watch.gradients[0]

    bare, penalised = first_gradients(0.0), first_gradients(50.0)
    opened = sigmoid(math.log(9) + SHIFT)
    weights = sum(gradient.numel() for gradient in bare.values())
    for name, gradient in bare.items():
        added = torch.full_like(gradient, 50.0 * opened * (1 - opened) / weights)
        assert_close(penalised[name] - gradient, added, rtol=1e-3, atol=1e-6)


def test_a_penalty_closes_masks_and_decay_has_no_part_in_it(tmp_path):
    def mean_log_alpha(decay=0.0, **settings):
        search, watch = search_of(tmp_path, changes={"weight_decay": decay}, **settings)
        search.run()
        return torch.cat([part.flatten() for part in watch.after.values()]).mean().item()

    free, penalised = mean_log_alpha(penalty=0.0), mean_log_alpha(penalty=100.0)
    assert penalised < free - 0.05
    assert mean_log_alpha(decay=0.9, penalty=0.0) == free


@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.61803])
def test_the_draw_cuts_the_least_likely_of_all_matrices_together(tmp_path, ratio):
    search, watch = search_of(tmp_path, weight_ratio=ratio)
    ticket = search.run()
    assert ticket.model_type == "bert"
    assert list(ticket.masks) == list(watch.after)
    together = torch.cat([part.flatten() for part in watch.after.values()]).tolist()
    order = sorted(range(len(together)), key=lambda index: (together[index], index))
    kept = np.ones(len(together), bool)
    kept[order[: round(ratio * len(together))]] = False
    drawn = np.concatenate([mask.ravel() for mask in ticket.masks.values()])
    np.testing.assert_array_equal(drawn, kept)
    assert {mask.shape for mask in ticket.masks.values()} == {(16, 16), (20, 16), (16, 20)}
    if ratio:
        assert len({mask.mean() for mask in ticket.masks.values()}) > 1, "no more than a draw by layers"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_be_searched(tmp_path, family):
    model = models.classifier(family, labels=2)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    search, _ = search_of(tmp_path, model=model)
    ticket = search.run()
    assert ticket.masks.keys() == {f"{name}.weight" for name in matrices_of(model)}
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    share = (
        sum((weight == 0).sum().item() for weight in zero_weights(model, ticket).parameters())
        / ticket.weights
    )
    assert share == pytest.approx(0.3, abs=1 / ticket.weights)
