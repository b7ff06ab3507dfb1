"""Going on from a search: training resumes with the cut model where the search ended."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import models
import numpy as np
import pytest
import tiny
import torch
from datasets import Dataset
from test_search import ADVERSARY, CONFIG, Record, search_of
from torch.testing import assert_close
from transformers import (
    AutoModelForSequenceClassification,
    PreTrainedModel,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from earlyrobust.adversarial import FAT, InfoBERT
from earlyrobust.errors import ConfigError
from earlyrobust.families import family_of
from earlyrobust.pruning import ImportanceCoefficients, masked, prune
from earlyrobust.search import EarlyRobustSearch
from earlyrobust.search.continuation import save_cut_checkpoint
from earlyrobust.tickets.ticket import Ticket
from earlyrobust.trainer import AdversarialTrainer


class Stop(TrainerCallback):  # type: ignore[misc]
    """Ends a training after some steps, and keeps the step's checkpoint."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        control.should_training_stop |= state.global_step == self.step
        control.should_save |= state.global_step == self.step


def rows(family: str) -> Dataset:
    fed = {name: values.tolist() for name, values in models.batch(family, rows=16).items()}
    return Dataset.from_dict({**fed, "labels": [number % 3 for number in range(16)]})


def trainer_of(model: PreTrainedModel, folder: Path, family: str, *callbacks: Any) -> AdversarialTrainer:
    options = {"num_train_epochs": 2, "warmup_steps": 2, "weight_decay": 0.01, "learning_rate": 5e-3}
    return AdversarialTrainer(
        model, tiny.arguments(folder, **options), train_dataset=rows(family), callbacks=list(callbacks)
    )


def switch_off(model: PreTrainedModel, ticket: Ticket) -> None:
    """Multiply the outputs of heads and neurons that a ticket cuts by zero."""
    family = family_of(model.config)
    size = family.dimensions(model.config).head_size
    for layer, heads, neurons in zip(family.layers(model), ticket.heads, ticket.neurons, strict=True):
        for part, mask in (
            (family.head_output(layer), np.repeat(heads, size)),
            (family.neuron_output(layer), neurons),
        ):
            factor = torch.from_numpy(mask).double()
            part.register_forward_pre_hook(lambda _, inputs, factor=factor: (inputs[0] * factor,))


@pytest.mark.parametrize("family", models.CONFIGS)
@tiny.float64()
def test_training_that_goes_on_is_training_with_the_rest_switched_off(family: str, tmp_path: Path) -> None:
    """The oracle is the whole model, with what the ticket cuts multiplied by zero from the cut on."""
    no_dropout = dict.fromkeys(
        ("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout"), 0.0
    )
    attention = "sdpa" if family == "modernbert" else "eager"
    made = models.classifier(family, attention, **no_dropout).double()
    ticket = models.ticket(family)

    whole = copy.deepcopy(made)
    trainer_of(whole, tmp_path / "whole", family, Stop(3)).train()
    switch_off(whole, ticket)
    trainer_of(whole, tmp_path / "whole", family).train(str(tmp_path / "whole" / "checkpoint-3"))

    searching = trainer_of(made, tmp_path / "search", family, Stop(3))
    searching.train()
    gates = ImportanceCoefficients.of(made)
    checkpoint = save_cut_checkpoint(searching, gates, ticket, tmp_path / "cut")
    small = prune(models.classifier(family, attention, seed=9, **no_dropout).double(), ticket)
    going_on = trainer_of(small, tmp_path / "cut", family)
    going_on.train(str(checkpoint))
    assert going_on.state.global_step == 8

    expected = prune(whole, ticket).state_dict()
    found = small.state_dict()
    assert found.keys() == expected.keys()
    for name, weight in found.items():
        assert_close(weight, expected[name], rtol=1e-7, atol=1e-9, msg=name)


