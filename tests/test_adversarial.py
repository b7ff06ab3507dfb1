import copy
import json
import math
from dataclasses import fields
from functools import partial
from itertools import pairwise

import models
import pytest
import tiny
import torch
from tiny import PERTURBING, PLAIN, SEPARABLE, adversary, gradients
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    BartConfig,
    BartForSequenceClassification,
    BertForSequenceClassification,
    Gemma3TextConfig,
    Gemma3TextForSequenceClassification,
    LongformerConfig,
    LongformerForSequenceClassification,
    Trainer,
)

from earlyrobust.adversarial import ADVERSARIES, FreeLB
from earlyrobust.adversarial.perturbation import Perturbation
from earlyrobust.errors import ConfigError, ModelError
from earlyrobust.families import FAMILIES
from earlyrobust.trainer import AdversarialTrainer
from earlyrobust.trainer.noising import gradients_at, vectors_of

# Of a bound and of a step; where none is said, the Euclidean norm of an example.
NORMS = {"smart": math.inf}

# How often the settings of `PERTURBING` compute the weights' gradients.
WEIGHT_GRADIENTS = {
    **{"pgd": 1, "freelb": 3, "freeat": 3, "yopo": 3, "smart": 1, "infobert": 3},
    **{"fat": 1, "flooding": 1, "wordswap": 2},
}

# Settings that perturb nothing although they have passes to do so; the mean of two equal passes is exact.
_STILL = {"step_size": 0.0, "initial_magnitude": 0.0}
STILL = {
    "pgd": {"steps": 2, **_STILL},
    "freelb": {"steps": 2, **_STILL},
    "freeat": {"replays": 2, **_STILL},
    "yopo": {"outer_steps": 2, "inner_steps": 2, **_STILL},
    "smart": {"steps": 2, "deviation": 0.0},
    "infobert": {"steps": 2, **SEPARABLE["infobert"], **_STILL},
    "fat": _STILL,
    "flooding": {"level": 1e-3},
    "wordswap": {"rate": 0.0},
}

every_adversary = pytest.mark.parametrize("name", ADVERSARIES)
# Those that move embeddings at all.
every_perturbing = pytest.mark.parametrize("name", [name for name in ADVERSARIES if name != "flooding"])
# Those whose perturbation goes anywhere, by steps of a size.
every_ascent = pytest.mark.parametrize(
    "name", [name for name in ADVERSARIES if name not in ("flooding", "wordswap")]
)


class ReadsPadding(BertForSequenceClassification):
    """Attends to padding, so that its embeddings have a gradient."""

    def forward(self, attention_mask=None, **inputs):
        return super().forward(**inputs)


class ScaledLoss(BertForSequenceClassification):
    def forward(self, **inputs):
        outputs = super().forward(**inputs)
        outputs.loss = outputs.loss * 1e-6
        return outputs


class FailsAtOneCall:
    def __call__(self, *_):
        self.calls += 1
        if self.calls == self.failing:
            raise MemoryError


class MatrixProducts(TorchDispatchMode):
    """Counts the multiplications of all projections, forward and backward; those of attention are none."""

    def __init__(self):
        super().__init__()
        self.multiplications = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if operation.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm):
            left, right = args[-2:]
            self.multiplications += left.numel() * right.shape[1]
        return operation(*args, **(kwargs or {}))


@pytest.fixture
def step(tmp_path):
    return partial(tiny.step, tmp_path)


def perturbations_of(step, model, batch, adversary, **settings):
    """The perturbations, from the start on; passes over the clean batch may come before it."""
    with tiny.recorded_perturbations(model, batch) as deltas:
        step(model, batch, adversary, **settings)
    return [delta for delta in deltas if delta.any()]


def norms(delta, norm=2):
    return torch.linalg.vector_norm(delta, norm, dim=(1, 2))


