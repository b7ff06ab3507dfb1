from itertools import chain

import datasets
import pytest
import tiny
import torch
from torch.nn.functional import cross_entropy
from torch.testing import assert_close
from transformers import Trainer, TrainerCallback

from earlyrobust.adversarial import FreeLB
from earlyrobust.trainer import AdversarialTrainer

# An adversary without randomness, so that runs that split their batches differently can be compared.
DETERMINISTIC = {"initial_magnitude": 0.0, "step_size": 0.3}

every_training = pytest.mark.parametrize("adversary", [None, FreeLB(steps=2)], ids=["plain", "freelb"])


class Gradients(TrainerCallback):
    """Keeps the gradients of every optimiser step, and the weights before the first one."""

    def __init__(self):
        self.steps = []

    def on_train_begin(self, args, state, control, *, model, **_):
        self.before = {name: weight.detach().clone() for name, weight in model.named_parameters()}

    def on_pre_optimizer_step(self, args, state, control, *, model, **_):
        self.steps.append({name: weight.grad.clone() for name, weight in model.named_parameters()})


def trainer_of(folder, adversary, *, model=None, trainer_class=AdversarialTrainer, **changes):
    own = {
        name: changes.pop(name)
        for name in ("callbacks", "compute_loss_func", "penalty", "eval_dataset")
        if name in changes
    }
    if trainer_class is AdversarialTrainer:
        own["adversary"] = adversary
    return trainer_class(
        model or tiny.classifier(),
        tiny.arguments(folder, **changes),
        train_dataset=tiny.dataset(),
        processing_class=tiny.tokenizer(),
        **own,
    )


def gated_classifier():
    model = tiny.classifier()
    return model, tiny.attach_random_coefficients(model)


def first_step(folder, adversary, *, accumulation=1, model=None, **changes):
    """Gradients of the first optimiser step, which sees the same eight examples however it splits them."""
    watch = Gradients()
    trainer = trainer_of(
        folder,
        adversary,
        model=model,
        callbacks=[watch],
        per_device_train_batch_size=8 // accumulation,
        gradient_accumulation_steps=accumulation,
        train_sampling_strategy="sequential",
        max_steps=1,
        max_grad_norm=0.0,
        **changes,
    )
    trainer.train()
    return trainer, watch.steps[0]


def assert_same_weights(one, other):
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def seeded(trainer):
    torch.manual_seed(trainer.args.seed)
    return trainer


def losses_of(trainer):
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.parametrize("adversary", [None, FreeLB(steps=1, initial_magnitude=0.0)], ids=["none", "null"])
def test_without_an_adversary_it_is_transformers_trainer(tmp_path, adversary):
    settings = {"num_train_epochs": 2, "weight_decay": 0.1, "logging_steps": 1}
    ours, theirs = (
        trainer_of(
            tmp_path, adversary, model=tiny.classifier(dropout=0.2), trainer_class=trainer_class, **settings
        )
        for trainer_class in (AdversarialTrainer, Trainer)
    )
    ours_result, theirs_result = (seeded(trainer).train() for trainer in (ours, theirs))
    assert ours_result.training_loss == theirs_result.training_loss
    assert losses_of(ours) == losses_of(theirs)
    assert len(losses_of(ours)) == 16
    assert_same_weights(ours.model.state_dict(), theirs.model.state_dict())


