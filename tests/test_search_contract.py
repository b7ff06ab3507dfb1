"""What every search keeps to, whatever it searches for."""

import copy
import json
import math
from dataclasses import asdict

import models
import numpy as np
import pytest
import tiny
import torch
from torch.nn.utils import parametrize
from transformers import GPT2Config, GPT2ForSequenceClassification, TrainerCallback

from earlyrobust.adversarial import ADVERSARIES, FreeAT, FreeLB, InfoBERT
from earlyrobust.errors import ConfigError, ModelError
from earlyrobust.pruning import prune, zero_weights
from earlyrobust.search import SEARCHES
from earlyrobust.tickets.ticket import Ticket

# An epoch of the 64 examples has 16 steps; every search takes so many epochs.
EARLY = {"head_ratio": 1 / 4, "neuron_ratio": 0.3, "min_steps": 2}
SETTINGS = {
    "earlyrobust": lambda epochs: {**EARLY, "gamma": 0.0, "max_epochs": epochs},
    "earlybert": lambda epochs: {**EARLY, "draw_after": epochs},
    "robust-ticket": lambda epochs: {"weight_ratio": 0.3, "epochs": epochs},
}
# Of 8 heads and 40 neurons; of two layers of 4 · 16 · 16 + 2 · 16 · 20 weights and 16 · 16 of the pooler.
CUT = {"earlyrobust": [2, 12], "earlybert": [2, 12], "robust-ticket": [1075]}

ADVERSARY = FreeLB(steps=2)
INFOBERT = InfoBERT(steps=2, critic_size=8)  # it trains a critic beside the model

every_search = pytest.mark.parametrize("name", SEARCHES)


def search_of(folder, name, *, epochs=0.5, model=None, settings=None, **changes):
    own = {key: changes.pop(key) for key in ("callbacks", "on_miniepoch", "origin") if key in changes}
    kind = SEARCHES[name]
    return kind(
        model or tiny.classifier(dropout=0.1),
        tiny.arguments(folder, **{key: changes[key] for key in changes if key != "adversary"}),
        tiny.dataset(64),
        config=kind.Config(**{**SETTINGS[name](epochs), **(settings or {})}),
        adversary=changes.get("adversary", ADVERSARY),
        processing_class=tiny.tokenizer(),
        **own,
    )


def masks_of(ticket):
    if isinstance(ticket, Ticket):
        return [ticket.heads, ticket.neurons]
    return [np.concatenate([mask.ravel() for mask in ticket.masks.values()])]


def apply(ticket, model):
    return prune(model, ticket) if isinstance(ticket, Ticket) else zero_weights(model, ticket)


def assert_same(one, other):
    if isinstance(one, Ticket):
        models.assert_equal_tickets(one, other)
    else:
        assert (one.fingerprint, one.origin) == (other.fingerprint, other.origin)


class Final(TrainerCallback):
    """Keeps what has been trained, masks or coefficients included."""

    def on_train_end(self, args, state, control, *, model, **_):
        self.weights = copy.deepcopy(dict(model.state_dict()))


def is_one_sentence(error):
    message = str(error)
    return message.endswith(".") and ". " not in message and "\n" not in message


@every_search
def test_the_ticket_cuts_exactly_its_ratios_and_fits_the_model(tmp_path, name):
    search = search_of(tmp_path, name)
    ticket = search.run()
    assert search.trainer.state.global_step == 8
    assert [int((~mask).sum()) for mask in masks_of(ticket)] == CUT[name]
    fresh = tiny.classifier()
    batch = tiny.batch()
    cut = apply(ticket, copy.deepcopy(fresh)).eval()(**batch).logits
    assert cut.isfinite().all()
    assert not torch.equal(cut, fresh.eval()(**batch).logits)


@every_search
def test_the_seed_decides_the_ticket(tmp_path, name):
    one, again, other = (search_of(tmp_path, name, seed=seed).run() for seed in (1, 1, 2))
    assert_same(one, again)
    assert one.fingerprint != other.fingerprint