def test_every_adversary_is_under_test():
    for table in (PLAIN, PERTURBING, STILL, WEIGHT_GRADIENTS):
        assert table.keys() == ADVERSARIES.keys()


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
        assert abs(delta.mean().item()) < limit / 4
        assert not delta[~mask].any()


def test_smart_s_start_is_normal_whatever_the_length(step):
    model, batch = tiny.classifier(), tiny.batch(32)
    (deltas,) = perturbations_of(step, model, batch, adversary("smart", steps=0, deviation=0.3))
    valid = deltas[batch["attention_mask"].bool()]
    assert valid.std().item() == pytest.approx(0.3, rel=0.05)
    assert (valid.abs() < 0.3).double().mean().item() == pytest.approx(math.erf(math.sqrt(0.5)), abs=0.03)
    assert abs(valid.mean().item()) < 0.02


@every_perturbing
def test_padding_is_never_perturbed_even_if_the_model_reads_it(step, name):
    model, batch = tiny.classifier(kind=ReadsPadding), tiny.batch(5)
    padding = batch["attention_mask"] == 0
    assert padding.any()
    deltas = perturbations_of(step, model, batch, adversary(name))
    assert any(delta[~padding].abs().max() > 0.01 for delta in deltas)
    assert not any(delta[padding].any() for delta in deltas)


@every_ascent
def test_a_bound_is_reached_and_kept(step, name):
    norm = NORMS.get(name, 2)
    deltas = perturbations_of(
        step, tiny.classifier(), tiny.batch(5), adversary(name, bound=0.9, step_size=2.0)
    )
    lengths = torch.stack([norms(delta, norm) for delta in deltas])
    assert (lengths[0] < 0.9).all()
    assert_close(lengths[-1], torch.full((5,), 0.9), rtol=1e-4, atol=0)
    assert lengths.max() < 0.9001


@pytest.mark.parametrize("magnitude", ["initial_magnitude", "deviation"])
def test_a_start_beyond_the_bound_is_pulled_back(step, magnitude):
    name = "pgd" if magnitude == "initial_magnitude" else "smart"
    attacker = ADVERSARIES[name](**{magnitude: 50.0, "bound": 0.2, "steps": 0})
    start = perturbations_of(step, tiny.classifier(), tiny.batch(5), attacker)[-1]
    assert_close(norms(start, NORMS.get(name, 2)), torch.full((5,), 0.2), rtol=1e-4, atol=0)


@every_ascent
def test_every_ascent_moves_each_example_by_the_step_size(step, name):
    norm = NORMS.get(name, 2)
    deltas = perturbations_of(step, tiny.classifier(), tiny.batch(4), adversary(name, step_size=0.3))
    lengths = [norms(after - before, norm) for before, after in pairwise(deltas)]
    moves = [length for length in lengths if length.any()]
    assert len(moves) > (0 if name == "fat" else 1)
    for length in moves:
        assert_close(length, torch.full((4,), 0.3), rtol=1e-4, atol=0)


@every_adversary
def test_the_ascent_does_not_depend_on_the_scale_of_the_loss(step, name):
    batch, chosen = tiny.batch(4), adversary(name, **SEPARABLE.get(name, {}))
    plain, scaled = (
        perturbations_of(step, tiny.classifier(kind=kind), batch, chosen)
        for kind in (BertForSequenceClassification, ScaledLoss)
    )
    assert_close(plain, scaled, rtol=1e-3, atol=1e-4)


@every_ascent
def test_an_example_without_a_gradient_stays_where_it_is(step, name):
    model, batch = tiny.classifier(), tiny.batch(4)
    torch.nn.init.zeros_(model.classifier.weight)
    deltas = perturbations_of(step, model, batch, adversary(name, bound=5.0, **SEPARABLE.get(name, {})))
    assert len(deltas) > (1 if name == "fat" else 2)
    for delta in deltas:
        assert_close(delta, deltas[0], rtol=0, atol=0)


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
def test_passes_that_perturb_nothing_give_the_gradients_of_plain_training(step, name):
    expected = step(tiny.classifier(), tiny.batch(4))
    actual = step(tiny.classifier(), tiny.batch(4), ADVERSARIES[name](**STILL[name]))
    assert_close(actual, expected, rtol=0, atol=0)


