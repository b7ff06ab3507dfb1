"""Tickets as objects of study: overlaps, other ratios, merging, and the commands that show it."""

from __future__ import annotations

from pathlib import Path

import models
import numpy as np
import pytest
from conftest import QUICK, Outcome, call
from sklearn.metrics import jaccard_score

from earlyrobust.errors import ConfigError, TicketError
from earlyrobust.results import RunRecord
from earlyrobust.tickets.drawing import draw_at_random, draw_mask
from earlyrobust.tickets.study import compare_tickets, merge_tickets, redraw_ticket, scopes_of
from earlyrobust.tickets.ticket import Ticket
from earlyrobust.tickets.weight_ticket import WeightTicket


def scored(seed: int, heads: float = 0.25, neurons: float = 0.5, **parts: object) -> Ticket:
    """A ticket as a search leaves it: drawn from its coefficients."""
    random = np.random.default_rng(seed)
    shape = models.LAYERS, models.HEADS, models.NEURONS
    bare = Ticket(
        "bert",
        np.ones(shape[:2], bool),
        np.ones((shape[0], shape[2]), bool),
        head_scores=random.normal(size=shape[:2]).astype(np.float32),
        neuron_scores=random.normal(size=(shape[0], shape[2])).astype(np.float32),
        **parts,
    )
    return redraw_ticket(bare, heads, neurons)


def by_hand(scores: np.ndarray, ratio: float) -> np.ndarray:
    """Cut the smallest of all, where no layer loses its last entry by it."""
    cut = round(ratio * scores.size)
    mask = np.abs(scores) > np.sort(np.abs(scores), axis=None)[cut - 1]
    assert mask.any(axis=1).all(), "the case is one for `draw` alone"
    return mask


def test_other_ratios_need_no_other_search() -> None:
    ticket = scored(3, origin={"seed": 3})
    for ratio in (0.1, 0.4, 0.6):
        drawn = redraw_ticket(ticket, neurons=ratio)
        np.testing.assert_array_equal(drawn.heads, ticket.heads)
        np.testing.assert_array_equal(drawn.neurons, by_hand(ticket.neuron_scores, ratio))
        np.testing.assert_array_equal(drawn.neuron_scores, ticket.neuron_scores)
        assert drawn.origin["seed"] == 3
        assert drawn.origin["redrawn"]["neuron_ratio"] == ratio
    layered = redraw_ticket(ticket, heads=0.5, head_scope="layerwise")
    assert layered.heads_per_layer == [2, 2, 2]
    # The search's own way of ranking holds unless another is asked for.
    own = scored(3, 0.5, origin={"search": {"head_scope": "layerwise"}})
    assert own.heads_per_layer == [2, 2, 2]
    assert redraw_ticket(own, head_scope="global").heads_per_layer != [2, 2, 2]
    with pytest.raises(TicketError, match=r"^The ticket was not searched, .*\.$"):
        redraw_ticket(models.ticket("bert"), 0.5)
    with pytest.raises(ConfigError):
        redraw_ticket(ticket, heads=0.95)


def test_a_ticket_of_unknown_search_is_drawn_over_all_layers() -> None:
    scores = np.arange(1, 9, dtype=np.float32).reshape(2, 4)
    masks = np.ones((2, 4), np.bool_)
    ticket = Ticket("bert", masks, masks, scores, scores, origin={"search": ["head_scope"]})
    drawn = redraw_ticket(ticket, heads=0.25, neurons=0.25)
    assert (drawn.heads == (scores > 2)).all()


def test_overlap_is_that_of_sets() -> None:
    first, second = scored(1), scored(2)
    for name, found in zip(("heads", "neurons"), compare_tickets(first, second), strict=True):
        one, other = getattr(first, name), getattr(second, name)
        assert found.jaccard == pytest.approx(jaccard_score(one.flat, other.flat))
        assert found.distance == pytest.approx(np.count_nonzero(one ^ other) / one.size)
        assert -1 <= found.correlation <= 1
    same = compare_tickets(first, first)
    assert [(found.distance, found.jaccard, found.correlation) for found in same] == [
        (0, 1, pytest.approx(1))
    ] * 2
    assert [found.correlation for found in compare_tickets(first, models.ticket("bert"))] == [None, None]


