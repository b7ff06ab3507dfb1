import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from torch.testing import assert_close
from torch.utils.data import DataLoader
from transformers import DataCollatorWithPadding, TrainerCallback

from earlyrobust.adversarial import FreeLB
from earlyrobust.errors import ConfigError, TicketError, TrainingError
from earlyrobust.search import EarlyBERTConfig, EarlyBERTSearch, EarlyRobustSearch, SearchConfig
from earlyrobust.search.convergence import MaskHistory
from earlyrobust.search.robust_ticket import RobustTicketConfig
from earlyrobust.search.schedule import search_arguments
from earlyrobust.settling import SettlingRule
from earlyrobust.tickets.drawing import draw_mask
from earlyrobust.tickets.ticket import Ticket
from earlyrobust.trainer import AdversarialTrainer

ADVERSARY = FreeLB(steps=2)
# Miniepochs of two steps; an epoch of the 64 examples has 16.
CONFIG = SearchConfig(head_ratio=1 / 4, neuron_ratio=0.3, min_steps=2)


def search_of(folder, config=CONFIG, *, kind=EarlyRobustSearch, model=None, dataset=None, **changes):
    names = ("adversary", "callbacks", "on_miniepoch", "continued", "eval_dataset", "trainer_class")
    own = {name: changes.pop(name) for name in names if name in changes}
    return kind(
        model or tiny.classifier(dropout=0.1),
        tiny.arguments(folder, **changes),
        dataset or tiny.dataset(64),
        config=config,
        processing_class=tiny.tokenizer(),
        **{"adversary": ADVERSARY, **own},
    )