def test_the_coefficients_of_what_stays_become_part_of_the_weights(tmp_path: Path) -> None:
    search = search_of(
        tmp_path / "search",
        replace(CONFIG, gamma=1.0),
        continued=True,
        num_train_epochs=3,
        learning_rate=0.05,
        model=tiny.classifier(),
    )
    ticket = search.run()
    model, scores = search.trainer.model.eval(), (ticket.head_scores, ticket.neuron_scores)
    assert np.abs(scores[1] - 1).max() > 0.1
    checkpoint = search.save_checkpoint(ticket, tmp_path / "cut")
    small = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    batch = tiny.batch()
    with torch.no_grad(), masked(model, ticket):
        for own, trained, mask in zip(
            model.importance.parameters(), scores, (ticket.heads, ticket.neurons), strict=True
        ):
            own.copy_(torch.from_numpy(trained * mask))
        assert_close(small(**batch).logits, model(**batch).logits, rtol=1e-4, atol=1e-5)


def test_search_and_training_are_one_schedule_over_the_same_examples(tmp_path: Path) -> None:
    options = {"num_train_epochs": 2, "warmup_steps": 4, "lr_scheduler_type": "linear"}
    straight, first, second = Record(), Record(), Record()
    trainer = AdversarialTrainer(
        tiny.classifier(),
        tiny.arguments(tmp_path / "straight", **options),
        train_dataset=tiny.dataset(64),
        processing_class=tiny.tokenizer(),
        callbacks=[straight],
    )
    seen = watch(trainer)
    trainer.train()

    search = search_of(
        *(tmp_path / "search", replace(CONFIG, gamma=1.0)),
        **{**options, "continued": True, "adversary": None, "model": tiny.classifier(), "callbacks": [first]},
    )
    seen_by_search = watch(search.trainer)
    ticket = search.run()
    checkpoint = search.save_checkpoint(ticket, tmp_path / "cut")
    rest = AdversarialTrainer(
        prune(tiny.classifier(), ticket),
        tiny.arguments(tmp_path / "cut", **options),
        train_dataset=tiny.dataset(64),
        processing_class=tiny.tokenizer(),
        callbacks=[second],
    )
    seen_after = watch(rest)
    rest.train(str(checkpoint))
    assert len(first.learning_rates) == 12
    rates = [rates[0] for rates in (*first.learning_rates, *second.learning_rates)]
    assert rates == [rates[0] for rates in straight.learning_rates]
    assert [*seen_by_search, *seen_after] == seen
    steps = {int(entry["step"]) for entry in rest.state.log_history}
    assert min(steps) > 12


def watch(trainer: AdversarialTrainer) -> list[list[list[int]]]:
    """Return a list that gets the tokens of each batch that is trained on."""
    seen: list[list[list[int]]] = []
    step = trainer.training_step

    def watched(model: Any, inputs: dict[str, Any], *args: Any) -> torch.Tensor:
        seen.append(inputs["input_ids"].tolist())
        return step(model, inputs, *args)

    trainer.training_step = watched
    return seen


@pytest.mark.parametrize(("epochs", "fits"), [(1.0, False), (0.5, False), (1.5, True)])
def test_a_search_must_leave_something_of_the_training(tmp_path: Path, epochs: float, fits: bool) -> None:
    def make() -> Any:
        return search_of(tmp_path, CONFIG, continued=True, num_train_epochs=epochs)

    if fits:
        assert make().trainer.args.num_train_epochs == epochs
        return
    with pytest.raises(ConfigError, match=r"The search may take 16 steps, .* have \d+ together: train for"):
        make()


def test_the_best_model_of_the_search_is_not_that_of_the_cut_model(tmp_path: Path) -> None:
    options: dict[str, Any] = {"num_train_epochs": 2, "learning_rate": 1e-3, "load_best_model_at_end": True}
    options |= {f"{kind}_strategy": "steps" for kind in ("eval", "save")} | {"eval_steps": 4, "save_steps": 4}
    search = search_of(
        tmp_path / "search",
        replace(CONFIG, gamma=1.0),
        **{**options, "continued": True, "adversary": None, "eval_dataset": tiny.dataset(16)},
    )
    ticket = search.run()
    assert search.trainer.state.best_model_checkpoint is not None
    search.trainer.state.best_metric = 0.0  # a loss below which no other falls
    checkpoint = search.save_checkpoint(ticket, tmp_path / "cut")
    rest = AdversarialTrainer(
        prune(tiny.classifier(), ticket),
        tiny.arguments(tmp_path / "cut", **options),
        train_dataset=tiny.dataset(64),
        eval_dataset=tiny.dataset(16),
        processing_class=tiny.tokenizer(),
    )
    rest.train(str(checkpoint))
    losses = [entry["eval_loss"] for entry in rest.state.log_history if "eval_loss" in entry]
    assert rest.state.best_metric == min(losses)
    assert Path(rest.state.best_model_checkpoint).parent == tmp_path / "cut"