def test_the_overlap_of_chance_is_that_of_random_tickets() -> None:
    shape, found = (models.LAYERS, 500), []
    for seed in range(40):
        masks = [
            draw_at_random(shape, ratio, "global", 100 * seed + step) for step, ratio in enumerate((0.3, 0.6))
        ]
        heads = np.ones((models.LAYERS, models.HEADS), bool)
        found.append(compare_tickets(*(Ticket("bert", heads, mask) for mask in masks))[1])
    assert np.mean([one.jaccard for one in found]) == pytest.approx(found[0].by_chance, abs=0.005)


def test_merging_by_hand() -> None:
    tickets = [scored(seed, origin={"seed": seed}) for seed in range(3)]
    either = merge_tickets(tickets[:2], "union")
    np.testing.assert_array_equal(either.neurons, tickets[0].neurons | tickets[1].neurons)
    alike = [tickets[0], redraw_ticket(tickets[0], 0.4, 0.6)]
    both = merge_tickets(alike, "intersection")
    np.testing.assert_array_equal(both.heads, alike[0].heads & alike[1].heads)
    assert both.head_scores is None
    means = merge_tickets(tickets)
    sizes = [np.abs(ticket.neuron_scores) / np.abs(ticket.neuron_scores).mean() for ticket in tickets]
    np.testing.assert_allclose(means.neuron_scores, np.mean(sizes, axis=0), rtol=1e-5)
    np.testing.assert_array_equal(means.neurons, by_hand(np.mean(sizes, axis=0), 0.5))
    assert means.head_sparsity == 0.25
    assert [origin["seed"] for origin in means.origin["merged"]] == [0, 1, 2]
    assert merge_tickets(tickets, neurons=0.75).neuron_sparsity == 0.75
    # A ticket merged with itself is itself, however large its coefficients are.
    louder = redraw_ticket(Ticket(**{**vars(tickets[0]), "neuron_scores": 9 * tickets[0].neuron_scores}))
    np.testing.assert_array_equal(merge_tickets([tickets[0], louder]).neurons, tickets[0].neurons)


def test_a_merged_ticket_is_drawn_in_the_scopes_of_its_parts() -> None:
    searched = [
        scored(seed, origin={"search": {"head_scope": heads, "neuron_scope": neurons}})
        for heads, neurons in (("layerwise", "global"), ("global", "layerwise"), ("layerwise", "layerwise"))
        for seed in (1, 2)
    ]
    for pair in (searched[:2], searched[2:4], searched[4:]):
        merged = merge_tickets(pair, heads=0.25, neurons=0.5)
        scopes = pair[0].origin["search"]
        for part, masks, scores, ratio in (
            ("head", merged.heads, merged.head_scores, 0.25),
            ("neuron", merged.neurons, merged.neuron_scores, 0.5),
        ):
            np.testing.assert_array_equal(masks, draw_mask(scores, ratio, scopes[f"{part}_scope"]))
            assert merged.origin["redrawn"][f"{part}_scope"] == scopes[f"{part}_scope"]
        assert len(set(merged.heads.sum(axis=1))) == 1 or scopes["head_scope"] == "global"
        assert (
            scopes_of(redraw_ticket(merge_tickets([merged, *pair]), 0.5))
            == scopes_of(merged)
            == scopes_of(pair[0])
        )
    with pytest.raises(TicketError, match="heads layerwise and neurons global; heads global and neurons lay"):
        merge_tickets(searched[1:3])
    alike = [redraw_ticket(ticket, head_scope="global", neuron_scope="global") for ticket in searched[1:3]]
    assert scopes_of(merge_tickets(alike)) == ("global", "global")
    assert merge_tickets(searched[1:3], "union").origin["method"] == "merged by union"


def test_what_cannot_be_merged_is_said() -> None:
    one = scored(1)
    disjoint = [Ticket("bert", np.eye(3, 4, k, dtype=bool), np.ones((3, 24), bool)) for k in (0, 1)]
    cases = {
        "One ticket cannot be merged": ([one], "scores"),
        "different architectures: 'bert' with 3 layers of 4 heads": (
            [one, models.ticket("roberta")],
            "union",
        ),
        "was not searched": ([one, models.ticket("bert")], "scores"),
        "nothing in common": (disjoint, "intersection"),
    }
    for message, (tickets, how) in cases.items():
        with pytest.raises(TicketError, match=message) as error:
            merge_tickets(tickets, how)
        assert str(error.value).endswith(".")
        assert str(error.value).count(". ") == 0