@every_adversary
def test_a_start_at_zero_draws_no_random_numbers(step, name):
    step(tiny.classifier(), tiny.batch(4), ADVERSARIES[name](**STILL[name]), seed=3)
    drawn = torch.rand(5)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(5))


@every_adversary
def test_a_perturbation_changes_the_gradients_and_then_leaves_the_model(step, name):
    model, batch = tiny.classifier(), tiny.batch(4)
    logits = model.eval()(**batch).logits
    _, plain = step(model, batch)
    loss, perturbed = step(model, batch, adversary(name))
    assert loss.isfinite()
    assert not loss.requires_grad
    assert any(not torch.allclose(perturbed[weight], plain[weight], rtol=1e-3) for weight in plain)
    assert torch.equal(model.eval()(**batch).logits, logits)
    assert not model.get_input_embeddings()._forward_hooks


def hooks_of(model):
    return [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()]


@every_adversary
def test_a_pass_that_fails_leaves_model_and_trainer_as_they_were(tmp_path, name):
    model, batch, hook = tiny.classifier(dropout=0.2), tiny.batch(4), FailsAtOneCall()
    tiny.attach_parts(model, adversary(name))
    model.bert.encoder.layer[0].register_forward_pre_hook(hook)
    trainer = AdversarialTrainer(model, tiny.arguments(tmp_path), adversary=adversary(name))
    trainer.current_gradient_accumulation_steps = 1

    def take(failing=None):
        hook.calls, hook.failing = 0, failing
        model.load_state_dict(state)  # what an adversary remembers, too
        model.zero_grad()
        torch.manual_seed(3)
        return trainer.training_step(model, batch), gradients(model)

    state = copy.deepcopy(model.state_dict())
    before = {key: value.clone() for key, value in model.named_parameters()}
    expected, hooks = take(), hooks_of(model)
    for failing in range(1, hook.calls + 1):
        with pytest.raises(MemoryError):
            take(failing)
        assert hooks_of(model) == hooks
        assert model.training
        torch.manual_seed(3)
        loss = trainer.compute_loss(model, dict(batch))
        torch.manual_seed(3)
        assert loss == model(**batch).loss
    assert_close(take(), expected, rtol=0, atol=0)
    assert_close(dict(model.named_parameters()), before, rtol=0, atol=0)


@every_perturbing
def test_the_seed_decides_on_the_perturbation(step, name):
    def taken(seed):
        model, batch = tiny.classifier(dropout=0.2), tiny.batch(4)
        with tiny.recorded_perturbations(model, batch) as deltas:
            outcome = step(model, batch, adversary(name), seed=seed)
        return outcome, deltas

    first, again, other = taken(3), taken(3), taken(4)
    assert_close(first, again, rtol=0, atol=0)
    assert not torch.allclose(first[1][-1], other[1][-1], atol=0.01)


@pytest.mark.parametrize("share_dropout", [True, False])
@pytest.mark.parametrize("name", ["freelb", "infobert"])
def test_passes_share_dropout_masks_only_if_asked_to(step, name, share_dropout):
    model, batch = tiny.classifier(dropout=0.3), tiny.batch(4)
    # Without a perturbation, passes can only differ by their dropout.
    still = STILL[name] | {"steps": 3, "share_dropout": share_dropout}
    logits = []
    model.classifier.register_forward_hook(lambda _, __, output: logits.append(output.detach()))
    step(model, batch, ADVERSARIES[name](**still))
    first, second, third = logits
    for one, another in ((first, second), (first, third), (second, third)):
        assert torch.equal(one, another) == share_dropout


