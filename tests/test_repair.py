"""Repairing a cut model: against least squares by hand, and where what is cut is superfluous."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import models
import numpy as np
import pytest
import tiny
import torch
from test_search import CONFIG, search_of
from torch.testing import assert_close
from transformers import AutoModelForSequenceClassification

from earlyrobust.families import family_of
from earlyrobust.pruning import prune
from earlyrobust.pruning.repair import repair
from earlyrobust.ticket import Ticket


def batches(family: str) -> list[dict[str, torch.Tensor]]:
    return [models.batch(family, rows=40, length=11)]


def inputs_of(model: torch.nn.Module, part: torch.nn.Module, fed: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return what a projection is given at the tokens of a batch."""
    seen: list[torch.Tensor] = []
    handle = part.register_forward_pre_hook(lambda _, given: seen.append(given[0].flatten(0, -2)))
    with torch.no_grad():
        model(**fed)
    handle.remove()
    return seen[0][fed["attention_mask"].bool().flatten()]


@pytest.mark.parametrize("family", ["bert", "modernbert", "deberta-v2"])
@tiny.float64()
def test_the_repaired_weights_are_those_of_least_squares(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earlyrobust.pruning.repair._RIDGE", 1e-12)
    attention = "sdpa" if family == "modernbert" else "eager"
    model = models.classifier(family, attention).double()
    ticket = models.ticket(family)
    small = prune(model, ticket)
    [fed] = batches(family)
    repair(small, model, ticket, [fed])
    assert not model.training
    kind = family_of(model.config)
    for layer, cut, neurons in zip(kind.layers(model), kind.layers(small), ticket.neurons, strict=True):
        whole, own = kind.neuron_output(layer), kind.neuron_output(cut)
        given = inputs_of(model, whole, fed)
        with torch.no_grad():
            wanted = whole(given)
            kept = given[:, torch.from_numpy(neurons)]
            found = own(kept)
        constant = [torch.ones(len(kept), 1)] if own.bias is not None else []
        design = torch.cat([kept, *constant], dim=1).numpy()
        best = design @ np.linalg.lstsq(design, wanted.numpy(), rcond=None)[0]
        assert_close(found, torch.from_numpy(best), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", models.CONFIGS)
@tiny.float64()
def test_a_neuron_that_another_one_equals_can_be_cut_for_nothing(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earlyrobust.pruning.repair._RIDGE", 1e-12)
    attention = "sdpa" if family == "modernbert" else "eager"
    model = models.classifier(family, attention).double()
    kind = family_of(model.config)
    neurons = np.ones((models.LAYERS, models.NEURONS), bool)
    neurons[:, 1] = False
    ticket = Ticket(family, np.ones((models.LAYERS, models.HEADS), bool), neurons)

    def make_alike(_: torch.nn.Module, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        values = given[0].clone()
        values[..., 1] = values[..., 0]
        return (values,)

    for layer in kind.layers(model):
        kind.neuron_output(layer).register_forward_pre_hook(make_alike)
    small = prune(model, ticket)
    for layer in kind.layers(small):  # the copies of the hooks know a neuron that is gone
        kind.neuron_output(layer)._forward_pre_hooks.clear()
    [fed] = batches(family)
    before = (models.logits(small, fed) - models.logits(model, fed)).abs().max()
    repair(small, model, ticket, [fed])
    assert before > 0.01
    assert_close(models.logits(small, fed), models.logits(model, fed), rtol=0, atol=1e-4)


def test_a_search_repairs_the_checkpoint_and_leaves_random_numbers_alone(tmp_path: Path) -> None:
    search = search_of(
        *(tmp_path, replace(CONFIG, gamma=1.0, neuron_ratio=0.5)),
        **{"goes_on": True, "num_train_epochs": 3, "model": tiny.classifier()},
    )
    ticket = search.run()
    model = search.trainer.model.eval()
    batch = tiny.batch(32)
    del batch["labels"]
    torch.manual_seed(3)
    far = []
    for tokens in (0, 4000):
        checkpoint = search.save_checkpoint(ticket, tmp_path / str(tokens), tokens=tokens)
        small = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
        with torch.no_grad():
            far.append(float((small(**batch).logits - model(**batch).logits).norm()))
    assert far[1] < 0.7 * far[0]
    torch.manual_seed(3)
    state = torch.get_rng_state()
    search.save_checkpoint(ticket, tmp_path / "again")
    assert torch.equal(torch.get_rng_state(), state)
