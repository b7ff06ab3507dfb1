import statistics
import sys
from collections import Counter
from contextlib import contextmanager
from itertools import chain, pairwise
from types import SimpleNamespace

import datasets
import models
import pytest
import tiny
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from tiny import PLAIN, SEPARABLE, Gradients, losses_of
from torch.nn.functional import cross_entropy
from torch.testing import assert_close
from torch.utils.data import DataLoader, WeightedRandomSampler
from transformers import DataCollatorWithPadding, Trainer, TrainerCallback
from transformers.trainer_pt_utils import LengthGroupedSampler
from transformers.trainer_utils import HPSearchBackend, get_last_checkpoint

from earlyrobust.adversarial import ADVERSARIES, FreeAT, FreeLB
from earlyrobust.adversarial.infobert import Critic
from earlyrobust.adversarial.perturbation import Perturbation
from earlyrobust.errors import ConfigError
from earlyrobust.pruning import prune
from earlyrobust.trainer import AdversarialTrainer
from earlyrobust.trainer.sampling import ReplayableSampler

every_training = pytest.mark.parametrize("name", [None, *ADVERSARIES], ids=str)


def adversary_of(name, **changes):
    return None if name is None else tiny.adversary(name, **changes)


def trainer_of(folder, adversary, *, model=None, trainer_class=AdversarialTrainer, **changes):
    own = {
        name: changes.pop(name)
        for name in ("callbacks", "compute_loss_func", "penalty", "train_dataset", "eval_dataset")
        if name in changes
    }
    if trainer_class is AdversarialTrainer:
        own["adversary"] = adversary
    return trainer_class(
        model or tiny.classifier(),
        tiny.arguments(folder, **changes),
        processing_class=tiny.tokenizer(),
        **{"train_dataset": tiny.dataset(), **own},
    )


def gated_classifier():
    model = tiny.classifier()
    return model, tiny.attach_random_coefficients(model)


def first_steps(folder, adversary, *, accumulation=1, model=None, **changes):
    """Gradients of each optimiser step on the first eight examples, however they are split into batches."""
    watch = Gradients()
    trainer = trainer_of(
        folder,
        adversary,
        model=model,
        callbacks=[watch],
        per_device_train_batch_size=8 // accumulation,
        gradient_accumulation_steps=accumulation,
        train_sampling_strategy="sequential",
        max_steps=getattr(adversary, "replays", 1),
        max_grad_norm=0.0,
        **changes,
    )
    trainer.train()
    return trainer, watch.steps


@pytest.fixture
def same_start(monkeypatch):
    """Every example starts from the same perturbation, whatever the batch that it is in."""

    def start(self, magnitude, bound=0):
        wave = torch.arange(self.mask.shape[1] * self.channels).sin().view(-1, self.channels)
        return magnitude * wave * self.mask

    monkeypatch.setattr(Perturbation, "uniform", start)
    monkeypatch.setattr(Perturbation, "normal", start)


def assert_same_weights(one, other):
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def in_groups(items, size):
    assert len(items) % size == 0
    return [items[begin : begin + size] for begin in range(0, len(items), size)]


def seeded(trainer):
    torch.manual_seed(trainer.args.seed)
    return trainer


@every_training
def test_without_an_adversary_it_is_transformers_trainer(tmp_path, name):
    adversary = None if name is None else ADVERSARIES[name](**PLAIN[name])
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


@pytest.mark.parametrize("penalised", [False, True], ids=["", "penalised"])
@every_training
@pytest.mark.usefixtures("same_start")
@tiny.float64()
def test_accumulated_batches_equal_one_large_batch(tmp_path, name, penalised):
    results = []
    for accumulation in (1, 2, 4):
        model, gates = gated_classifier()
        trainer, steps = first_steps(
            tmp_path,
            adversary_of(name, **SEPARABLE.get(name, {})),
            accumulation=accumulation,
            model=model,
            penalty=(lambda gates=gates: gates.penalty(0.1, 0.2)) if penalised else None,
            logging_steps=1,
        )
        results.append((steps, trainer.model.state_dict(), losses_of(trainer)))
    for split in results[1:]:
        assert_close(split, results[0], rtol=1e-8, atol=1e-10)