def test_shared_dropout_masks_are_new_at_every_step(tmp_path):
    model, batch = tiny.classifier(dropout=0.3), tiny.batch(4)
    still = FreeLB(share_dropout=True, **STILL["freelb"])
    trainer = AdversarialTrainer(model, tiny.arguments(tmp_path), adversary=still)
    trainer.current_gradient_accumulation_steps = 1
    assert trainer.training_step(model, batch) != trainer.training_step(model, batch)


@every_perturbing
def test_every_pass_gets_every_input(step, name):
    model, batch = tiny.classifier(), tiny.batch(4)
    seen = []
    model.register_forward_pre_hook(lambda _, __, inputs: seen.append(inputs), with_kwargs=True)
    _, actual = step(model, batch, adversary(name))
    assert len(seen) > 1
    for inputs in seen:
        assert inputs.keys() >= {"input_ids", "attention_mask", "token_type_ids", "labels"}
        assert all(torch.equal(inputs[key], value) for key, value in batch.items())
    assert actual["classifier.weight"].any()
    assert actual["bert.embeddings.token_type_embeddings.weight"].all()


@every_adversary
def test_ascents_alone_leave_the_weights_gradients_alone(step, name):
    model = tiny.classifier()
    tiny.attach_parts(model, adversary(name))
    arrived = []
    for weight in model.parameters():
        weight.register_post_accumulate_grad_hook(arrived.append)
    step(model, tiny.batch(4), adversary(name))
    assert len(arrived) == WEIGHT_GRADIENTS[name] * len(list(model.parameters()))


def multiplications(step, *args):
    with MatrixProducts() as products:
        step(*args)
    return products.multiplications


@every_adversary
@pytest.mark.parametrize("settings", [PERTURBING, PLAIN], ids=["perturbing", "plain"])
@pytest.mark.parametrize("layers", [1, 3])
def test_the_cost_is_that_of_the_matrix_products_it_computes(step, name, settings, layers):
    batch = models.batch("bert", rows=4, length=36) | {"labels": torch.arange(4) % 3}
    chosen = tiny.make(name, settings[name])
    plain, adversarial = (
        multiplications(step, models.classifier("bert", num_hidden_layers=layers), batch, *adversary)
        for adversary in ((), (chosen,))
    )
    # The pooler and the critic, which count as nothing, are why it is not exact.
    assert adversarial / chosen.replays / plain == pytest.approx(chosen.cost(layers), rel=0.02)


@every_adversary
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_be_trained(step, name, family):
    batch = models.batch(family) | {"labels": torch.tensor([0, 1, 2, 1, 0])}
    _, plain = step(models.classifier(family), batch)
    loss, actual = step(models.classifier(family), batch, adversary(name))
    assert loss.isfinite()
    assert actual.keys() >= plain.keys()
    assert all(gradient.isfinite().all() for gradient in actual.values())


KINDS = {"int": "a whole number", "float": "a number", "bool": "True or False"}
OF_ANOTHER_TYPE = {"int": [2.5, "3", True, None], "float": ["0.1", True, None], "bool": [1, "yes", None]}


def bart():
    """A model that embeds its tokens by modules beside that of `get_input_embeddings()`."""
    sizes = {"encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    return BartForSequenceClassification(
        BartConfig(vocab_size=60, d_model=16, max_position_embeddings=40, **sizes, **heads, **special)
    )


def plain_batch(tokens):
    ids = torch.arange(4 * tokens).reshape(4, tokens) % 40 + 5
    ids[:, -1] = 2
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": torch.tensor([0, 1, 0, 1])}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("freelb", {"steps": 1}),
        ("freelb", {"steps": 2}),
        ("freeat", {}),
        ("pgd", {"steps": 0}),
        ("pgd", {"steps": 0, "initial_magnitude": 0.0}),
        ("pgd", {"steps": 1}),
        ("smart", {}),
        ("fat", {}),
    ],
)
def test_a_model_that_embeds_its_tokens_elsewhere_is_refused(step, name, settings):
    with pytest.raises(ModelError, match=r"^This model does not pass .* get_input_embeddings\(\), [^.]*\.$"):
        step(bart(), plain_batch(6), ADVERSARIES[name](**settings))