# The commands.


def test_show_tells_layers_and_where_a_ticket_is_from(finished: tuple[Path, Outcome]) -> None:
    folder = finished[0]
    ticket = Ticket.from_pretrained(folder / "ticket")
    outcome = call("ticket", "show", folder, folder / "model")
    assert outcome.code == 0
    assert outcome.out.count("fits  bert") == 2
    for kept in ticket.heads_per_layer:
        assert f"{kept}/{ticket.heads.shape[1]}" in outcome.out
    assert f"neurons  {ticket.neurons.sum()} of {ticket.neurons.size}" in outcome.out
    assert f"search  {ticket.trace.stop_reason} after" in outcome.out


def test_show_of_a_ticket_over_weights(tmp_path: Path) -> None:
    masks = {"a.weight": np.array([[True, False], [True, True]])}
    WeightTicket("bert", masks, {"method": "robust-ticket"}).save_pretrained(tmp_path)
    outcome = call("ticket", "show", tmp_path)
    assert "3 of 4 weights (75.0%)" in outcome.out
    assert "robust-ticket" in outcome.out
    for command in (("diff", tmp_path, tmp_path), ("draw", tmp_path, "--output", tmp_path / "new")):
        refused = call("ticket", *command)
        assert (refused.code, refused.out) == (2, "")
        assert "is over single weights" in refused.err


def test_diff_shows_every_pair(tmp_path: Path) -> None:
    for seed in range(3):
        scored(seed).save_pretrained(tmp_path / str(seed))
    outcome = call("ticket", "diff", *(tmp_path / str(seed) for seed in range(3)))
    assert outcome.code == 0
    facts = compare_tickets(scored(0), scored(2))[1]
    (line,) = [line for line in outcome.out.splitlines() if "1 and 3, neurons" in line]
    for value in (f"{facts.distance:.3f}", f"{facts.jaccard:.3f}", f"{facts.correlation:+.3f}"):
        assert value in line
    alone = call("ticket", "diff", tmp_path / "0")
    assert (alone.code, alone.out) == (2, "")


@pytest.mark.slow
def test_one_search_gives_tickets_of_many_ratios_to_fine_tune(
    finished: tuple[Path, Outcome], encoder: Path, reviews: Path, tmp_path: Path
) -> None:
    folder = finished[0]
    sizes = []
    for ratio in (0.2, 0.7):
        ticket = tmp_path / f"ticket-{ratio}"
        assert call("ticket", "draw", folder, "--neurons", ratio, "--output", ticket).code == 0
        options = ("--model", encoder, "--train-file", reviews, "--no-attack", *QUICK[:6])
        outcome = call("finetune", "--ticket", ticket, *options, "--output", tmp_path / f"run-{ratio}")
        assert outcome.code == 0, outcome
        record = RunRecord.load(tmp_path / f"run-{ratio}")
        assert record.config["neurons"] == pytest.approx(ratio, abs=0.01)
        sizes.append(record.model.parameters)
    assert sizes[0] > sizes[1]


def test_new_tickets_overwrite_nothing(tmp_path: Path) -> None:
    scored(0).save_pretrained(tmp_path / "old")
    before = (tmp_path / "old" / "ticket.json").read_bytes()
    cases = {
        "is not empty": ("draw", tmp_path / "old", "--heads", 0.5, "--output", tmp_path / "old"),
        "less than 1": ("draw", tmp_path / "old", "--heads", 1.5, "--output", tmp_path / "new"),
        "not merged by 'median'": (
            *("merge", tmp_path / "old", tmp_path / "old"),
            *("--how", "median", "--output", tmp_path / "new"),
        ),
        "leave --heads and --neurons out": (
            *("merge", tmp_path / "old", tmp_path / "old", "--how", "union"),
            *("--heads", 0.5, "--output", tmp_path / "new"),
        ),
        "There is no ticket in": ("show", tmp_path / "nowhere"),
    }
    for message, command in cases.items():
        outcome = call("ticket", *command)
        assert (outcome.code, outcome.out) == (2, ""), outcome
        assert message in outcome.err
    assert (tmp_path / "old" / "ticket.json").read_bytes() == before
    assert not (tmp_path / "new").exists()
    merged = call("ticket", "merge", tmp_path / "old", tmp_path / "old", "--output", tmp_path / "new")
    assert merged.code == 0
    assert Ticket.from_pretrained(tmp_path / "new").origin["method"] == "merged by scores"