def test_an_optimiser_with_states_of_another_shape_is_refused(tmp_path: Path) -> None:
    search = search_of(
        *(tmp_path, replace(CONFIG, gamma=1.0)),
        **{"continued": True, "num_train_epochs": 3, "optim": "adafactor", "adversary": ADVERSARY},
    )
    ticket = search.run()
    with pytest.raises(ConfigError, match="cannot be cut: choose AdamW"):
        search.save_checkpoint(ticket, tmp_path / "cut")


def test_the_moments_stay_with_their_weights_in_any_order_of_the_groups(tmp_path: Path) -> None:
    """A user's own optimiser may put the upper layers first; moments are found by their order alone."""

    class UpperFirst(AdversarialTrainer):
        def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
            if self.optimizer is None:
                named = list(self.model.named_parameters())
                groups = [
                    [weight for name, weight in named if ".layer.1." in name],
                    [weight for name, weight in named if ".layer.0." in name],
                    [weight for name, weight in named if ".layer." not in name],
                ]
                ordered = [weight for group in groups[:2] for weight in group]
                self.optimizer = torch.optim.AdamW([{"params": ordered}, {"params": groups[2]}], lr=5e-3)
            return self.optimizer

    search = EarlyRobustSearch(
        tiny.classifier(),
        tiny.arguments(tmp_path / "search", num_train_epochs=3),
        tiny.dataset(64),
        config=replace(CONFIG, gamma=1.0),
        adversary=None,
        processing_class=tiny.tokenizer(),
        continued=True,
        trainer_class=UpperFirst,
    )
    ticket = search.run()
    searched, moments = search.trainer.model, search.trainer.optimizer.state
    expected = {name: moments[weight]["exp_avg"] for name, weight in searched.named_parameters()}
    checkpoint = search.save_checkpoint(ticket, tmp_path / "cut")
    found: dict[str, torch.Tensor] = {}

    class Look(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            state_of = kwargs["optimizer"].state
            found.update(
                {name: state_of[one]["exp_avg"].clone() for name, one in kwargs["model"].named_parameters()}
            )

    rest = UpperFirst(
        prune(tiny.classifier(), ticket),
        tiny.arguments(tmp_path / "cut", num_train_epochs=3),
        train_dataset=tiny.dataset(64),
        processing_class=tiny.tokenizer(),
        callbacks=[Look()],
    )
    rest.train(str(checkpoint))
    whole = [name for name, moment in found.items() if moment.shape == expected[name].shape]
    assert len(whole) > 10
    for name in whole:
        assert torch.equal(found[name], expected[name]), name


def test_what_an_adversary_remembers_survives_the_cut(tmp_path: Path) -> None:
    search = search_of(
        *(tmp_path / "search", replace(CONFIG, gamma=1.0)),
        **{"continued": True, "num_train_epochs": 3, "adversary": FAT()},
    )
    ticket = search.run()
    known = dict(search.trainer.parts._bits)  # type: ignore[union-attr]
    checkpoint = search.save_checkpoint(ticket, tmp_path / "cut")
    found: dict[Any, Any] = {}

    class Look(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            found.update(kwargs["model"].adversary._bits)

    rest = AdversarialTrainer(
        prune(tiny.classifier(), ticket),
        tiny.arguments(tmp_path / "cut", num_train_epochs=3),
        adversary=FAT(),
        train_dataset=tiny.dataset(64),
        processing_class=tiny.tokenizer(),
        callbacks=[Look()],
    )
    rest.train(str(checkpoint))
    assert len(known) > 1
    assert found.keys() == known.keys()
    assert all(np.array_equal(found[key], bits) for key, bits in known.items())


def test_a_search_with_weights_beside_the_model_s_is_refused(tmp_path: Path) -> None:
    options = {"continued": True, "num_train_epochs": 3, "adversary": InfoBERT(steps=1, critic_size=4)}
    with pytest.raises(ConfigError, match="InfoBERT trains weights beside the model's"):
        search_of(tmp_path, replace(CONFIG, gamma=1.0), **options)
