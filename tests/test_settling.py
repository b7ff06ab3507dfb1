"""When masks count as settled: both rules against slow references, and searches that stop by them."""

import math
from dataclasses import replace

import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from test_search import CONFIG, Record, assert_same_ticket, search_of

from earlyrobust.errors import ConfigError
from earlyrobust.reports.numbers import describe_stop
from earlyrobust.reports.runs import settling_headline
from earlyrobust.results import SearchRecord
from earlyrobust.search import SearchConfig
from earlyrobust.search.convergence import MaskHistory
from earlyrobust.settling import SettlingRule
from earlyrobust.tickets.drawing import draw_mask
from earlyrobust.tickets.ticket import Ticket

# Each mask is a number of kept entries of ten; None where there is no mask yet.
SEQUENCES = st.lists(st.one_of(st.none(), st.tuples(st.integers(4, 7), st.integers(4, 7))), max_size=14)


def near(sequence, first, second, gamma):
    if sequence[first] is None or sequence[second] is None:
        return False
    return all(abs(a - b) / 10 < gamma for a, b in zip(sequence[first], sequence[second], strict=True))


def met(sequence, gamma, patience, settling):
    """Every end at which a rule holds, with its start: read off the rule's words, start by start."""
    for end in range(patience, len(sequence)):
        start = end - patience
        later = range(start + 1, end + 1)
        before = [start] * patience if settling == "window" else range(start, end)
        if all(near(sequence, one, other, gamma) for one, other in zip(before, later, strict=True)):
            yield start, end


def history_of(sequence):
    history = MaskHistory(limit=len(sequence) + 1, layers=1, heads=10, neurons=10)
    for index, kept in enumerate(sequence):
        masks = [np.arange(10)[None] < (0 if kept is None else count) for count in kept or (0, 0)]
        history.append(3 * (index + 1), *masks)
    return history


@given(
    sequence=SEQUENCES,
    gamma=st.sampled_from([0.0, 0.05, 0.15, 0.25]),
    patience=st.integers(1, 6),
    settling=st.sampled_from(["streak", "window"]),
)
def test_masks_settle_when_the_rule_is_first_met_and_not_before(sequence, gamma, patience, settling):
    rule = SettlingRule(gamma, patience, settling)
    seen = history_of(sequence).miniepochs(rule)
    expected = list(met(sequence, gamma, patience, settling))
    assert rule.span([miniepoch.streak for miniepoch in seen]) == (expected[0] if expected else None)
    assert [place for place, one in enumerate(seen) if one.streak >= patience] == [end for _, end in expected]
    # A search that stops live sees the past alone.
    for count in range(len(sequence)):
        assert history_of(sequence[:count]).miniepochs(rule) == seen[:count]


def kept(*counts):
    return [None if count is None else (count, 5) for count in counts]


@pytest.mark.parametrize(
    ("sequence", "streak", "window"),
    [
        (kept(5, 5, 5, 5), (0, 3), (0, 3)),
        (kept(5, 9, 5, 5, 5, 5), (2, 5), (2, 5)),
        (kept(4, 5, 6, 7), (0, 3), None),  # each is close to the one before it alone
        (kept(4, 5, 6, 6, 6), (0, 3), (1, 4)),
        (kept(1, 4, 5, 4, 5, 4), (1, 4), (1, 4)),
        (kept(None, 5, 5, 5, 5), (1, 4), (1, 4)),
        (kept(5, 5, None, 5, 5, 5), None, None),
        (kept(5, 7, 9, 7, 5), None, None),
        (kept(4, 5, 4, 6, 5, 5, 6), (3, 6), (1, 4)),  # around the second mask, one far from the one before
        (kept(5, 5, 5), None, None),
    ],
)
def test_settled_masks_by_hand(sequence, streak, window):
    for settling, expected in (("streak", streak), ("window", window)):
        rule = SettlingRule(0.15, 3, settling)
        assert rule.span([one.streak for one in history_of(sequence).miniepochs(rule)]) == expected


WINDOW = replace(CONFIG, gamma=1.0, patience=2, settling="window", max_epochs=3.0)