@pytest.mark.parametrize("name", ["freelb", "pgd", "smart", "fat", "wordswap"])
def test_a_model_that_embeds_two_texts_in_one_layer_is_refused(step, name):
    """After a resize, encoder and decoder share one layer, and δ would reach the tokens of both."""
    model = bart()
    model.resize_token_embeddings(70)
    with pytest.raises(ModelError, match=r"^This model passes more than one text [^.]*\.$"):
        step(model, plain_batch(6), adversary(name))
    with (
        pytest.raises(ModelError, match="more than one text"),
        gradients_at(model.get_input_embeddings()),
    ):
        model(**plain_batch(6))


@pytest.mark.parametrize("scaled", [False, True])
def test_a_move_to_another_token_s_vector_is_the_exchange_of_the_token(scaled):
    """Some models scale their embeddings: the move must have the length of the scaled vectors."""
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    if scaled:
        config = Gemma3TextConfig(
            vocab_size=60, num_key_value_heads=1, head_dim=8, pad_token_id=0, num_labels=2, **sizes
        )
        model = Gemma3TextForSequenceClassification(config).eval()
    else:
        model = tiny.classifier().eval()
    batch = plain_batch(6)
    others = batch["input_ids"].clone()
    others[:, 2] = (others[:, 2] + 7) % 30 + 5
    embedding = model.get_input_embeddings()
    perturbation = Perturbation(embedding, batch["attention_mask"])
    noise = embedding.register_forward_hook(lambda *all: all[-1] + 1.0 * torch.rand_like(all[-1]))
    delta = perturbation.between(batch["input_ids"], others[..., None])[:, :, 0]
    with torch.no_grad():
        assert torch.equal(vectors_of(embedding), vectors_of(embedding))
    noise.remove()  # as the noise of NEFTune, which is in no vector of a token
    with torch.no_grad():
        with perturbation.applied(delta):
            moved = model(**batch).logits
        exchanged = model(**{**batch, "input_ids": others}).logits
        assert (model(**batch).logits - exchanged).abs().max() > 1e-3
        vectors = vectors_of(embedding)
        assert torch.equal(vectors[others], embedding(others))
    assert_close(moved, exchanged)


@pytest.mark.parametrize("name", [*PERTURBING, None])
def test_a_model_with_a_compiled_layer_is_refused(tmp_path, name):
    """Layers that have run once would ignore hooks without a word."""
    model = tiny.classifier()
    model.bert.encoder.layer[0].compile(backend="eager")
    penalty = None if name else lambda: torch.zeros(())
    with pytest.raises(ConfigError, match="also of its layers"):
        AdversarialTrainer(
            model, tiny.arguments(tmp_path), adversary=name and adversary(name), penalty=penalty
        )


def test_errors_of_other_kinds_keep_their_names(step):
    model = tiny.classifier()
    model.get_input_embeddings().register_forward_pre_hook(_fails)
    with pytest.raises(RuntimeError, match="out of memory"):
        step(model, tiny.batch(4), adversary("pgd"))


def _fails(*_):
    raise RuntimeError("out of memory")


@pytest.mark.parametrize("name", ["freelb", "pgd"])
def test_a_model_that_pads_its_input_itself_is_refused(step, name):
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = LongformerConfig(
        vocab_size=60, attention_window=[4], max_position_embeddings=40, pad_token_id=0, **sizes
    )
    model = LongformerForSequenceClassification(config)
    with pytest.raises(ModelError, match=r"^This model pads .* \(4, 7\) to \(4, 8\), [^.]*\.$"):
        step(model, plain_batch(7), adversary(name))
    assert step(model, plain_batch(8), adversary(name))