@pytest.mark.parametrize("penalised", [False, True])
@pytest.mark.parametrize("adversary", [None, FreeLB(steps=3, **DETERMINISTIC)], ids=["plain", "freelb"])
@tiny.float64()
def test_accumulated_batches_equal_one_large_batch(tmp_path, adversary, penalised):
    results = []
    for accumulation in (1, 2, 4):
        model, gates = gated_classifier()
        penalty = (lambda gates=gates: gates.penalty(0.1, 0.2)) if penalised else None
        trainer, gradients = first_step(
            tmp_path, adversary, accumulation=accumulation, model=model, penalty=penalty, logging_steps=1
        )
        results.append((gradients, trainer.model.state_dict(), losses_of(trainer)))
    for split in results[1:]:
        assert_close(split, results[0], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("adversary", [None, FreeLB(steps=3, **DETERMINISTIC)], ids=["plain", "freelb"])
@tiny.float64()
def test_a_loss_of_the_user_s_own_learns_the_size_of_the_accumulated_batch(tmp_path, adversary):
    def loss(outputs, labels, num_items_in_batch):
        return cross_entropy(outputs.logits, labels, reduction="sum") / num_items_in_batch

    def first_gradients(**settings):
        model, gates = gated_classifier()
        return first_step(
            tmp_path, adversary, model=model, penalty=lambda: gates.penalty(0.1, 0.2), **settings
        )[1]

    expected = first_gradients()
    for accumulation in (1, 4):
        actual = first_gradients(accumulation=accumulation, compute_loss_func=loss)
        assert_close(actual, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("accumulation", [1, 2, 4])
@pytest.mark.parametrize(
    "adversary",
    [None, FreeLB(steps=1, **DETERMINISTIC), FreeLB(steps=3, **DETERMINISTIC)],
    ids=["plain", "one-pass", "three-passes"],
)
@tiny.float64()
def test_the_penalty_adds_its_gradient_once_per_optimiser_step(tmp_path, adversary, accumulation):
    weights = {"importance.heads": 0.03, "importance.neurons": 0.2}
    model, _ = gated_classifier()
    signs = {name: model.get_parameter(name).detach().sign() for name in weights}
    _, bare = first_step(tmp_path, adversary, accumulation=accumulation, model=model)
    model, gates = gated_classifier()
    _, penalised = first_step(
        tmp_path,
        adversary,
        accumulation=accumulation,
        model=model,
        penalty=lambda: gates.penalty(*weights.values()),
    )
    for name, gradient in bare.items():
        added = weights[name] * signs[name] if name in weights else torch.zeros_like(gradient)
        assert_close(penalised[name] - gradient, added, rtol=0, atol=1e-12)


def test_evaluation_has_neither_penalty_nor_perturbation(tmp_path):
    model, gates = gated_classifier()
    rows = tiny.dataset(8, seed=1)
    trainer = trainer_of(
        tmp_path,
        FreeLB(steps=2, initial_magnitude=10.0),
        model=model,
        penalty=lambda: gates.penalty(100.0, 100.0),
        eval_dataset=rows,
        eval_strategy="steps",
        eval_steps=2,
        max_steps=4,
        max_grad_norm=0.0,
        learning_rate=1e-3,
    )
    trainer.train()
    loss = trainer.evaluate()["eval_loss"]
    batch = tiny.batch(8, seed=1)
    with torch.no_grad():
        expected = cross_entropy(model.eval()(**batch).logits, batch["labels"])
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    in_training = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert len(in_training) == 3
    assert in_training[1] == pytest.approx(loss)
    assert max(in_training) < 10


@pytest.mark.parametrize("steps", [1, 3])
def test_label_smoothing_smooths_the_loss_of_every_pass(tmp_path, steps):
    adversary = FreeLB(steps=steps, initial_magnitude=0.0, step_size=0.0)
    trainer, _ = first_step(tmp_path, adversary, label_smoothing_factor=0.2, logging_steps=1)
    batch = tiny.batch(8)
    logits = tiny.classifier()(**batch).logits
    expected = cross_entropy(logits, batch["labels"], label_smoothing=0.2)
    assert losses_of(trainer) == [pytest.approx(expected.item(), rel=1e-5)]
    assert expected.item() != pytest.approx(cross_entropy(logits, batch["labels"]).item(), rel=1e-3)


def test_activation_checkpointing_gives_the_same_gradients(tmp_path):
    adversary = FreeLB(steps=3, step_size=0.3)
    plain, checkpointed = (
        first_step(tmp_path, adversary, model=tiny.classifier(dropout=0.2), activation_checkpointing=on)
        for on in (False, True)
    )
    assert checkpointed[0].model.is_activation_checkpointing
    assert_close(checkpointed[1], plain[1], rtol=1e-5, atol=1e-7)


@every_training
def test_bfloat16_autocast_trains(tmp_path, adversary):
    types = set()
    model = tiny.classifier()
    model.classifier.register_forward_hook(lambda _, __, output: types.add(output.dtype))
    trainer = trainer_of(tmp_path, adversary, model=model, bf16=True, max_steps=4, logging_steps=1)
    trainer.train()
    assert types == {torch.bfloat16}
    assert torch.tensor(losses_of(trainer)).isfinite().all()
    assert all(weight.isfinite().all() for weight in model.parameters())
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


def test_token_types_and_labels_reach_every_pass(tmp_path):
    model = tiny.classifier()
    seen = []
    model.register_forward_pre_hook(lambda _, __, inputs: seen.append(inputs), with_kwargs=True)
    first_step(tmp_path, FreeLB(steps=3), model=model)
    batch = tiny.batch(8)
    assert len(seen) == 3
    for inputs in seen:
        assert inputs.keys() == batch.keys()
        assert all(torch.equal(inputs[name], value) for name, value in batch.items())


def test_length_grouping_reads_the_column_of_lengths(tmp_path, monkeypatch):
    trainer = trainer_of(tmp_path, None, train_sampling_strategy="group_by_length")

    def read(_):
        raise AssertionError("read the data set example by example")

    with monkeypatch.context() as patch:
        patch.setattr(datasets.Dataset, "__iter__", read)
        batches = trainer.get_train_dataloader()
    lengths = [batch["attention_mask"].sum(1).tolist() for batch in batches]
    assert sorted(chain(*lengths)) == sorted(trainer.train_dataset["length"])
    # All are sorted, but for the longest example, which goes first so that a lack of memory shows at once.
    assert lengths[0][0] == max(trainer.train_dataset["length"])
    assert sum(batch == sorted(batch, reverse=True) for batch in lengths) >= len(lengths) - 2


@every_training
@pytest.mark.parametrize("sampling", ["random", "group_by_length"])
@pytest.mark.parametrize("saved_at", [2, 5])
def test_an_interrupted_training_resumes_bit_for_bit(tmp_path, adversary, sampling, saved_at):
    # An epoch has four optimiser steps of two batches each: the checkpoint is within the first or the second.
    def train(resume=None, **changes):
        trainer = trainer_of(
            tmp_path,
            adversary,
            model=tiny.classifier(dropout=0.2),
            train_sampling_strategy=sampling,
            gradient_accumulation_steps=2,
            num_train_epochs=3,
            **changes,
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    whole = train()
    with pytest.raises(KeyboardInterrupt):
        train(save_strategy="steps", save_steps=saved_at, callbacks=[tiny.Interrupt(saved_at + 1)])
    resumed = train(resume=str(tmp_path / f"checkpoint-{saved_at}"))
    assert resumed.state.global_step == whole.state.global_step == 12
    assert_same_weights(resumed.model.state_dict(), whole.model.state_dict())


def test_length_grouping_groups_differently_in_every_epoch_and_with_every_seed(tmp_path):
    def epochs(seed):
        trainer = trainer_of(tmp_path, None, train_sampling_strategy="group_by_length", seed=seed)
        batches = trainer.get_train_dataloader()
        return [torch.cat([batch["input_ids"].flatten() for batch in batches]).tolist() for _ in range(2)]

    first, second = epochs(1)
    assert first != second
    assert epochs(1) == [first, second]
    assert epochs(2)[0] != first