def assert_same_ticket(one, other):
    for name in ("heads", "neurons", "head_scores", "neuron_scores"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    for name in ("head_masks", "neuron_masks"):
        assert np.array_equal(getattr(one.trace, name), getattr(other.trace, name)), name
    for name in ("miniepochs", "stop_reason", "epochs", "steps_per_miniepoch", "steps_per_epoch"):
        assert getattr(one.trace, name) == getattr(other.trace, name), name
    assert one.origin == other.origin


class Record(TrainerCallback):
    def __init__(self):
        self.learning_rates = []
        self.weights = []
        self.gradients = []

    def on_pre_optimizer_step(self, args, state, control, *, model, optimizer, **_):
        self.learning_rates.append([group["lr"] for group in optimizer.param_groups])
        self.weights.append({name: weight.detach().clone() for name, weight in model.named_parameters()})
        self.gradients.append({name: weight.grad.clone() for name, weight in model.named_parameters()})


def test_masks_that_always_count_as_settled_stop_the_search_after_six_miniepochs(tmp_path):
    seen = []
    search = search_of(tmp_path, replace(CONFIG, gamma=1.0), on_miniepoch=seen.append)
    ticket = search.run()
    trace = ticket.trace
    assert trace.stop_reason == "converged"
    assert [miniepoch.step for miniepoch in trace.miniepochs] == [2, 4, 6, 8, 10, 12]
    assert [miniepoch.streak for miniepoch in trace.miniepochs] == [0, 1, 2, 3, 4, 5]
    assert tuple(seen) == trace.miniepochs
    assert search.trainer.state.global_step == 12
    assert (trace.steps_per_epoch, trace.steps_per_miniepoch, trace.epochs) == (16, 2, 12 / 16)


@pytest.mark.parametrize(("epochs", "steps"), [(1.0, 16), (0.7, 12), (1.5, 24)])
def test_masks_that_never_count_as_settled_use_up_the_epochs(tmp_path, epochs, steps):
    search = search_of(tmp_path, replace(CONFIG, gamma=0.0, max_epochs=epochs))
    trace = search.run().trace
    assert trace.stop_reason == "limit"
    assert search.trainer.state.global_step == steps
    assert len(trace.miniepochs) == steps // 2
    assert {miniepoch.streak for miniepoch in trace.miniepochs} == {0}
    assert trace.epochs == steps / 16


def test_patience_is_the_number_of_settled_miniepochs(tmp_path):
    trace = search_of(tmp_path, replace(CONFIG, gamma=1.0, patience=2)).run().trace
    assert [miniepoch.streak for miniepoch in trace.miniepochs] == [0, 1, 2]


def test_the_trace_holds_the_distances_of_its_consecutive_masks(tmp_path):
    config = replace(CONFIG, gamma=0.0, head_ratio=0.5)
    trace = search_of(tmp_path, config, learning_rate=0.05).run().trace
    first, *rest = trace.miniepochs
    assert (first.heads, first.neurons) == (None, None)
    for index, miniepoch in enumerate(rest, start=1):
        for name, masks in (("heads", trace.head_masks), ("neurons", trace.neuron_masks)):
            moved = np.count_nonzero(masks[index] ^ masks[index - 1])
            assert getattr(miniepoch, name) == pytest.approx(moved / masks[index].size)
    assert any(miniepoch.heads for miniepoch in rest)
    assert any(miniepoch.neurons for miniepoch in rest)


def test_the_ticket_cuts_exactly_its_ratios_by_the_final_coefficients(tmp_path):
    ticket = search_of(tmp_path, replace(CONFIG, gamma=1.0)).run()
    for masks in (ticket.heads[None], ticket.trace.head_masks):
        assert {int((~mask).sum()) for mask in masks} == {2}
    for masks in (ticket.neurons[None], ticket.trace.neuron_masks):
        assert {int((~mask).sum()) for mask in masks} == {12}
    assert np.array_equal(ticket.heads, ticket.trace.head_masks[-1])
    assert np.array_equal(ticket.neurons, ticket.trace.neuron_masks[-1])
    kept, cut = ticket.neuron_scores[ticket.neurons], ticket.neuron_scores[~ticket.neurons]
    assert np.abs(cut).max() <= np.abs(kept).min()


@pytest.mark.parametrize("max_epochs", [0.5, 0.05])
def test_coefficients_that_stay_equal_give_no_mask_and_no_ticket(tmp_path, max_epochs):
    seen = []
    config = replace(CONFIG, gamma=1.0, max_epochs=max_epochs)
    search = search_of(tmp_path, config, learning_rate=0.0, on_miniepoch=seen.append)
    with pytest.raises(TicketError, match="all equal"):
        search.run()
    assert len(seen) == (4 if max_epochs == 0.5 else 0)
    assert all((one.heads, one.neurons, one.streak) == (None, None, 0) for one in seen)


def test_a_search_that_diverges_gives_no_ticket(tmp_path):
    with pytest.raises(TrainingError, match="its loss is nan at step 2"):
        search_of(tmp_path, learning_rate=math.inf, max_grad_norm=0.0).run()


def test_an_epoch_shorter_than_a_miniepoch_still_gives_a_ticket(tmp_path):
    config = replace(CONFIG, min_steps=50)
    trace = search_of(tmp_path, config, save_strategy="steps", save_steps=10).run().trace
    assert (trace.miniepochs, trace.stop_reason, trace.epochs) == ((), "limit", 1.0)
    assert trace.head_masks.shape == (0, tiny.LAYERS, tiny.HEADS)


@pytest.mark.parametrize(
    ("min_steps", "steps_per_epoch", "expected"),
    [(20, 16, 20), (20, 400, 20), (20, 420, 21), (1, 400, 20), (1, 3, 1), (1, 1000, 50)],
)
def test_a_miniepoch_is_a_twentieth_of_an_epoch_but_not_too_short(min_steps, steps_per_epoch, expected):
    assert SearchConfig(min_steps=min_steps).steps_per_miniepoch(steps_per_epoch) == expected


@pytest.mark.parametrize(
    ("examples", "batch", "accumulation", "steps"),
    [(64, 4, 1, 16), (65, 4, 1, 17), (65, 4, 3, 6), (3, 8, 2, 1)],
)
def test_counts_the_optimiser_steps_of_an_epoch_as_trainer_does(
    tmp_path, examples, batch, accumulation, steps
):
    search = search_of(
        tmp_path,
        replace(CONFIG, gamma=0.0),
        dataset=tiny.dataset(examples),
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
    )
    trace = search.run().trace
    assert (trace.steps_per_epoch, search.trainer.state.global_step, trace.epochs) == (steps, steps, 1.0)


@pytest.mark.parametrize("drop_last", [False, True])
def test_an_incomplete_last_batch_counts_only_if_it_is_trained_on(tmp_path, drop_last):
    search = search_of(
        tmp_path, replace(CONFIG, gamma=0.0), dataset=tiny.dataset(31), dataloader_drop_last=drop_last
    )
    trace = search.run().trace
    assert trace.steps_per_epoch == search.trainer.state.global_step == (7 if drop_last else 8)
    assert trace.epochs == 1.0


def masks(*kept):
    """Masks of one layer of ten heads and of ten neurons, from how many of each are kept."""
    return tuple(np.arange(10)[None] < count for count in kept)


UNDECIDED = (0, 0)
STREAKS = {
    "settles": ([(5, 5), (5, 5), (5, 5)], [None, 0, 0], [0, 1, 2]),
    "at gamma is not below it": ([(5, 5), (6, 5), (6, 5)], [None, 0.1, 0], [0, 0, 1]),
    "neurons alone move": ([(5, 5), (5, 5), (5, 8), (5, 8)], [None, 0, 0, 0], [0, 1, 0, 1]),
    "heads alone move": ([(5, 5), (5, 5), (8, 5), (8, 5)], [None, 0, 0.3, 0], [0, 1, 0, 1]),
    "undecided at first": ([UNDECIDED, UNDECIDED, (5, 5), (5, 5)], [None, None, None, 0], [0, 0, 0, 1]),
    "undecided in the middle": (
        [(5, 5), (5, 5), UNDECIDED, (5, 5), (5, 5)],
        [None, 0, None, None, 0],
        [0, 1, 0, 0, 1],
    ),
    "compares consecutive masks": ([(5, 5), (6, 5), (5, 5), (5, 5)], [None, 0.1, 0.1, 0], [0, 0, 0, 1]),
}


@pytest.mark.parametrize(("kept", "heads", "streaks"), STREAKS.values(), ids=STREAKS)
def test_the_streak_counts_settled_miniepochs_in_a_row(kept, heads, streaks):
    history = MaskHistory(limit=8, layers=1, heads=10, neurons=10)
    for index, pair in enumerate(kept):
        history.append(7 * (index + 1), *masks(*pair))
    miniepochs = history.miniepochs(SettlingRule(gamma=0.1, patience=5))
    assert len(history) == len(kept)
    assert [miniepoch.step for miniepoch in miniepochs] == [7 * (index + 1) for index in range(len(kept))]
    assert [miniepoch.heads for miniepoch in miniepochs] == pytest.approx(heads)
    assert [miniepoch.streak for miniepoch in miniepochs] == streaks


@pytest.mark.parametrize("gamma", [0.0, 1.0])
def test_afterwards_nothing_of_the_search_is_left_on_the_model(tmp_path, gamma):
    model = tiny.classifier()
    fresh = tiny.classifier()
    search_of(tmp_path, replace(CONFIG, gamma=gamma), model=model).run()
    assert model.state_dict().keys() == fresh.state_dict().keys()
    assert [name for name, _ in model.named_modules()] == [name for name, _ in fresh.named_modules()]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert any(
        not torch.equal(ours, theirs) for ours, theirs in zip(*map(weights, (model, fresh)), strict=True)
    )
    fresh.load_state_dict(model.state_dict())
    batch = tiny.batch()
    assert torch.equal(model.eval()(**batch).logits, fresh.eval()(**batch).logits)


def weights(model):
    return list(model.parameters())


def test_the_learning_rate_stays_constant(tmp_path):
    watch = Record()
    search_of(
        tmp_path, replace(CONFIG, gamma=0.0), callbacks=[watch], lr_scheduler_type="linear", warmup_steps=5
    ).run()
    assert watch.learning_rates == [[1e-2, 1e-2]] * 16


def test_weights_decay_but_coefficients_do_not(tmp_path):
    rate, decay = 1e-2, 0.5
    watch = Record()
    search_of(
        tmp_path,
        CONFIG,
        callbacks=[watch],
        learning_rate=rate,
        weight_decay=decay,
        max_grad_norm=0.0,
    ).run()
    before, after = watch.weights[:2]
    gradients = watch.gradients[0]
    decaying = {"classifier.weight", "bert.encoder.layer.0.intermediate.dense.weight"}
    for name in decaying | {"importance.heads", "importance.neurons", "classifier.bias"}:
        kept = 1 - rate * decay if name in decaying else 1
        # The first step of AdamW moves every weight by the learning rate, against its gradient's sign.
        moved = rate * gradients[name] / (gradients[name].abs() + 1e-8)
        assert_close(after[name], kept * before[name] - moved, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("adversary", [None, ADVERSARY], ids=["plain", "freelb"])
def test_the_penalties_shrink_the_coefficients_they_weigh(tmp_path, adversary):
    def sizes(**penalties):
        config = replace(CONFIG, gamma=0.0, **{"head_penalty": 0.0, "neuron_penalty": 0.0, **penalties})
        ticket = search_of(tmp_path, config, adversary=adversary, max_grad_norm=0.0).run()
        return np.abs(ticket.head_scores).mean(), np.abs(ticket.neuron_scores).mean()

    heads, neurons = sizes()
    fewer_heads, same_neurons = sizes(head_penalty=1.0)
    same_heads, fewer_neurons = sizes(neuron_penalty=1.0)
    assert fewer_heads < 0.9 < min(heads, same_heads)
    assert fewer_neurons < 0.9 < min(neurons, same_neurons)


@pytest.mark.parametrize(
    ("setting", "ratio"),
    [
        ("head_ratio", 1.0),
        ("neuron_ratio", 1.5),
        ("head_ratio", -0.1),
        ("neuron_ratio", math.nan),
        ("head_ratio", 0.9),  # would leave one of two layers without a head
        ("neuron_ratio", 0.98),
    ],
)
def test_refuses_ratios_that_cannot_be_cut_before_it_touches_the_model(tmp_path, setting, ratio):
    model = tiny.classifier()
    names = model.state_dict().keys()
    with pytest.raises(ConfigError, match=r"^A ratio of .* choose .*\.$"):
        search_of(tmp_path, replace(CONFIG, **{setting: ratio}), model=model)
    assert model.state_dict().keys() == names
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("sampling", ["random", "group_by_length"])
@pytest.mark.parametrize(("gamma", "steps"), [(1.0, 12), (0.0, 24)])
@pytest.mark.parametrize("saved_at", [5, 9])
def test_an_interrupted_search_resumes_bit_for_bit(tmp_path, sampling, gamma, steps, saved_at):
    # An epoch has eight optimiser steps of two batches each: the checkpoint is in the first or the second.
    config = replace(CONFIG, gamma=gamma, max_epochs=3.0)

    def search(resume=None, **changes):
        searching = search_of(
            tmp_path, config, train_sampling_strategy=sampling, gradient_accumulation_steps=2, **changes
        )
        ticket = searching.run(resume)
        assert searching.trainer.state.global_step == steps
        return ticket, searching.trainer.model.state_dict()

    whole, weights = search()
    with pytest.raises(KeyboardInterrupt):
        search(save_strategy="steps", save_steps=saved_at, callbacks=[tiny.Interrupt(saved_at + 1)])
    resumed, resumed_weights = search(resume=tmp_path / f"checkpoint-{saved_at}")
    assert_same_ticket(resumed, whole)
    assert [name for name in weights if not torch.equal(weights[name], resumed_weights[name])] == []


@pytest.mark.parametrize(
    "stop", [{"gamma": 1.0}, {"gamma": 0.0, "max_epochs": 0.75}], ids=["converged", "limit"]
)
@pytest.mark.parametrize(("saving", "expected"), [("steps", {4, 8}), ("epoch", set())])
def test_no_checkpoint_would_resume_past_the_stop(tmp_path, stop, saving, expected):
    search = search_of(tmp_path, replace(CONFIG, **stop), save_strategy=saving, save_steps=4)
    search.run()
    assert search.trainer.state.global_step == 12
    assert {int(folder.name.split("-")[1]) for folder in tmp_path.glob("checkpoint-*")} == expected


SCOPES = ["global", "layerwise"]


@pytest.mark.parametrize("neuron_scope", SCOPES)
@pytest.mark.parametrize("head_scope", SCOPES)
def test_all_masks_are_drawn_by_their_scopes(tmp_path, head_scope, neuron_scope):
    config = replace(
        CONFIG, gamma=0.0, head_ratio=0.5, head_scope=head_scope, neuron_scope=neuron_scope, max_epochs=0.5
    )
    watch = Record()
    ticket = search_of(tmp_path, config, callbacks=[watch], learning_rate=0.05).run()
    assert np.array_equal(ticket.heads, draw_mask(ticket.head_scores, 0.5, head_scope))
    assert np.array_equal(ticket.neurons, draw_mask(ticket.neuron_scores, 0.3, neuron_scope))
    # The coefficients that a mask of the trace was drawn from are those before the next step.
    for part, drawn, ratio, scope in (
        ("heads", ticket.trace.head_masks, 0.5, head_scope),
        ("neurons", ticket.trace.neuron_masks, 0.3, neuron_scope),
    ):
        scores = [weights[f"importance.{part}"].numpy() for weights in watch.weights[2::2]]
        assert len(drawn) == len(scores) + 1 == 4
        for mask, before in zip(drawn, scores, strict=False):
            assert np.array_equal(mask, draw_mask(before, ratio, scope))
        cut = {tuple((~mask).sum(axis=1)) for mask in drawn}
        assert (cut == {(2, 2) if part == "heads" else (6, 6)}) == (scope == "layerwise")


def test_earlybert_is_the_search_without_an_adversary(tmp_path):
    config = EarlyBERTConfig(
        **{**vars(CONFIG), "head_scope": "layerwise", "draw_after": 0.5, "neuron_penalty": 1e-4}
    )
    plain = SearchConfig(**vars(config))
    earlybert, own = Record(), Record()
    theirs = search_of(tmp_path, config, kind=EarlyBERTSearch, adversary=None, callbacks=[earlybert]).run()
    ours = search_of(tmp_path, plain, adversary=None, callbacks=[own]).run()
    assert theirs.origin.pop("method") == "earlybert"
    assert ours.origin.pop("method") == "earlyrobust"
    assert_same_ticket(theirs, ours)
    assert_close(earlybert.weights, own.weights, rtol=0, atol=0)
    assert_close(earlybert.gradients, own.gradients, rtol=0, atol=0)


def test_earlybert_perturbs_nothing_unless_asked_to(tmp_path):
    def earlybert(**adversary):
        return EarlyBERTSearch(
            tiny.classifier(), tiny.arguments(tmp_path), tiny.dataset(64), config=config, **adversary
        )

    config = EarlyBERTConfig(min_steps=2)
    assert EarlyBERTSearch.default_adversary is None
    assert earlybert().trainer.adversary is None
    assert earlybert(adversary=ADVERSARY).trainer.adversary is ADVERSARY
    assert isinstance(EarlyRobustSearch.default_adversary, FreeLB)


@pytest.mark.parametrize(
    ("settings", "steps", "reason"),
    [
        ({}, 4, "fixed"),
        ({"gamma": 1.0, "patience": 1}, 4, "fixed"),  # settled after two steps already
        ({"draw_after": 1.5, "gamma": 1.0}, 24, "fixed"),
        ({"draw_after": None, "gamma": 1.0}, 12, "converged"),
        ({"draw_after": None, "gamma": 0.0}, 16, "limit"),
        ({"draw_after": None, "gamma": 0.0, "max_epochs": 0.5}, 8, "limit"),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [EarlyBERTSearch, EarlyRobustSearch])
def test_a_ticket_is_drawn_after_a_fixed_time_or_when_its_masks_have_settled(
    tmp_path, kind, settings, steps, reason
):
    # A fifth of the 16 steps, rounded up, is EarlyBERT's own.
    config = EarlyBERTConfig(**{"min_steps": 2, "head_ratio": 1 / 4, **settings})
    search = search_of(tmp_path, SearchConfig(**vars(config)), kind=kind, adversary=None)
    ticket = search.run()
    assert search.trainer.state.global_step == steps
    assert (ticket.trace.stop_reason, ticket.trace.epochs) == (reason, steps / 16)
    assert [miniepoch.step for miniepoch in ticket.trace.miniepochs] == list(range(2, steps + 1, 2))
    assert (~ticket.heads).sum(axis=1).tolist() == [1, 1]
    assert int((~ticket.neurons).sum()) == 12
    ticket.save_pretrained(tmp_path / "ticket")
    assert_same_ticket(Ticket.from_pretrained(tmp_path / "ticket"), ticket)


def test_earlybert_differs_from_the_robust_search_in_these_settings_alone():
    ours, theirs = vars(SearchConfig()), vars(EarlyBERTConfig())
    assert {name: theirs[name] for name in theirs if theirs[name] != ours[name]} == {
        "head_penalty": 1e-4,
        "neuron_penalty": 1e-4,
        "head_scope": "layerwise",
        "draw_after": 0.2,
    }


@pytest.mark.parametrize(("began", "continued"), [(0.5, 1.0), (2.0, 1.0)])
def test_a_search_goes_on_under_another_limit_than_it_began_with(tmp_path, began, continued):
    def search(epochs, resume=None, **changes):
        config = replace(CONFIG, gamma=0.0, max_epochs=epochs)
        return search_of(tmp_path, config, learning_rate=0.05, **changes).run(resume)

    with pytest.raises(KeyboardInterrupt):
        search(began, save_strategy="steps", save_steps=4, callbacks=[tiny.Interrupt(5)])
    checkpoint = tmp_path / "checkpoint-4"
    assert_same_ticket(search(continued, checkpoint), search(continued))
    with pytest.raises(ConfigError, match=r"^The checkpoint holds 2 miniepochs of a search, .*\.$"):
        search(2 / 16, checkpoint)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "masks need at least 0.9 epochs to settle, but the search stops after 0.8, even if"),
        ({"patience": 40}, "masks need at least 5.3 epochs to settle"),
        ({"min_steps": 20}, "An epoch of these texts has 16 steps and a miniepoch 20"),
        ({"max_epochs": 0.875}, None),
        ({"draw_after": 0.5}, None),
    ],
    ids=str,
)
def test_a_limit_within_which_masks_cannot_settle_is_said(tmp_path, caplog, changes, said):
    config = replace(CONFIG, max_epochs=0.8)
    search_of(tmp_path, replace(config, **changes), learning_rate=0.05).run()
    told = [entry.getMessage() for entry in caplog.records if "to settle" in entry.getMessage()]
    assert len(told) == (said is not None)
    assert said is None or said in told[0]