@every_search
@pytest.mark.parametrize(
    ("adversary", "saved_at"), [(None, 5), (ADVERSARY, 9), (INFOBERT, 5)], ids=["plain", "freelb", "infobert"]
)
def test_an_interrupted_search_resumes_bit_for_bit(tmp_path, name, adversary, saved_at):
    # An epoch has eight optimiser steps of two batches each: the checkpoint is in the first or the second.
    def search(resume=None, callbacks=(), **changes):
        final = Final()
        searching = search_of(
            tmp_path,
            name,
            epochs=1.5,
            adversary=adversary,
            gradient_accumulation_steps=2,
            callbacks=[final, *callbacks],
            **changes,
        )
        ticket = searching.run(resume)
        assert searching.trainer.state.global_step == 12
        return ticket, final.weights

    whole, weights = search()
    with pytest.raises(KeyboardInterrupt):
        search(save_strategy="steps", save_steps=saved_at, callbacks=[tiny.Interrupt(saved_at + 1)])
    resumed, resumed_weights = search(resume=tmp_path / f"checkpoint-{saved_at}")
    assert_same(resumed, whole)
    assert weights.keys() == resumed_weights.keys()
    assert len(weights) > len(tiny.classifier().state_dict())
    assert [key for key in weights if not torch.equal(weights[key], resumed_weights[key])] == []


@every_search
def test_true_resumes_from_the_last_checkpoint_and_false_from_none(tmp_path, name):
    began = []

    class First(TrainerCallback):
        def on_train_begin(self, args, state, control, **_):
            began.append(state.global_step)

    def search(resume, callback=First):
        saving = {"save_strategy": "steps", "save_steps": 3}
        return search_of(tmp_path, name, adversary=None, callbacks=[callback], **saving).run(resume)

    with pytest.raises(KeyboardInterrupt):
        search(None, tiny.Interrupt(7))
    assert_same(search(True), search(False))
    assert began == [6, 0]


@every_search
@pytest.mark.parametrize("adversary", [None, ADVERSARY, INFOBERT], ids=["plain", "freelb", "infobert"])
@pytest.mark.parametrize("stop", [None, 2], ids=["finished", "interrupted"])
def test_afterwards_nothing_of_the_search_is_left_on_the_model(tmp_path, name, adversary, stop):
    model, fresh = tiny.classifier(), tiny.classifier()
    batch = tiny.batch()
    for one in (model, fresh):
        one.bert.embeddings.requires_grad_(False)
        one(**batch, output_hidden_states=True)  # from then on, transformers keeps hooks of its own
    search = search_of(
        tmp_path, name, model=model, adversary=adversary, callbacks=[tiny.Interrupt(stop)] if stop else []
    )
    assert describe(model) == describe(fresh)  # nor before it is run
    if stop:
        with pytest.raises(KeyboardInterrupt):
            search.run()
    else:
        search.run()
    assert describe(model) == describe(fresh)
    assert vars(model).keys() - {"_is_accelerate_prepared"} == vars(fresh).keys()
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(model.eval()(**batch).logits, fresh.eval()(**batch).logits)


def describe(model):
    """All of a model but the numbers: its parts and their hooks, its weights, and which are trained."""
    parts = {
        name: (type(part), parametrize.is_parametrized(part), sum(map(len, hooks_of(part))))
        for name, part in model.named_modules()
    }
    weights = {
        name: (weight.shape, weight.dtype, weight.requires_grad, weight._backward_hooks)
        for name, weight in model.named_parameters()
    }
    return parts, weights, model.state_dict().keys()


def hooks_of(part):
    return part._forward_hooks, part._forward_pre_hooks, part._backward_hooks, part._backward_pre_hooks


@every_search
@pytest.mark.parametrize("adversary", [kind for kind in ADVERSARIES if ADVERSARIES[kind]().replays == 1])
def test_every_adversary_that_does_not_replay_can_perturb_a_search(tmp_path, name, adversary):
    def losses_and_ticket(adversary):
        search = search_of(tmp_path, name, epochs=0.25, adversary=adversary, logging_steps=1)
        ticket = search.run()
        return [entry["loss"] for entry in search.trainer.state.log_history if "loss" in entry], ticket

    # A short training never comes down to flooding's usual level.
    settings = tiny.PERTURBING[adversary] if adversary == "flooding" else {}
    perturbed, ticket = losses_and_ticket(tiny.make(adversary, settings))
    plain, _ = losses_and_ticket(None)
    assert len(perturbed) == len(plain) == 4
    assert np.isfinite(perturbed).all()
    assert perturbed != plain
    assert ticket.origin["adversary"]["name"] == adversary


@every_search
def test_an_adversary_that_replays_is_refused_before_the_model_is_touched(tmp_path, name):
    model, fresh = tiny.classifier(), tiny.classifier()
    with pytest.raises(ConfigError, match=r"^FreeAT trains on every batch 3 times") as error:
        search_of(tmp_path, name, model=model, adversary=FreeAT())
    assert is_one_sentence(error.value)
    assert describe(model) == describe(fresh)
    assert search_of(tmp_path, name, adversary=FreeAT(replays=1)).run()


