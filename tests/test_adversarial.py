import json
import math
from contextlib import contextmanager
from dataclasses import fields
from itertools import pairwise

import pytest
import tiny
import torch
from torch.testing import assert_close
from transformers import BertForSequenceClassification, Trainer

from earlyrobust.adversarial import ADVERSARIES, FreeLB
from earlyrobust.errors import ConfigError
from earlyrobust.trainer import AdversarialTrainer

# For every adversary: the settings under which it must equal plain training, and ones that perturb visibly.
PLAIN = {"freelb": {"steps": 1, "initial_magnitude": 0.0}}
PERTURBING = {"freelb": {"steps": 3, "initial_magnitude": 1.0, "step_size": 1.0}}

every_adversary = pytest.mark.parametrize("name", ADVERSARIES)


class ReadsPadding(BertForSequenceClassification):
    """Attends to padding, so that its embeddings have a gradient."""

    def forward(self, attention_mask=None, **inputs):
        return super().forward(**inputs)


class ScaledLoss(BertForSequenceClassification):
    def forward(self, **inputs):
        outputs = super().forward(**inputs)
        outputs.loss = outputs.loss * 1e-6
        return outputs


@pytest.fixture
def step(tmp_path):
    """Returns a function that takes one training step: the loss, and the gradients by name."""

    def take(model, batch, adversary=None, trainer_class=AdversarialTrainer, seed=3, **settings):
        if trainer_class is AdversarialTrainer:
            settings["adversary"] = adversary
        trainer = trainer_class(model, tiny.arguments(tmp_path), **settings)
        trainer.current_gradient_accumulation_steps = 1  # set by `train`
        model.zero_grad()
        torch.manual_seed(seed)
        loss = trainer.training_step(model, dict(batch))
        return loss, gradients(model)

    return take


def gradients(model):
    return {name: weight.grad.clone() for name, weight in model.named_parameters()}


@contextmanager
def recorded_perturbations(model, batch):
    """Collects the difference of the encoder's input to the clean one, at every forward pass."""
    inputs = []
    handle = model.bert.embeddings.LayerNorm.register_forward_pre_hook(
        lambda _, args: inputs.append(args[0].detach().clone())
    )
    with torch.no_grad():
        model(**batch)
    clean = inputs.pop()
    deltas = []
    yield deltas
    handle.remove()
    deltas.extend(perturbed - clean for perturbed in inputs)


def perturbations_of(step, model, batch, adversary):
    with recorded_perturbations(model, batch) as deltas:
        step(model, batch, adversary)
    return deltas


def norms(delta):
    return torch.stack([example.norm() for example in delta])


def freelb_written_out(model, batch, delta, steps, step_size, bound):
    """Algorithm 1 of Zhu et al. (2020), example by example, from a given start."""
    inputs = {name: value for name, value in batch.items() if name != "input_ids"}
    names, weights = zip(*model.named_parameters(), strict=True)
    total = [torch.zeros_like(weight) for weight in weights]
    losses = []
    for _ in range(steps):
        delta = delta.detach().requires_grad_()
        embeddings = model.get_input_embeddings()(batch["input_ids"]) + delta
        loss = model(inputs_embeds=embeddings, **inputs).loss
        *of_weights, of_delta = torch.autograd.grad(loss, [*weights, delta])
        total = [old + new / steps for old, new in zip(total, of_weights, strict=True)]
        losses.append(loss.item())
        moved = []
        for example, gradient in zip(delta.detach(), of_delta, strict=True):
            example = example + step_size * gradient / math.sqrt((gradient**2).sum())
            length = math.sqrt((example**2).sum())
            moved.append(example * bound / length if 0 < bound < length else example)
        delta = torch.stack(moved)
    return sum(losses) / steps, dict(zip(names, total, strict=True))


@tiny.float64()
@pytest.mark.parametrize("bound", [0.0, 0.35])
@pytest.mark.parametrize("share_dropout", [False, True])
@pytest.mark.parametrize("gated", [False, True])
def test_freelb_equals_its_algorithm_written_out(step, bound, share_dropout, gated):
    model, batch = tiny.classifier(), tiny.batch(5)
    if gated:
        tiny.attach_random_coefficients(model)
    assert len(set(batch["attention_mask"].sum(1).tolist())) > 2
    adversary = FreeLB(
        steps=3, step_size=0.3, initial_magnitude=0.2, bound=bound, share_dropout=share_dropout
    )
    with recorded_perturbations(model, batch) as deltas:
        loss, actual = step(model, batch, adversary)
    model.train()
    expected_loss, expected = freelb_written_out(model, batch, deltas[0], 3, 0.3, bound)
    assert loss.item() == pytest.approx(expected_loss, rel=1e-9)
    for name, gradient in expected.items():
        assert (actual[name] - gradient).norm() <= 1e-9 * gradient.norm() + 1e-15, name
    if bound:
        assert_close(norms(deltas[2]), torch.full((5,), bound))