@every_training
@pytest.mark.usefixtures("same_start")
@tiny.float64()
def test_a_loss_of_the_user_s_own_learns_the_size_of_the_accumulated_batch(tmp_path, name):
    def loss(outputs, labels, num_items_in_batch):
        return cross_entropy(outputs.logits, labels, reduction="sum") / num_items_in_batch

    def gradients(**settings):
        model, gates = gated_classifier()
        return first_steps(
            tmp_path,
            adversary_of(name, **SEPARABLE.get(name, {})),
            model=model,
            penalty=lambda: gates.penalty(0.1, 0.2),
            **settings,
        )[1]

    expected = gradients()
    for accumulation in (1, 4):
        actual = gradients(accumulation=accumulation, compute_loss_func=loss)
        assert_close(actual, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("accumulation", [1, 2, 4])
@every_training
@tiny.float64()
def test_the_penalty_adds_its_gradient_once_per_optimiser_step(tmp_path, name, accumulation):
    weights = {"importance.heads": 0.03, "importance.neurons": 0.2}
    settings = {"adversary": adversary_of(name), "accumulation": accumulation, "learning_rate": 0.0}
    model, _ = gated_classifier()
    signs = {name: model.get_parameter(name).detach().sign() for name in weights}
    _, without = first_steps(tmp_path, model=model, **settings)
    model, gates = gated_classifier()
    _, penalised = first_steps(
        tmp_path, model=model, penalty=lambda: gates.penalty(*weights.values()), **settings
    )
    for step, bare in zip(penalised, without, strict=True):
        for name, gradient in bare.items():
            added = weights[name] * signs[name] if name in weights else torch.zeros_like(gradient)
            assert_close(step[name] - gradient, added, rtol=0, atol=1e-12)


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
    trainer, _ = first_steps(tmp_path, adversary, label_smoothing_factor=0.2, logging_steps=1)
    batch = tiny.batch(8)
    logits = tiny.classifier()(**batch).logits
    expected = cross_entropy(logits, batch["labels"], label_smoothing=0.2)
    assert losses_of(trainer) == [pytest.approx(expected.item(), rel=1e-5)]
    assert expected.item() != pytest.approx(cross_entropy(logits, batch["labels"]).item(), rel=1e-3)


@every_training
def test_activation_checkpointing_gives_the_same_gradients(tmp_path, name):
    plain, checkpointed = (
        first_steps(
            tmp_path, adversary_of(name), model=tiny.classifier(dropout=0.2), activation_checkpointing=on
        )
        for on in (False, True)
    )
    assert checkpointed[0].model.is_activation_checkpointing
    assert_close(checkpointed[1], plain[1], rtol=1e-5, atol=1e-7)


@every_training
def test_bfloat16_autocast_trains(tmp_path, name):
    types = set()
    model = tiny.classifier()
    model.classifier.register_forward_hook(lambda _, __, output: types.add(output.dtype))
    trainer = trainer_of(tmp_path, adversary_of(name), model=model, bf16=True, max_steps=4, logging_steps=1)
    trainer.train()
    assert types == {torch.bfloat16}
    assert torch.tensor(losses_of(trainer)).isfinite().all()
    assert all(weight.isfinite().all() for weight in model.parameters())
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}


@every_training
def test_a_model_in_half_precision_trains(tmp_path, name):
    model = tiny.classifier().to(torch.bfloat16)
    trainer_of(tmp_path, adversary_of(name), model=model, max_steps=4).train()
    assert all(weight.isfinite().all() for weight in model.parameters())
    assert {weight.dtype for weight in model.parameters()} == {torch.bfloat16}


