"""Flooding against its equation."""

import math
from functools import partial

import pytest
import tiny
import torch

from earlyrobust.adversarial import Flooding
from earlyrobust.adversarial.flooding import flooded
from earlyrobust.errors import ConfigError
from earlyrobust.pipeline.adversaries import make_adversary
from earlyrobust.trainer import AdversarialTrainer
from earlyrobust.trainer.weighting import WeightedLoss


@pytest.fixture
def step(tmp_path):
    return partial(tiny.step, tmp_path)


@pytest.mark.parametrize("difference", [-0.2, 0.2])
def test_a_step_descends_above_the_level_and_ascends_below_it(step, difference):
    plain_loss, plain = step(tiny.classifier(dropout=0.2), tiny.batch(4))
    level = plain_loss.item() - difference
    loss, actual = step(tiny.classifier(dropout=0.2), tiny.batch(4), Flooding(level=level))
    assert loss.item() == pytest.approx(abs(difference) + level, rel=1e-5)
    for name, gradient in plain.items():
        assert torch.equal(actual[name], math.copysign(1, difference) * gradient), name


@pytest.mark.parametrize(("loss", "level"), [(0.5, 0.1), (0.05, 0.1), (0.1, 0.1), (0.0, 0.0), (3.0, 0.0)])
def test_the_loss_is_that_of_the_equation(loss, level):
    assert float(flooded(torch.tensor(loss), level)) == pytest.approx(abs(loss - level) + level)


def test_training_hovers_about_the_level(tmp_path):
    """Plain training learns the examples by heart; flooded training stays near the level."""

    def last_losses(adversary):
        trainer = AdversarialTrainer(
            tiny.classifier(),
            tiny.arguments(
                tmp_path, num_train_epochs=40, per_device_train_batch_size=16, logging_steps=1, seed=2
            ),
            adversary=adversary,
            train_dataset=tiny.dataset(16),
            processing_class=tiny.tokenizer(),
        )
        trainer.train()
        model, batch = trainer.model.eval(), tiny.batch(16)
        with torch.no_grad():
            return float(model(**{name: values.to(model.device) for name, values in batch.items()}).loss)

    assert last_losses(None) < 0.1
    assert last_losses(Flooding(level=0.4)) == pytest.approx(0.4, abs=0.15)


@pytest.mark.parametrize("spec", ["flooding,level=-0.1", "flooding,level=nan", "flooding,level=high"])
def test_levels_that_cannot_be_used(spec):
    with pytest.raises(ConfigError, match="FloodingConfig: level is"):
        make_adversary(spec)


def test_it_costs_one_pass():
    assert Flooding().cost(6) == 1


@pytest.mark.parametrize("examples", [17, 20, 32])
def test_batches_of_unequal_size_are_compared_by_their_own_means(tmp_path, examples):
    """The batches are of 16 and of the rest, both with a mean loss above the level, so nothing changes."""
    gradients = []
    for level in (0.0, 0.3):
        seen = tiny.Gradients()
        settings = {"per_device_train_batch_size": 16, "gradient_accumulation_steps": 2, "max_steps": 1}
        settings |= {"max_grad_norm": 0, "train_sampling_strategy": "sequential"}
        AdversarialTrainer(
            tiny.classifier(),
            tiny.arguments(tmp_path, **settings),
            adversary=Flooding(level=level),
            train_dataset=tiny.dataset(examples),
            processing_class=tiny.tokenizer(),
            compute_loss_func=WeightedLoss([1.0, 1.0]),
            callbacks=[seen],
        ).train()
        gradients.append(seen.steps[0])
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, msg=name)