def test_a_window_s_ticket_is_the_mask_at_its_start(tmp_path):
    watch = Record()
    search = search_of(tmp_path, WINDOW, callbacks=[watch], learning_rate=0.05)
    ticket = search.run()
    trace = ticket.trace
    assert search.trainer.state.global_step == 6
    assert (trace.stop_reason, trace.settled_since) == ("converged", 2 / 16)
    assert np.array_equal(ticket.neurons, trace.neuron_masks[0])
    assert not np.array_equal(trace.neuron_masks[0], trace.neuron_masks[-1])
    # Its coefficients are those after its own two steps, so that it can be redrawn at other ratios.
    after = {part: watch.weights[2][f"importance.{part}"].numpy() for part in ("heads", "neurons")}
    assert np.array_equal(ticket.head_scores, after["heads"])
    assert np.array_equal(ticket.neuron_scores, after["neurons"])
    assert np.array_equal(ticket.neurons, draw_mask(ticket.neuron_scores, 0.3))
    assert ticket.origin["search"]["settling"] == "window"
    ticket.save_pretrained(tmp_path / "ticket")
    assert_same_ticket(Ticket.from_pretrained(tmp_path / "ticket"), ticket)
    assert Ticket.from_pretrained(tmp_path / "ticket").trace.settled_since == 2 / 16
    record = SearchRecord.of(ticket)
    assert ": the masks have been settled since epoch 0.12." in describe_stop(record)
    assert settling_headline(record, 1.0, 2, "window").endswith(
        "both masks closer than γ to each of the next 2) was met by epoch 0.38: the masks have been "
        "settled since epoch 0.12."
    )


def test_by_a_streak_the_last_mask_is_drawn_and_the_start_recorded(tmp_path):
    trained = search_of(tmp_path, replace(WINDOW, settling="streak"), learning_rate=0.05)
    ticket = trained.run()
    assert trained.trainer.state.global_step == 6
    assert np.array_equal(ticket.neurons, ticket.trace.neuron_masks[-1])
    assert ticket.trace.settled_since == 2 / 16


@pytest.mark.parametrize("changes", [{"gamma": 0.0, "max_epochs": 0.5}, {"draw_after": 0.5}], ids=str)
def test_a_window_that_ends_nothing_leaves_the_last_mask_to_be_drawn(tmp_path, changes):
    ticket = search_of(tmp_path, replace(WINDOW, **changes), learning_rate=0.05).run()
    assert ticket.trace.stop_reason in ("limit", "fixed")
    assert np.array_equal(ticket.neurons, ticket.trace.neuron_masks[-1])
    assert ticket.trace.settled_since == (None if "gamma" in changes else 2 / 16)


@pytest.mark.parametrize("saved_at", [3, 6, 7])
def test_an_interrupted_search_by_windows_resumes_with_the_coefficients_it_kept(tmp_path, saved_at):
    config = replace(WINDOW, patience=3)  # stops after eight steps

    def search(resume=None, **changes):
        return search_of(tmp_path, config, learning_rate=0.05, **changes).run(resume)

    whole = search()
    with pytest.raises(KeyboardInterrupt):
        search(save_strategy="steps", save_steps=saved_at, callbacks=[tiny.Interrupt(saved_at + 1)])
    resumed = search(resume=tmp_path / f"checkpoint-{saved_at}")
    assert_same_ticket(resumed, whole)
    assert resumed.trace.settled_since == whole.trace.settled_since == 2 / 16


def test_the_coefficients_that_are_kept_are_few_and_none_by_streaks():
    for kept_scores in (0, 3):
        history = MaskHistory(limit=50, layers=2, heads=4, neurons=20, kept_scores=kept_scores)
        scores = {name for name in history.state_dict() if name.endswith("scores")}
        assert len(scores) == (2 if kept_scores else 0)
        assert all(len(history.state_dict()[name]) == 3 for name in scores)


@pytest.mark.parametrize("settling", ["Window", "", "both", None])
def test_refuses_a_rule_that_there_is_not(settling):
    with pytest.raises(ConfigError, match=r"^settling is '.*', but must be one of streak, window\.$"):
        SearchConfig(settling=settling)


def test_an_old_record_says_that_masks_settled_without_saying_since_when():
    record = SearchRecord("converged", 0.5, 100, 5, [], [], [])
    assert describe_stop(record).endswith(": the masks have settled.")
    assert math.isclose(record.epochs, 0.5)