def test_gradients_of_embeddings_that_no_pass_computes_are_refused_if_wanted():
    model = bart()
    embedding = model.get_input_embeddings()
    with gradients_at(embedding, wanted=False) as gradients:
        model(**plain_batch(6)).loss.backward()
    assert not gradients
    with pytest.raises(ModelError, match=r"get_input_embeddings\(\), so the noise"), gradients_at(embedding):
        model(**plain_batch(6)).loss.backward()


def settings_of(*types):
    return [
        pytest.param(name, field.name, field.type, id=f"{name}-{field.name}")
        for name, adversary in ADVERSARIES.items()
        for field in fields(adversary.Config)
        if field.type in types
    ]


@pytest.mark.parametrize(("name", "setting", "_kind"), settings_of("int", "float"))
@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_refuses_settings_out_of_range(name, setting, _kind, value):
    with pytest.raises(
        ConfigError, match=f"^{ADVERSARIES[name].__name__}Config: {setting} is {value}, .*[.]$"
    ):
        ADVERSARIES[name](**{setting: value})


@pytest.mark.parametrize(("name", "setting", "kind"), settings_of("int", "float", "bool"))
def test_refuses_settings_of_another_type(name, setting, kind):
    for value in OF_ANOTHER_TYPE[kind]:
        with pytest.raises(ConfigError) as refusal:
            ADVERSARIES[name](**{setting: value})
        owner = f"{ADVERSARIES[name].__name__}Config"
        assert str(refusal.value) == f"{owner}: {setting} is {value!r}, but must be {KINDS[kind]}."


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("freelb", {"steps": 0}),
        ("freeat", {"replays": 0}),
        ("yopo", {"outer_steps": 0}),
        ("infobert", {"steps": 0}),
        ("infobert", {"critic_size": 0}),
        ("infobert", {"anchors_to": 1.1}),
        ("infobert", {"anchors_from": 0.9}),
        ("infobert", {"anchors_from": 0.6, "anchors_to": 0.3}),
        ("wordswap", {"rate": 1.1}),
        ("wordswap", {"candidates": 0}),
    ],
)
def test_refuses_settings_that_leave_nothing_to_do(name, settings):
    with pytest.raises(
        ConfigError, match=rf"^{ADVERSARIES[name].__name__}Config: {next(iter(settings))} is "
    ):
        ADVERSARIES[name](**settings)


@every_adversary
def test_names_the_settings_it_knows(name):
    known = ", ".join(field.name for field in fields(ADVERSARIES[name].Config))
    with pytest.raises(ConfigError, match=f"has no setting 'radius': choose from {known}[.]$"):
        ADVERSARIES[name](radius=1)


@every_adversary
def test_takes_a_config_or_settings_not_both(name):
    config = ADVERSARIES[name].Config(**PERTURBING[name])
    assert ADVERSARIES[name](config).config == adversary(name).config
    with pytest.raises(ConfigError, match=r"^[A-Z][^.]*[.]$"):
        ADVERSARIES[name](config, **PERTURBING[name])


@every_adversary
def test_refuses_the_config_of_another(name):
    other = next(adversary.Config for known, adversary in ADVERSARIES.items() if known != name)
    with pytest.raises(
        ConfigError, match=rf"takes a {ADVERSARIES[name].Config.__name__}, not {other.__name__}"
    ):
        ADVERSARIES[name](other())


@every_adversary
def test_settings_survive_json(name):
    config = ADVERSARIES[name].Config(**PERTURBING[name])
    restored = ADVERSARIES[name].Config(**json.loads(json.dumps(config.to_dict())))
    assert restored == config
    assert restored != ADVERSARIES[name].Config()


@every_ascent
def test_takes_a_whole_number_for_any_other(name):
    assert ADVERSARIES[name](step_size=1).config == ADVERSARIES[name](step_size=1.0).config