@every_search
def test_an_architecture_that_is_not_supported_is_refused_and_left_alone(tmp_path, name):
    model = GPT2ForSequenceClassification(GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=40))
    before = describe(model)
    with pytest.raises(ModelError, match="gpt2"):
        search_of(tmp_path, name, model=model)
    assert describe(model) == before
    assert all(weight.requires_grad for weight in model.parameters())


@every_search
@pytest.mark.parametrize(
    ("changes", "steps"), [({"gradient_accumulation_steps": 3}, 3), ({"bf16": True}, 8)], ids=str
)
def test_accumulates_gradients_and_runs_in_half_precision(tmp_path, name, changes, steps):
    types = set()
    model = tiny.classifier()
    handle = model.classifier.register_forward_hook(lambda _, __, output: types.add(output.dtype))
    search = search_of(tmp_path, name, model=model, **changes)
    ticket = search.run()
    handle.remove()
    assert types == {torch.bfloat16 if "bf16" in changes else torch.float32}
    assert search.trainer.state.global_step == steps
    assert [int((~mask).sum()) for mask in masks_of(ticket)] == CUT[name]
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


@every_search
def test_sets_its_own_length_but_leaves_the_user_s_training_arguments_alone(tmp_path, name):
    args = tiny.arguments(
        tmp_path,
        max_steps=7,
        num_train_epochs=9,
        warmup_steps=3,
        lr_scheduler_type="linear",
        weight_decay=0.1,
    )
    before = args.to_dict()
    kind = SEARCHES[name]
    rates = []

    class Rates(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, *, optimizer, **_):
            rates.append({group["lr"] for group in optimizer.param_groups})

    search = kind(
        tiny.classifier(),
        args,
        tiny.dataset(64),
        config=kind.Config(**SETTINGS[name](0.75)),
        processing_class=tiny.tokenizer(),
        callbacks=[Rates()],
    )
    search.run()
    assert args.to_dict() == before
    own = getattr(kind.Config(), "learning_rate", args.learning_rate)
    assert rates == [{own}] * 12


@every_search
def test_its_facts_travel_with_the_ticket(tmp_path, name):
    search = search_of(tmp_path, name, origin={"task": "sst2", "seed": "mine"}, per_device_train_batch_size=8)
    ticket = search.run()
    ticket.save_pretrained(tmp_path / "ticket")
    loaded = type(ticket).from_pretrained(tmp_path / "ticket")
    assert_same(loaded, ticket)
    facts = {
        "method": name,
        "search": asdict(search.config),
        "adversary": {"name": "freelb", **ADVERSARY.config.to_dict()},
        "noise": None,
        "learning_rate": getattr(search.config, "learning_rate", 1e-2),
        "batch_size": 8,
        "seed": "mine",
        "task": "sst2",
    }
    assert {key: loaded.origin[key] for key in facts} == facts
    assert search_of(tmp_path, name, adversary=None).run().origin["adversary"] is None


@every_search
@pytest.mark.parametrize("settings", [None, 0.7])
def test_a_configuration_survives_json(name, settings):
    kind = SEARCHES[name].Config
    config = kind() if settings is None else kind(**SETTINGS[name](settings))
    assert kind(**json.loads(json.dumps(asdict(config)))) == config
    assert SEARCHES[name].name == name


EARLY_NONSENSE = [
    *((setting, value) for setting in ("head_penalty", "neuron_penalty") for value in (-1e-5, math.inf)),
    *(
        (setting, value)
        for setting in ("gamma", "draw_after", "max_epochs", "min_steps")
        for value in (math.nan, -0.1)
    ),
    *((setting, 0) for setting in ("patience", "miniepoch", "min_steps", "max_epochs", "draw_after")),
    *((setting, value) for setting in ("head_scope", "neuron_scope") for value in ("layers", "Global", None)),
]
NONSENSE = {
    "earlyrobust": EARLY_NONSENSE,
    "earlybert": EARLY_NONSENSE,
    "robust-ticket": [
        *(("weight_ratio", value) for value in (1.0, -0.1, math.nan)),
        *(("open_probability", value) for value in (0, 1, math.nan)),
        *(("penalty", value) for value in (-0.1, math.inf, math.nan)),
        *((setting, value) for setting in ("learning_rate", "epochs") for value in (0, -1, math.inf)),
    ],
}


@every_search
def test_refuses_settings_out_of_range(name):
    for setting, value in NONSENSE[name]:
        with pytest.raises(ConfigError, match=rf"^{setting} is .*\.$") as error:
            SEARCHES[name].Config(**{setting: value})
        assert is_one_sentence(error.value), (setting, value)