def test_a_redrawn_and_a_merged_ticket_keep_multiples() -> None:
    random = np.random.default_rng(0)
    tickets = [
        Ticket(
            "bert",
            np.ones((2, 4), np.bool_),
            np.ones((2, 64), np.bool_),
            random.random((2, 4), np.float32),
            random.random((2, 64), np.float32),
            origin={"search": {"neuron_multiple": multiple}},
        )
        for multiple in (8, 1)
    ]
    redrawn = redraw_ticket(tickets[0], neurons=0.4)
    assert (redrawn.neurons.sum(axis=1) % 8 == 0).all()
    assert redrawn.origin["redrawn"]["neuron_multiple"] == 8
    assert (redraw_ticket(redrawn, neurons=0.7).neurons.sum(axis=1) % 8 == 0).all()
    assert (merge_tickets(tickets, neurons=0.3).neurons.sum(axis=1) % 8 == 0).all()


def test_a_part_that_is_not_drawn_anew_keeps_its_mask() -> None:
    for seed in range(30):
        drawn = scored(seed, 0.25, 0.3, origin={"search": {"neuron_multiple": 8, "neuron_ratio": 0.3}})
        other = redraw_ticket(drawn, heads=0.5)
        assert np.array_equal(other.neurons, drawn.neurons)
        assert other.heads.sum() < drawn.heads.sum()
        assert np.array_equal(redraw_ticket(drawn).neurons, drawn.neurons)
        assert np.array_equal(redraw_ticket(drawn, neurons=0.3).neurons, drawn.neurons)


@pytest.mark.parametrize("multiple", [2, 4, 8])
def test_multiples_keep_the_ratio_as_nearly_as_they_can(multiple: int) -> None:
    for seed in range(200):
        random = np.random.default_rng(seed)
        # Layers of very different importance: some keep one entry without multiples.
        scores = (random.random((5, 16)) * random.choice([0.01, 1.0], (5, 1))).astype(np.float32)
        ratio = random.uniform(0, 0.6)
        plain, rounded = draw_mask(scores, ratio), draw_mask(scores, ratio, multiple=multiple)
        assert not (rounded.sum(axis=1) % multiple).any()
        least = 5 * multiple
        assert abs(rounded.sum() - max(plain.sum(), least)) <= multiple / 2 or rounded.sum() == least


def test_an_unknown_scope_is_refused() -> None:
    for draw in (
        lambda: draw_mask(scored(1).head_scores, 0.5, "layer"),
        lambda: redraw_ticket(scored(1), heads=0.5, head_scope="Global"),
    ):
        with pytest.raises(
            ConfigError, match=r"^The scope is '(layer|Global)', but must be one of global, lay"
        ):
            draw()


def test_a_generator_of_tickets_is_merged_as_a_list_is() -> None:
    tickets = [scored(1), scored(2)]
    assert merge_tickets(ticket for ticket in tickets) == merge_tickets(tickets)
    with pytest.raises(TicketError, match="name two or more"):
        merge_tickets(iter(()))


@pytest.mark.parametrize("ratio", ["0.5", [0.5], True, None])
def test_a_ratio_that_is_no_number_is_refused(ratio: object) -> None:
    with pytest.raises(ConfigError, match=r"^The ratio is .*: choose a number of at least 0 and below 1\.$"):
        draw_mask(np.arange(6, dtype=np.float32).reshape(2, 3), ratio)  # type: ignore[arg-type]
    if ratio is not None:
        with pytest.raises(ConfigError, match=r"^The ratio is "):
            redraw_ticket(scored(1), ratio, None)  # type: ignore[arg-type]
    assert redraw_ticket(scored(1), np.float32(0.5)).head_sparsity == 0.5  # type: ignore[arg-type]


def test_what_is_no_ticket_over_heads_is_refused() -> None:
    weights = WeightTicket("bert", {"a": np.ones((2, 2), bool)})
    for call_ in (lambda: merge_tickets([scored(1), weights]), lambda: compare_tickets(weights, scored(1))):
        with pytest.raises(TicketError, match=r"^A WeightTicket is among the tickets: "):
            call_()