def test_the_start_is_uniform_with_a_magnitude_of_each_example_s_length(step):
    model, batch = tiny.classifier(), tiny.batch(8)
    (deltas,) = perturbations_of(step, model, batch, FreeLB(steps=1, initial_magnitude=0.5))
    channels = deltas.shape[-1]
    for delta, mask in zip(deltas, batch["attention_mask"].bool(), strict=True):
        entries = int(mask.sum()) * channels
        limit = 0.5 / math.sqrt(entries)
        assert 0.9 * limit < delta.abs().max() <= limit * 1.001
        # The norm of n uniform numbers within ±limit is about limit * sqrt(n / 3).
        assert delta.norm().item() == pytest.approx(0.5 / math.sqrt(3), rel=0.25)
        assert abs(delta.mean().item()) < limit / 2
        assert not delta[~mask].any()


@every_adversary
def test_padding_is_never_perturbed_even_if_the_model_reads_it(step, name):
    model, batch = tiny.classifier(kind=ReadsPadding), tiny.batch(5)
    padding = batch["attention_mask"] == 0
    assert padding.any()
    deltas = perturbations_of(step, model, batch, ADVERSARIES[name](**PERTURBING[name]))
    assert any(delta[~padding].abs().max() > 0.01 for delta in deltas)
    assert not any(delta[padding].any() for delta in deltas)


@tiny.float64()
def test_an_example_s_perturbation_does_not_depend_on_its_batch(step):
    model, batch = tiny.classifier(), tiny.batch(4)
    adversary = FreeLB(steps=4, step_size=0.3, initial_magnitude=0.0)
    together = perturbations_of(step, model, batch, adversary)
    for index, length in enumerate(batch["attention_mask"].sum(1)):
        single = {
            name: value[index : index + 1, :length] if value.dim() == 2 else value[index : index + 1]
            for name, value in batch.items()
        }
        for shared, alone in zip(together, perturbations_of(step, model, single, adversary), strict=True):
            assert_close(shared[index, :length], alone[0], rtol=1e-9, atol=1e-12)


def test_every_ascent_moves_each_example_by_the_step_size(step):
    model, batch = tiny.classifier(), tiny.batch(4)
    deltas = perturbations_of(step, model, batch, FreeLB(steps=3, step_size=0.3))
    for before, after in pairwise(deltas):
        assert_close(norms(after - before), torch.full((4,), 0.3), rtol=1e-4, atol=0)


def test_the_ascent_does_not_depend_on_the_scale_of_the_loss(step):
    batch, adversary = tiny.batch(4), FreeLB(steps=3, step_size=0.3)
    plain, scaled = (
        perturbations_of(step, tiny.classifier(kind=kind), batch, adversary)
        for kind in (BertForSequenceClassification, ScaledLoss)
    )
    assert_close(plain, scaled, rtol=1e-4, atol=1e-5)


def test_an_example_without_a_gradient_stays_where_it_is(step):
    model, batch = tiny.classifier(), tiny.batch(4)
    torch.nn.init.zeros_(model.classifier.weight)
    deltas = perturbations_of(step, model, batch, FreeLB(steps=3, step_size=0.3, bound=1.0))
    assert deltas[0].any()
    assert_close(deltas[2], deltas[0], rtol=0, atol=0)


@every_adversary
def test_without_a_perturbation_it_is_plain_training_bit_for_bit(step, name):
    batch = tiny.batch(4)
    plain_loss, plain = step(tiny.classifier(dropout=0.3), batch)
    loss, actual = step(tiny.classifier(dropout=0.3), batch, ADVERSARIES[name](**PLAIN[name]))
    trainer_loss, of_trainer = step(tiny.classifier(dropout=0.3), batch, trainer_class=Trainer)
    assert loss == plain_loss == trainer_loss
    assert plain.keys() == actual.keys() == of_trainer.keys()
    for weight, gradient in plain.items():
        assert torch.equal(actual[weight], gradient), weight
        assert torch.equal(of_trainer[weight], gradient), weight