@every_training
def test_token_types_and_labels_reach_every_pass(tmp_path, name):
    model = tiny.classifier()
    seen = []
    model.register_forward_pre_hook(lambda _, __, inputs: seen.append(inputs), with_kwargs=True)
    first_steps(tmp_path, adversary_of(name), model=model)
    batch = tiny.batch(8)
    assert len(seen) > (name not in (None, "flooding"))
    for inputs in seen:
        assert inputs.keys() - {"output_hidden_states"} == batch.keys()
        assert all(torch.equal(inputs[key], value) for key, value in batch.items())


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


def test_length_grouping_does_not_take_long_texts_before_short_ones():
    lengths = [1 + number * 7 % 160 for number in range(1603)]
    sampler = ReplayableSampler(LengthGroupedSampler(16, lengths=lengths), 16, seed=5)
    order = list(sampler)
    assert sorted(order) == list(range(1603))
    assert lengths[order[0]] == max(lengths)
    batches = [order[begin : begin + 16] for begin in range(0, len(order), 16)]
    spreads = [
        max(lengths[index] for index in batch) - min(lengths[index] for index in batch) for batch in batches
    ]
    assert len(batches[-1]) == 3
    assert sum(spread <= 16 for spread in spreads) >= len(batches) - 3  # of 160: they are still grouped
    means = [statistics.mean(lengths[index] for index in batch) for batch in batches[1:-1]]
    assert abs(statistics.correlation(means, range(len(means)))) < 0.2
    assert statistics.mean(means[: len(means) // 5]) == pytest.approx(statistics.mean(means), rel=0.2)


def test_length_grouping_with_less_than_a_batch():
    sampler = ReplayableSampler(LengthGroupedSampler(16, lengths=[3, 1, 2]), 16, seed=0)
    assert sorted(sampler) == [0, 1, 2]


@every_training
@pytest.mark.parametrize(("sampling", "saved_at"), [("random", 2), ("group_by_length", 10)])
def test_an_interrupted_training_resumes_bit_for_bit(tmp_path, name, sampling, saved_at):
    # An epoch has four optimiser steps of two batches each, or eight if batches are replayed twice: the
    # checkpoint is within the first or a later one.
    adversary = adversary_of(name, **({"replays": 2} if name == "freeat" else {}))

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


def test_freeat_carries_a_perturbation_over_to_the_batch_s_next_replay_and_no_further(tmp_path):
    start, replays = 1e-3, 3
    adversary = FreeAT(replays=replays, initial_magnitude=start, step_size=0.3)
    with applied_perturbations() as deltas:
        trainer = trainer_of(
            tmp_path, adversary, gradient_accumulation_steps=2, learning_rate=0.0, num_train_epochs=3
        )
        trainer.train()
    assert len(deltas) == 24
    for step in in_groups(deltas, 2 * replays):
        for first, second, third in (step[0::2], step[1::2]):
            assert 0 < first.norm(dim=(1, 2)).max() <= start
            assert_close((second - first).norm(dim=(1, 2)), torch.full((4,), 0.3))
            assert_close((third - second).norm(dim=(1, 2)), torch.full((4,), 0.3))


@contextmanager
def applied_perturbations():
    deltas, applied = [], Perturbation.applied

    def recording(self, delta):
        deltas.append(delta.detach())
        return applied(self, delta)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Perturbation, "applied", recording)
        yield deltas


def batches_of(trainer):
    """Trains; the texts of each batch, as their tokens."""
    batches = []

    def record(_model, _args, inputs):
        rows = zip(inputs["input_ids"].tolist(), inputs["attention_mask"].sum(1).tolist(), strict=True)
        batches.append([tuple(tokens[:length]) for tokens, length in rows])

    trainer.model.register_forward_pre_hook(record, with_kwargs=True)
    trainer.train()
    return batches


@pytest.mark.parametrize("sampling", ["random", "group_by_length", "sequential"])
@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("examples", [32, 10, 3])
def test_freeat_trains_on_each_batch_in_consecutive_steps(tmp_path, examples, accumulation, sampling):
    data = tiny.dataset(examples)
    trainer = trainer_of(
        tmp_path,
        FreeAT(replays=3),
        train_dataset=data,
        train_sampling_strategy=sampling,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=6,
    )
    steps = in_groups(batches_of(trainer), accumulation)
    assert len(steps) == trainer.state.global_step
    for first, second, third in in_groups(steps, 3):
        assert first == second == third
    texts = {tuple(tokens) for tokens in data["input_ids"]}
    assert len(texts) == examples
    for epoch in in_groups(steps, len(steps) // 2):
        counts = Counter(chain(*chain(*epoch)))
        assert counts.keys() == texts
        filled = -examples % (4 * accumulation)
        assert counts.total() == 3 * (examples + filled)
        assert min(counts.values()) == 3 * (1 + filled // examples)
    assert all(len(batch) == 4 for batch in chain(*steps))


@pytest.mark.parametrize(
    ("examples", "accumulation", "epochs", "replays"),
    [(32, 1, 3, 3), (32, 1, 1, 3), (10, 1, 2, 5), (10, 2, 3, 4), (32, 1, 0.4, 2), (36, 1, 7, 3)],
)
def test_freeat_takes_as_many_steps_as_plain_training(tmp_path, examples, accumulation, epochs, replays):
    steps = []
    for adversary in (None, FreeAT(replays=replays)):
        trainer = trainer_of(
            tmp_path,
            adversary,
            train_dataset=tiny.dataset(examples),
            gradient_accumulation_steps=accumulation,
            num_train_epochs=epochs,
            callbacks=[tiny.Interrupt(1)],
        )
        with pytest.raises(KeyboardInterrupt):
            trainer.train()
        steps.append(trainer.state.max_steps)
    assert steps[0] == steps[1]


def test_freeat_sees_the_batches_of_plain_training_in_their_order(tmp_path):
    def batches(adversary, **seeds):
        return batches_of(trainer_of(tmp_path, adversary, num_train_epochs=2, **seeds))

    for seeds in ({"seed": 1}, {"seed": 2}, {"seed": 2, "data_seed": 1}):
        assert batches(FreeAT(replays=2), **seeds)[::2] == batches(None, **seeds)[:8]
    assert batches(FreeAT(replays=2), seed=1) != batches(FreeAT(replays=2), seed=2)


def test_freeat_leaves_the_user_s_arguments_alone(tmp_path):
    arguments = tiny.arguments(tmp_path, num_train_epochs=3)
    AdversarialTrainer(tiny.classifier(), arguments, adversary=FreeAT(replays=3))
    assert arguments.num_train_epochs == 3


@pytest.mark.parametrize(("asked_every", "saved_at"), [(1, {3, 6, 8}), (2, {3, 6, 8}), (7, {8})])
def test_freeat_s_checkpoints_are_between_batches_or_at_the_end(tmp_path, asked_every, saved_at):
    trainer = trainer_of(
        tmp_path, FreeAT(replays=3), num_train_epochs=1, save_strategy="steps", save_steps=asked_every
    )
    trainer.train()
    assert {folder.name for folder in tmp_path.iterdir()} == {f"checkpoint-{step}" for step in saved_at}


def test_freeat_s_best_model_can_be_loaded_at_the_end(tmp_path):
    trainer = trainer_of(
        tmp_path,
        FreeAT(replays=3),
        num_train_epochs=3,
        eval_dataset=tiny.dataset(8, seed=1),
        load_best_model_at_end=True,
        greater_is_better=True,  # so that it is not the last one
        **{"save_strategy": "steps", "save_steps": 2, "eval_strategy": "steps", "eval_steps": 2},
    )
    trainer.train()
    losses = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert trainer.evaluate()["eval_loss"] == pytest.approx(max(losses))
    assert max(losses) > losses[-1]


@pytest.mark.parametrize(("interrupted_at", "accumulation"), [(4, 1), (5, 2), (6, 1), (17, 1)])
def test_freeat_interrupted_within_its_replays_resumes_bit_for_bit(tmp_path, interrupted_at, accumulation):
    # An epoch of 16 examples has 12 steps, or 6.
    def train(resume=None, **changes):
        trainer = trainer_of(
            tmp_path,
            FreeAT(replays=3),
            model=tiny.classifier(dropout=0.2),
            train_dataset=tiny.dataset(16),
            gradient_accumulation_steps=accumulation,
            num_train_epochs=6,
            **changes,
        )
        trainer.train(resume_from_checkpoint=resume)
        return trainer.model.state_dict()

    whole = train()
    with pytest.raises(KeyboardInterrupt):
        train(save_strategy="steps", save_steps=1, callbacks=[tiny.Interrupt(interrupted_at)])
    last = get_last_checkpoint(str(tmp_path))
    assert last.endswith(f"checkpoint-{(interrupted_at - 1) // 3 * 3}")
    assert_same_weights(train(resume=last), whole)


def test_freeat_trains_again_without_what_it_kept_of_the_last_time(tmp_path):
    trainer = trainer_of(
        tmp_path, FreeAT(replays=3, initial_magnitude=1e-3, step_size=0.3), learning_rate=0.0, max_steps=1
    )
    trainer.train()
    trainer.args.max_steps = 3
    with applied_perturbations() as deltas:
        trainer.train()
    lengths = [(after - before).norm(dim=(1, 2)) for before, after in pairwise(deltas)]
    assert_close(lengths, [torch.full((4,), 0.3)] * 2)


def test_freeat_repeats_batches_of_the_size_that_was_found_to_fit(tmp_path):
    trainer = trainer_of(
        tmp_path,
        FreeAT(replays=3),
        auto_find_batch_size=True,
        num_train_epochs=3,
        train_dataset=tiny.dataset(7),
    )

    def need_memory(_model, _args, inputs):
        if len(inputs["input_ids"]) > 2:
            raise RuntimeError("CUDA out of memory.")

    trainer.model.register_forward_pre_hook(need_memory, with_kwargs=True)
    batches = [batch for batch in batches_of(trainer) if len(batch) == 2]
    assert len(batches) == 12
    for first, second, third in in_groups(batches, 3):
        assert first == second == third


def test_freeat_refuses_data_that_cannot_be_replayed(tmp_path):
    with pytest.raises(ConfigError, match=r"^FreeAT replays batches, .*'batch_rebalance'.*[.]$"):
        trainer_of(tmp_path, FreeAT(), train_sampling_strategy="batch_rebalance").train()
    stream = tiny.dataset().to_iterable_dataset()
    with pytest.raises(ConfigError, match=r"^FreeAT replays batches, .* known length[.]$"):
        trainer_of(tmp_path, FreeAT(), train_dataset=stream, max_steps=3)


class Weights(TrainerCallback):
    """Keeps the weights at the beginning and at the end of every training."""

    def __init__(self):
        self.kept = []

    def on_train_begin(self, args, state, control, *, model, **_):
        self.kept.append({name: weight.clone() for name, weight in model.state_dict().items()})

    on_train_end = on_train_begin


CRITIC = {f"adversary.{name}" for name in Critic(1, 1).state_dict()}


def test_infobert_s_critic_is_trained_with_the_model_and_then_leaves_it(tmp_path):
    watch = Weights()
    trainer = trainer_of(
        tmp_path, tiny.adversary("infobert"), callbacks=[watch], max_steps=2, weight_decay=0.0
    )
    bare = trainer.model.state_dict().keys()
    for _ in range(2):
        trainer.train()
        assert trainer.model.state_dict().keys() == bare
        assert not any("adversary" in name for name, _ in trainer.model.named_modules())
    before, after, before_again, after_again = watch.kept
    assert before.keys() == bare | CRITIC
    for name in CRITIC:
        assert not torch.equal(before[name], after[name]), name
        assert torch.equal(after[name], before_again[name]), name
        assert not torch.equal(before_again[name], after_again[name]), name


def test_infobert_s_critic_is_in_checkpoints_and_leaves_an_interrupted_model(tmp_path):
    model = tiny.classifier()
    bare = model.state_dict().keys()
    trainer = trainer_of(
        tmp_path,
        tiny.adversary("infobert"),
        model=model,
        save_strategy="steps",
        save_steps=2,
        callbacks=[tiny.Interrupt(3)],
    )
    with pytest.raises(KeyboardInterrupt):
        trainer.train()
    assert model.state_dict().keys() == bare
    assert load_file(tmp_path / "checkpoint-2" / "model.safetensors").keys() == bare | CRITIC


def test_infobert_s_critic_depends_on_the_seed_alone_and_draws_no_one_else_s_numbers(tmp_path):
    critics, drawn = [], []
    for seed, drawn_before in ((1, 0), (1, 5), (2, 0)):
        watch = Weights()
        torch.rand(drawn_before)
        trainer_of(tmp_path, tiny.adversary("infobert"), seed=seed, max_steps=1, callbacks=[watch]).train()
        critics.append({name: watch.kept[0][name] for name in CRITIC})
        trainer_of(tmp_path, tiny.adversary("infobert"), seed=1)
        drawn.append(torch.rand(3))
        trainer_of(tmp_path, None, seed=1)
        assert torch.equal(drawn[-1], torch.rand(3))
    assert_same_weights(critics[0], critics[1])
    assert not any(torch.equal(critics[0][name], critics[2][name]) for name in CRITIC)


@pytest.mark.parametrize("name", [None, "freelb", "infobert"], ids=str)
def test_a_tokenizer_that_pads_on_the_left_trains_as_one_that_pads_on_the_right(tmp_path, name, caplog):
    def train(side):
        tokenizer, model = tiny.tokenizer(), tiny.classifier()
        tokenizer.padding_side = side
        trainer = AdversarialTrainer(
            model,
            tiny.arguments(tmp_path, max_steps=2),
            adversary=adversary_of(name),
            train_dataset=tiny.dataset(),
            processing_class=tokenizer,
        )
        trainer.train()
        assert tokenizer.padding_side == side
        return dict(model.state_dict()), trainer.predict(tiny.dataset(8, seed=2)).predictions

    left, right = train("left"), train("right")
    assert_close(left, right, rtol=0, atol=0)
    said = [entry.getMessage() for entry in caplog.records if "padded on the right" in entry.getMessage()]
    assert len(said) == 1


def test_the_card_tells_of_the_adversary_and_the_ticket(tmp_path):
    ticket = models.ticket("bert")
    trainer = trainer_of(tmp_path, FreeLB(steps=3), model=prune(models.classifier("bert"), ticket))
    trainer.create_model_card(tags="mine", license="mit")
    card = ModelCard.load(tmp_path / "README.md")
    assert {"mine", "generated_from_trainer", "earlyrobust"} <= set(card.data.tags)
    assert card.data.license == "mit"
    assert "- Adversary in the training step: FreeLB (step_size 0.01" in card.text
    assert "- Noise in the training texts: none" in card.text
    assert f"- Ticket: {ticket.summary}" in card.text
    assert "import earlyrobust" in card.text
    headings = [line for line in card.text.splitlines() if line.startswith("## ")]
    assert headings.index("## Robustness") == headings.index("## Training procedure") - 1
    trainer.create_model_card()  # again, as at the next push
    assert (tmp_path / "README.md").read_text(encoding="utf-8").count("## Robustness") == 1
    plain = trainer_of(tmp_path / "plain", None)
    plain.create_model_card()
    text = (tmp_path / "plain" / "README.md").read_text(encoding="utf-8")
    assert "- Adversary in the training step: none" in text
    assert "import earlyrobust" not in text


# Trainings that a user has changed.


class _OwnBatches(AdversarialTrainer):
    def get_train_dataloader(self):
        rows = self.train_dataset.remove_columns("length")
        collator = DataCollatorWithPadding(tiny.tokenizer(), padding="max_length", max_length=16)
        return DataLoader(rows, batch_size=4, shuffle=True, collate_fn=collator)


class _OwnOrder(AdversarialTrainer):
    def _get_train_sampler(self, *_):
        return WeightedRandomSampler([1.0] * 32, 32)


@pytest.mark.parametrize("kind", [_OwnBatches, _OwnOrder])
def test_replays_of_other_batches_are_refused(tmp_path, kind):
    trainer = kind(
        tiny.classifier(),
        tiny.arguments(tmp_path),
        adversary=FreeAT(replays=3),
        train_dataset=tiny.dataset(),
        processing_class=tiny.tokenizer(),
    )
    with pytest.raises(ConfigError, match=r"replays each batch, but the next batch has other tokens: let"):
        trainer.train()


@pytest.mark.parametrize("chosen", [{}, {"num_train_epochs": 3}])
def test_a_trial_takes_its_epochs_and_keeps_its_checkpoints(tmp_path, monkeypatch, chosen):
    """The trial that Weights & Biases' search starts; its package is not needed for that."""
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(run=SimpleNamespace(id="abc")))
    steps = []
    for adversary in (None, FreeAT(replays=3)):
        trainer = AdversarialTrainer(
            None,
            tiny.arguments(tmp_path, num_train_epochs=3, save_strategy="steps", save_steps=12),
            model_init=lambda *_: tiny.classifier(),
            adversary=adversary,
            train_dataset=tiny.dataset(),
            processing_class=tiny.tokenizer(),
        )
        trainer.hp_search_backend, trainer.hp_name = HPSearchBackend.WANDB, None
        trainer.compute_objective = lambda _: 0.0
        trainer.train(trial={"learning_rate": 1e-3, **chosen})
        steps.append(trainer.state.global_step)
    assert steps == [24, 24]
    assert get_last_checkpoint(tmp_path) is None
    assert (tmp_path / "run-abc" / "checkpoint-12" / "sums.json").is_file()


@every_training
def test_a_batch_whose_labels_are_all_ignored_changes_nothing(tmp_path, name):
    rows = tiny.dataset(8)
    ignored = rows.map(lambda row, index: {"labels": -100 if index < 4 else row["labels"]}, with_indices=True)
    settings = {"train_sampling_strategy": "sequential", "max_steps": 1, "learning_rate": 0.1}
    model = tiny.classifier()
    before = {key: weight.clone() for key, weight in model.state_dict().items()}
    adversary = None if name is None else tiny.make(name, PLAIN[name])
    trainer_of(tmp_path, adversary, model=model, train_dataset=ignored, **settings).train()
    after = model.state_dict()
    assert all(torch.equal(weight, after[key]) for key, weight in before.items())


def test_a_module_without_a_configuration_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"this one is a Linear without a configuration: give it a"):
        trainer_of(tmp_path, None, model=torch.nn.Linear(2, 2))


@pytest.mark.parametrize("logging_steps", [100, 2])
def test_a_resumed_training_reports_the_mean_loss_of_its_own_steps(tmp_path, logging_steps):
    """As Trainer does: of the steps after the checkpoint."""
    told = []
    for kind in (Trainer, AdversarialTrainer):
        folder = tmp_path / kind.__name__
        settings = {"save_strategy": "steps", "save_steps": 6, "max_steps": 8, "logging_steps": logging_steps}
        trainer_of(folder, None, trainer_class=kind, **settings).train()
        again = trainer_of(folder, None, trainer_class=kind, **settings)
        told.append(again.train(resume_from_checkpoint=str(folder / "checkpoint-6")).training_loss)
    assert told[1] == pytest.approx(told[0])