# Searches that a user has changed, or repeats.


@pytest.mark.parametrize("settling", ["streak", "window"])
def test_a_second_search_leaves_the_first_ticket_alone(tmp_path, settling):
    config = replace(CONFIG, settling=settling, patience=2, gamma=0.6)
    search = search_of(tmp_path, config)
    first = search.run()
    kept = copy.deepcopy(first)
    search.run()
    assert_same_ticket(first, kept)
    assert first == kept


class _TwoRows(AdversarialTrainer):
    def get_train_dataloader(self):
        rows = self.train_dataset.remove_columns("length")
        return DataLoader(rows, batch_size=2, collate_fn=DataCollatorWithPadding(tiny.tokenizer()))


def test_batches_of_another_size_than_the_search_counts_are_refused(tmp_path):
    search = search_of(tmp_path, trainer_class=_TwoRows)
    with pytest.raises(ConfigError, match=r"gives 32 batches in an epoch, but a search counts 16 steps"):
        search.run()
    assert search_of(tmp_path, trainer_class=_TwoRows, per_device_train_batch_size=2).run().trace is not None


def test_a_search_that_a_callback_ends_says_so(tmp_path):
    class Ends(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            control.should_training_stop = state.global_step == 6

    ticket = search_of(tmp_path, replace(CONFIG, gamma=0.0), callbacks=[Ends()]).run()
    assert ticket.trace.stop_reason == "callback"
    ticket.save_pretrained(tmp_path)
    assert Ticket.from_pretrained(tmp_path) == ticket


def test_a_search_pushes_nothing_to_the_hub(tmp_path):
    assert search_arguments(tiny.arguments(tmp_path, push_to_hub=True), 1.0).push_to_hub is False


def test_only_a_continued_search_that_has_run_writes_a_checkpoint(tmp_path):
    search = search_of(tmp_path)
    ticket = search.run()
    with pytest.raises(
        ConfigError, match=r"EarlyRobustSearch\(..., continued=True\), and call run\(\) first"
    ):
        search.save_checkpoint(ticket, tmp_path)
    with pytest.raises(ConfigError, match=r"and call run\(\) first"):
        search_of(tmp_path, continued=True).save_checkpoint(ticket, tmp_path)


@pytest.mark.parametrize("config", [{}, RobustTicketConfig()])
def test_settings_of_another_kind_are_refused(tmp_path, config):
    with pytest.raises(ConfigError, match=r"^EarlyRobustSearch takes a SearchConfig, not .*\.$"):
        search_of(tmp_path, config)


@pytest.mark.parametrize("setting", [{"min_steps": 2.0}, {"patience": 2.5}, {"neuron_multiple": True}])
def test_counts_that_are_no_whole_numbers_are_refused(setting):
    with pytest.raises(ConfigError, match=r"but must be a whole number\.$"):
        SearchConfig(**setting)