@every_adversary
def test_a_perturbation_changes_the_gradients_and_then_leaves_the_model(step, name):
    model, batch = tiny.classifier(), tiny.batch(4)
    logits = model.eval()(**batch).logits
    _, plain = step(model, batch)
    _, perturbed = step(model, batch, ADVERSARIES[name](**PERTURBING[name]))
    assert any(not torch.allclose(perturbed[weight], plain[weight], rtol=1e-3) for weight in plain)
    assert torch.equal(model.eval()(**batch).logits, logits)
    assert not model.get_input_embeddings()._forward_hooks


@pytest.mark.parametrize("share_dropout", [True, False])
def test_passes_share_dropout_masks_only_if_asked_to(step, share_dropout):
    model, batch = tiny.classifier(dropout=0.3), tiny.batch(4)
    # Without a perturbation, passes can only differ by their dropout.
    adversary = FreeLB(steps=3, step_size=0.0, initial_magnitude=0.0, share_dropout=share_dropout)
    logits = []
    model.classifier.register_forward_hook(lambda _, __, output: logits.append(output.detach()))
    step(model, batch, adversary)
    first, second, third = logits
    for one, other in ((first, second), (first, third), (second, third)):
        assert torch.equal(one, other) == share_dropout


def test_shared_dropout_masks_are_new_at_every_step(tmp_path):
    model, batch = tiny.classifier(dropout=0.3), tiny.batch(4)
    adversary = FreeLB(steps=2, step_size=0.0, initial_magnitude=0.0, share_dropout=True)
    trainer = AdversarialTrainer(model, tiny.arguments(tmp_path), adversary=adversary)
    trainer.current_gradient_accumulation_steps = 1
    assert trainer.training_step(model, batch) != trainer.training_step(model, batch)


@every_adversary
def test_counts_its_passes(step, name):
    model, batch = tiny.classifier(), tiny.batch(4)
    adversary = ADVERSARIES[name](**PERTURBING[name])
    assert len(perturbations_of(step, model, batch, adversary)) == adversary.passes


@every_adversary
def test_every_pass_gets_every_input(step, name):
    model, batch = tiny.classifier(), tiny.batch(4)
    seen = []
    model.register_forward_pre_hook(lambda _, __, inputs: seen.append(inputs), with_kwargs=True)
    _, actual = step(model, batch, ADVERSARIES[name](**PERTURBING[name]))
    assert len(seen) > 1
    for inputs in seen:
        assert inputs.keys() >= {"input_ids", "attention_mask", "token_type_ids", "labels"}
        assert all(torch.equal(inputs[key], value) for key, value in batch.items())
    assert actual["classifier.weight"].any()
    assert actual["bert.embeddings.token_type_embeddings.weight"].all()


def numbers_of(name):
    adversary = ADVERSARIES[name]
    return [field.name for field in fields(adversary.Config) if field.type in ("int", "float")]


@pytest.mark.parametrize(
    ("name", "setting"), [(name, setting) for name in ADVERSARIES for setting in numbers_of(name)]
)
@pytest.mark.parametrize("value", [-1, math.nan])
def test_refuses_settings_out_of_range(name, setting, value):
    with pytest.raises(ConfigError, match=f"^{ADVERSARIES[name].__name__}Config: {setting} is .*[.]$"):
        ADVERSARIES[name](**{setting: value})


@every_adversary
def test_names_the_settings_it_knows(name):
    with pytest.raises(ConfigError, match=f"knows the settings {numbers_of(name)[0]}, .*'radius'.*[.]$"):
        ADVERSARIES[name](radius=1)


@every_adversary
def test_takes_a_config_or_settings_not_both(name):
    config = ADVERSARIES[name].Config(**PERTURBING[name])
    assert ADVERSARIES[name](config).config == ADVERSARIES[name](**PERTURBING[name]).config
    with pytest.raises(ConfigError, match=r"^[A-Z][^.]*[.]$"):
        ADVERSARIES[name](config, **PERTURBING[name])


@every_adversary
def test_settings_survive_json(name):
    config = ADVERSARIES[name].Config(**PERTURBING[name])
    restored = ADVERSARIES[name].Config(**json.loads(json.dumps(config.to_dict())))
    assert restored == config
    assert restored != ADVERSARIES[name].Config()


def test_freelb_needs_a_pass():
    with pytest.raises(ConfigError, match="at least one pass"):
        FreeLB(steps=0)
