"""Drawing, comparing, validating and storing tickets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damages import file_damages
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from models import HEADS, LAYERS, NEURONS, assert_equal_tickets, searched_ticket, ticket
from safetensors.numpy import load_file, save_file

from earlyrobust.errors import ConfigError, EarlyRobustError, OutputError, TicketError
from earlyrobust.tickets.drawing import draw_at_random, draw_mask, entries_to_cut, is_undecided, mask_distance
from earlyrobust.tickets.ticket import JSON_NAME, TENSORS_NAME, Ticket
from earlyrobust.tickets.weight_ticket import WeightTicket
from earlyrobust.workspace.finding import find_ticket

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 9))
TIED = st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0])
FREE = st.floats(-(2.0**100), 2.0**100, width=32)


@st.composite
def draws(draw_: st.DrawFn) -> tuple[np.ndarray, float]:
    """Scores that rank something, and a ratio that can be drawn from them."""
    shape = draw_(SHAPES.filter(lambda shape: shape != (1, 1)))
    scores = draw_(arrays.arrays(np.float32, shape, elements=draw_(st.sampled_from([TIED, FREE]))))
    if np.ptp(np.abs(scores)) == 0:
        place = draw_(st.integers(0, scores.size - 1))
        scores.flat[place] = 3.0 if abs(scores.flat[place]) != 3.0 else 1.0
    layers, total = shape[0], scores.size
    entries = draw_(st.integers(0, total - layers))
    # Ratios of whole entries, as users give them, as fractions, and those that fall between two entries.
    ratios = [entries / total, round(entries / total, 2), (entries + 0.5) / total]
    feasible = [ratio for ratio in ratios if round(ratio * total) <= total - layers]
    return scores, draw_(st.sampled_from(feasible))


def one_sentence(error: pytest.ExceptionInfo[EarlyRobustError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert message.endswith(".")
    assert not re.search(r"[.?!] [A-Z]", message), f"more than one sentence: {message}"
    return message


def cut_one_by_one(scores: np.ndarray, count: int) -> np.ndarray:
    """Remove the worst entry that is not the best of its layer, `count` times."""
    layers, width = scores.shape
    best = [max(range(width), key=lambda i, row=row: (abs(row[i]), i)) for row in scores]
    left = {(layer, index) for layer in range(layers) for index in range(width)}
    for _ in range(count):
        removable = [(abs(scores[place]), *place) for place in left if best[place[0]] != place[1]]
        left.remove(min(removable)[1:])
    mask = np.zeros(scores.shape, dtype=bool)
    for place in left:
        mask[place] = True
    return mask


@given(draws())
def test_global_draw_is_the_slow_reference(case: tuple[np.ndarray, float]) -> None:
    scores, ratio = case
    np.testing.assert_array_equal(
        draw_mask(scores, ratio), cut_one_by_one(scores, round(ratio * scores.size))
    )


@given(draws(), st.sampled_from(["global", "layerwise"]))
def test_a_draw_cuts_exactly_the_ratio_and_keeps_the_best_of_every_layer(
    case: tuple[np.ndarray, float], scope: Any
) -> None:
    scores, ratio = case
    before = scores.copy()
    mask = draw_mask(scores, ratio, scope)
    assert mask.shape == scores.shape
    assert mask.dtype == np.bool_
    assert int((~mask).sum()) == round(ratio * scores.size)
    for row, kept in zip(np.abs(scores), mask, strict=True):
        assert kept.any()
        assert row[kept].max() == row.max()
    np.testing.assert_array_equal(scores, before)


@given(draws())
def test_a_layerwise_draw_cuts_the_same_share_of_every_layer_its_worst(
    case: tuple[np.ndarray, float],
) -> None:
    scores, ratio = case
    mask = draw_mask(scores, ratio, "layerwise")
    counts = (~mask).sum(axis=1)
    assert np.ptp(counts) <= 1
    for row, kept, count in zip(scores, mask, counts, strict=True):
        np.testing.assert_array_equal(kept, cut_one_by_one(row[None], int(count))[0])


@pytest.mark.parametrize("shape", [(3, 5), (3, 6), (6, 6), (12, 12)])
def test_a_layerwise_draw_adds_up_where_ratios_fall_between_two_entries(shape: tuple[int, int]) -> None:
    scores = np.random.default_rng(0).random(shape, np.float32)
    for half in range(1, 2 * (scores.size - shape[0]), 2):
        ratio = half / (2 * scores.size)
        assert int((~draw_mask(scores, ratio, "layerwise")).sum()) == round(ratio * scores.size)


@given(draws(), st.data())
def test_only_the_magnitude_of_a_score_counts(case: tuple[np.ndarray, float], data: st.DataObject) -> None:
    scores, ratio = case
    signs = data.draw(arrays.arrays(np.float32, scores.shape, elements=st.sampled_from([-1.0, 1.0])))
    np.testing.assert_array_equal(draw_mask(scores, ratio), draw_mask(scores * signs, ratio))


@pytest.mark.parametrize(
    ("scores", "ratio", "kept"),
    [
        pytest.param(
            [[1, 1, 1], [1, 1, 9]], 1 / 3, [[0, 0, 1], [1, 1, 1]], id="ties go by layer, then index"
        ),
        pytest.param([[5, 1, 5], [5, 5, 2]], 1 / 3, [[1, 0, 1], [1, 1, 0]], id="the worst of all layers go"),
        pytest.param([[-9, 1, 8], [2, -3, 7]], 1 / 2, [[1, 0, 1], [0, 0, 1]], id="sign is no rank"),
        pytest.param(
            [[1, 2, 3], [7, 8, 9]], 1 / 2, [[0, 0, 1], [0, 1, 1]], id="a layer's last stays, another's goes"
        ),
        pytest.param([[1, 2, 3], [7, 8, 9]], 2 / 3, [[0, 0, 1], [0, 0, 1]], id="all but one of each layer"),
        pytest.param(
            [[1, 2, 3], [7, 8, 9]], 0.0, [[1, 1, 1], [1, 1, 1]], id="a ratio of nothing cuts nothing"
        ),
    ],
)
def test_draw_by_hand(scores: list[list[int]], ratio: float, kept: list[list[int]]) -> None:
    np.testing.assert_array_equal(draw_mask(np.array(scores, np.float32), ratio), np.array(kept, bool))


@pytest.mark.parametrize("scope", ["global", "layerwise"])
def test_paper_ratios_on_bert_base(scope: Any) -> None:
    random = np.random.default_rng(0)
    heads = draw_mask(random.random((12, 12), np.float32), 1 / 6, scope)
    neurons = draw_mask(random.random((12, 3072), np.float32), 0.4, scope)
    assert (int((~heads).sum()), int((~neurons).sum())) == (24, 14746)


@given(st.integers(2, 6), st.integers(1, 9), st.data())
def test_an_infeasible_ratio_is_answered_with_one_that_works(
    layers: int, width: int, data: st.DataObject
) -> None:
    entries = data.draw(st.integers(layers * width - layers + 1, layers * width - 1))
    ratio = entries / (layers * width)
    scores = np.arange(layers * width, dtype=np.float32).reshape(layers, width)
    with pytest.raises(ConfigError) as error:
        draw_mask(scores, ratio)
    named = float(re.findall(r"[\d.]*\d", one_sentence(error))[-1])
    # Shapes this small can keep exactly one entry of every layer, so the offer is as good as can be.
    assert draw_mask(scores, named).sum() == layers


@pytest.mark.parametrize("ratio", [1.0, 1.5, -0.1, float("nan"), float("inf"), float("-inf")])
def test_a_ratio_that_is_none_is_refused(ratio: float) -> None:
    scores = np.arange(12, dtype=np.float32).reshape(3, 4)
    with pytest.raises(ConfigError) as error:
        draw_mask(scores, ratio)
    assert f"{ratio:g}" in one_sentence(error)
    with pytest.raises(ConfigError):
        entries_to_cut(ratio, 3, 4)


def test_equal_scores_rank_nothing() -> None:
    scores = np.full((3, 4), 0.7, np.float32)
    assert is_undecided(scores)
    with pytest.raises(TicketError) as error:
        draw_mask(scores, 0.25)
    one_sentence(error)
    assert draw_mask(scores, 0.0).all()
    scores[1, 2] += 0.1
    assert not is_undecided(scores)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    scores = np.arange(12, dtype=np.float32).reshape(3, 4)
    scores[2, 1] = bad
    with pytest.raises(TicketError) as error:
        draw_mask(scores, 0.25)
    assert "not finite" in one_sentence(error)


@given(draws(), st.sampled_from(["global", "layerwise"]), st.integers(0, 2**32))
def test_a_draw_by_chance_cuts_exactly_the_ratio_and_keeps_one_of_every_layer(
    case: tuple[np.ndarray, float], scope: Any, seed: int
) -> None:
    shape, ratio = case[0].shape, case[1]
    mask = draw_at_random(shape, ratio, scope, seed)
    assert (mask.shape, mask.dtype) == (shape, np.bool_)
    assert int((~mask).sum()) == round(ratio * mask.size)
    assert mask.any(axis=1).all()
    if scope == "layerwise":
        assert np.ptp((~mask).sum(axis=1)) <= 1
    np.testing.assert_array_equal(draw_at_random(shape, ratio, scope, seed), mask)


@pytest.mark.parametrize("scope", ["global", "layerwise"])
def test_seeds_draw_differently_and_every_entry_as_likely(scope: Any) -> None:
    draws = np.array([draw_at_random((4, 12), 0.25, scope, seed) for seed in range(1000)])
    assert len({mask.tobytes() for mask in draws}) == 1000
    # Four and a half standard deviations of a share of 1000, for each of the 48 entries.
    assert np.abs(draws.mean(axis=0) - 0.75).max() < 4.5 * (0.75 * 0.25 / 1000) ** 0.5
    cut = {tuple((~mask).sum(axis=1)) for mask in draws}
    assert (cut == {(3, 3, 3, 3)}) == (scope == "layerwise")


@pytest.mark.parametrize("scope", ["global", "layerwise"])
@pytest.mark.parametrize("ratio", [0.95, 1.0, -0.1, float("nan")])
def test_a_ratio_that_chance_cannot_cut_is_refused(ratio: float, scope: Any) -> None:
    with pytest.raises(ConfigError) as error:
        draw_at_random((3, 4), ratio, scope, 0)
    one_sentence(error)
    assert draw_at_random((3, 4), 0.75, scope, 0).sum(axis=1).tolist() == [1, 1, 1]


def test_mask_distance_by_hand() -> None:
    first = np.array([[1, 1, 0, 0], [1, 0, 1, 0]], bool)
    second = np.array([[1, 0, 0, 1], [1, 0, 1, 1]], bool)
    assert mask_distance(first, second) == 3 / 8
    assert mask_distance(first, ~first) == 1.0


def test_masks_of_different_shapes_have_no_distance() -> None:
    with pytest.raises(TicketError) as error:
        mask_distance(np.ones((2, 3), bool), np.ones((2, 4), bool))
    assert "(2, 3) and (2, 4)" in one_sentence(error)


@given(st.data(), SHAPES)
def test_mask_distance_is_a_metric(data: st.DataObject, shape: tuple[int, int]) -> None:
    a, b, c = (data.draw(arrays.arrays(np.bool_, shape)) for _ in range(3))
    assert mask_distance(a, a) == 0
    assert mask_distance(a, b) == mask_distance(b, a)
    assert (mask_distance(a, b) == 0) == bool((a == b).all())
    assert mask_distance(a, c) <= mask_distance(a, b) + mask_distance(b, c) + 1e-12


def test_counts_and_sparsities() -> None:
    heads = np.array([[1, 0], [1, 1]], bool)
    neurons = np.array([[0, 0, 1, 0], [1, 1, 0, 0]], bool)
    made = Ticket("bert", heads, neurons)
    assert (made.heads_per_layer, made.neurons_per_layer) == ([1, 2], [1, 2])
    assert (made.head_sparsity, made.neuron_sparsity) == (1 / 4, 5 / 8)


FULL_HEADS, FULL_NEURONS = np.ones((LAYERS, HEADS), bool), np.ones((LAYERS, NEURONS), bool)


def with_empty_layer(mask: np.ndarray) -> np.ndarray:
    mask = mask.copy()
    mask[1] = False
    return mask


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"heads": with_empty_layer(FULL_HEADS)}, id="a layer without heads"),
        pytest.param({"neurons": with_empty_layer(FULL_NEURONS)}, id="a layer without neurons"),
        pytest.param({"heads": FULL_HEADS.astype(np.float32)}, id="heads of another type"),
        pytest.param({"neurons": FULL_NEURONS.astype(np.uint8)}, id="neurons of another type"),
        pytest.param({"heads": FULL_HEADS[0]}, id="heads of one layer"),
        pytest.param({"neurons": FULL_NEURONS[None]}, id="neurons with an axis too many"),
        pytest.param({"heads": FULL_HEADS[:2]}, id="layers disagree"),
        pytest.param({"head_scores": np.ones((LAYERS, HEADS + 1), np.float32)}, id="head scores do not fit"),
        pytest.param({"neuron_scores": np.ones((1, NEURONS), np.float32)}, id="neuron scores do not fit"),
        pytest.param({"trace": searched_ticket("bert").trace, "heads": FULL_HEADS[:, :2]}, id="trace"),
        pytest.param({"heads": FULL_HEADS.tolist()}, id="a list of heads"),
        pytest.param({"neurons": None}, id="no neurons"),
        pytest.param({"head_scores": [[1.0] * HEADS] * LAYERS}, id="a list of scores"),
    ],
)
def test_a_ticket_whose_parts_do_not_fit_is_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(TicketError) as error:
        Ticket(**{"model_type": "bert", "heads": FULL_HEADS, "neurons": FULL_NEURONS} | parts)
    one_sentence(error)


@pytest.mark.parametrize("make", [ticket, searched_ticket])
def test_save_and_load(make: Callable[[str], Ticket], tmp_path: Path) -> None:
    saved = make("roberta")
    folder = tmp_path / "made" / "on the way"
    saved.save_pretrained(folder)
    (folder / "other.txt").write_text("left alone")
    saved.save_pretrained(str(folder))
    assert_equal_tickets(Ticket.from_pretrained(str(folder)), saved)
    assert {path.name for path in folder.iterdir()} == {JSON_NAME, TENSORS_NAME, "other.txt"}


def test_a_folder_holds_one_ticket(tmp_path: Path) -> None:
    whole = ticket("bert")
    weights = WeightTicket("bert", {"a.weight": np.eye(3, dtype=bool)})
    for saved in (weights, whole, weights):
        saved.save_pretrained(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {*saved.FILES}
        assert find_ticket(tmp_path) == saved
    # An earlier version may have left both.
    whole.save_pretrained(tmp_path / "other")
    for file in (tmp_path / "other").iterdir():
        file.rename(tmp_path / file.name)
    with pytest.raises(
        TicketError, match=r"two tickets in .*, ticket\.json and weight_ticket\.json: move one"
    ):
        find_ticket(tmp_path)


def test_a_failing_save_leaves_the_ticket_of_the_other_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = WeightTicket("bert", {"a.weight": np.eye(3, dtype=bool)})
    weights.save_pretrained(tmp_path)
    monkeypatch.setattr("safetensors.numpy.save_file", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        ticket("bert").save_pretrained(tmp_path)
    assert find_ticket(tmp_path) == weights


def test_a_file_is_no_folder_of_a_ticket(tmp_path: Path) -> None:
    file = tmp_path / "file.csv"
    file.write_text("text", encoding="utf-8")
    for place in (file, file / "deeper"):
        with pytest.raises(OutputError, match=r"file\.csv' is not a folder that can be written to") as error:
            ticket("bert").save_pretrained(place)
        one_sentence(error)
    assert file.read_text(encoding="utf-8") == "text"


def test_masks_are_stored_by_value_however_they_lie_in_memory(tmp_path: Path) -> None:
    heads = np.array([[1, 0, 1], [0, 0, 1]], bool)
    wide = np.zeros((2, 10), bool)
    wide[:, ::2] = [[1, 0, 0, 1, 0], [0, 1, 1, 1, 0]]
    saved = Ticket("bert", np.asfortranarray(heads), wide[:, ::2])
    saved.save_pretrained(tmp_path)
    assert_equal_tickets(Ticket.from_pretrained(tmp_path), Ticket("bert", heads, wide[:, ::2].copy()))


def test_the_json_file_tells_a_reader_what_stays(tmp_path: Path) -> None:
    saved = searched_ticket("bert")
    saved.save_pretrained(tmp_path)
    content = json.loads((tmp_path / JSON_NAME).read_text(encoding="utf-8"))
    assert content["heads_per_layer"] == [3, 1, 4]
    assert content["head_sparsity"] == pytest.approx(4 / 12)
    assert (content["layers"], content["heads"], content["neurons"]) == (LAYERS, HEADS, NEURONS)
    assert [entry["step"] for entry in content["trace"]["miniepochs"]] == [5, 10, 15]
    assert "γ" in (tmp_path / JSON_NAME).read_text(encoding="utf-8")


def test_a_key_that_someone_added_does_no_harm(tmp_path: Path) -> None:
    saved = searched_ticket("bert")
    saved.save_pretrained(tmp_path)
    change_json(tmp_path, note="my favourite")
    assert_equal_tickets(Ticket.from_pretrained(tmp_path), saved)


def change_json(folder: Path, **changes: Any) -> None:
    path = folder / JSON_NAME
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def change_trace(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / JSON_NAME).read_text(encoding="utf-8"))
    change_json(folder, trace=content["trace"] | changes)


def change_tensors(folder: Path, **changes: np.ndarray | None) -> None:
    tensors = load_file(folder / TENSORS_NAME) | changes
    save_file({name: array for name, array in tensors.items() if array is not None}, folder / TENSORS_NAME)


def drop(folder: Path, key: str) -> None:
    path = folder / JSON_NAME
    content = json.loads(path.read_text(encoding="utf-8"))
    del content[key]
    path.write_text(json.dumps(content), encoding="utf-8")


MINIEPOCH = {"step": 5, "heads": None, "neurons": None, "streak": 0}
DAMAGES: dict[str, Callable[[Path], object]] = {
    **file_damages(JSON_NAME, TENSORS_NAME),
    "no model type": lambda folder: drop(folder, "model_type"),
    "no trace": lambda folder: drop(folder, "trace"),
    "no origin": lambda folder: drop(folder, "origin"),
    "no version": lambda folder: drop(folder, "format_version"),
    "version is text": lambda folder: change_json(folder, format_version="1"),
    "newer version": lambda folder: change_json(folder, format_version=2),
    "model type is a number": lambda folder: change_json(folder, model_type=5),
    "origin is a list": lambda folder: change_json(folder, origin=[]),
    "other layers": lambda folder: change_json(folder, layers=LAYERS + 1),
    "other neurons": lambda folder: change_json(folder, neurons=NEURONS + 1),
    "other heads per layer": lambda folder: change_json(folder, heads_per_layer=[4, 3, 1]),
    "trace is a number": lambda folder: change_json(folder, trace=0),
    "trace is a list": lambda folder: change_json(folder, trace=[]),
    "unknown stop reason": lambda folder: change_trace(folder, stop_reason="bored"),
    "epochs are text": lambda folder: change_trace(folder, epochs="many"),
    "fewer miniepochs": lambda folder: change_trace(folder, miniepochs=[MINIEPOCH]),
    "step is text": lambda folder: change_trace(folder, miniepochs=[MINIEPOCH | {"step": "x"}] * 3),
    "miniepoch lacks a field": lambda folder: change_trace(folder, miniepochs=[{"step": 5}] * 3),
    "no heads": lambda folder: change_tensors(folder, heads=None),
    "no trace masks": lambda folder: change_tensors(folder, **{"trace.head_masks": None}),
    "heads are numbers": lambda folder: change_tensors(folder, heads=FULL_HEADS.astype(np.float32)),
    "fewer layers of neurons": lambda folder: change_tensors(folder, neurons=FULL_NEURONS[:2]),
    "other masks": lambda folder: change_tensors(folder, heads=FULL_HEADS, neurons=FULL_NEURONS),
    "scores do not fit": lambda folder: change_tensors(folder, head_scores=np.ones((2, 2), np.float32)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_ticket_is_one_clear_error(damage: str, tmp_path: Path) -> None:
    folder = tmp_path / "ticket"
    searched_ticket("bert").save_pretrained(folder)
    DAMAGES[damage](folder)
    with pytest.raises(TicketError) as error:
        Ticket.from_pretrained(folder)
    assert str(folder) in one_sentence(error)


def test_a_newer_format_asks_for_an_update(tmp_path: Path) -> None:
    ticket("bert").save_pretrained(tmp_path)
    change_json(tmp_path, format_version=7)
    with pytest.raises(TicketError, match=r"format 7, newer than .* update earlyrobust"):
        Ticket.from_pretrained(tmp_path)


@pytest.mark.parametrize("name", [JSON_NAME, TENSORS_NAME])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_give_a_ticket_or_a_ticket_error(
    name: str, data: st.DataObject, tmp_path: Path
) -> None:
    searched_ticket("bert").save_pretrained(tmp_path)
    content = (tmp_path / name).read_bytes()
    start = data.draw(st.integers(0, len(content)), label="start")
    removed = data.draw(st.sampled_from([0, 1, 1, 4, len(content)]), label="removed")
    added = data.draw(st.binary(max_size=4) | st.sampled_from([b"0", b"9", b"-", b"{", b"]", b"null"]))
    (tmp_path / name).write_bytes(content[:start] + added + content[start + removed :])
    try:
        loaded = Ticket.from_pretrained(tmp_path)
    except TicketError:
        return
    assert isinstance(loaded, Ticket)


def fail(*_: Any, **__: Any) -> None:
    raise OSError("No space left on device")


@pytest.mark.parametrize("failing", ["safetensors.numpy.save_file", "json.dumps", "pathlib.Path.replace"])
def test_a_failing_save_leaves_the_old_ticket(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = ticket("bert", origin={"seed": 1}), searched_ticket("bert")
    old.save_pretrained(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(failing, fail)
        with pytest.raises(OSError, match="No space"):
            new.save_pretrained(tmp_path)
    assert_equal_tickets(Ticket.from_pretrained(tmp_path), old)
    assert {path.name for path in tmp_path.iterdir()} == {JSON_NAME, TENSORS_NAME}


def test_an_origin_that_json_cannot_hold_leaves_the_old_ticket(tmp_path: Path) -> None:
    old = ticket("bert")
    old.save_pretrained(tmp_path)
    for origin in ({"loss": float("nan")}, {"path": tmp_path}):
        with pytest.raises((TypeError, ValueError)):
            Ticket("bert", FULL_HEADS, FULL_NEURONS, origin=origin).save_pretrained(tmp_path)
        assert_equal_tickets(Ticket.from_pretrained(tmp_path), old)


def test_files_of_two_tickets_are_noticed(tmp_path: Path) -> None:
    ticket("bert").save_pretrained(tmp_path)
    before = (tmp_path / JSON_NAME).read_bytes()
    Ticket("bert", FULL_HEADS, FULL_NEURONS).save_pretrained(tmp_path)
    (tmp_path / JSON_NAME).write_bytes(before)
    with pytest.raises(TicketError, match="damaged"):
        Ticket.from_pretrained(tmp_path)


@pytest.mark.parametrize("scope", ["global", "layerwise"])
@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.3, 0.62, 0.9])
@pytest.mark.parametrize("seed", range(4))
def test_layers_keep_multiples_near_what_they_would_keep(scope: str, ratio: float, seed: int) -> None:
    scores = np.random.default_rng(seed).gamma(1 + np.arange(6)[:, None], size=(6, 256)).astype(np.float32)
    free = draw_mask(scores, ratio, scope)  # type: ignore[arg-type]
    mask = draw_mask(scores, ratio, scope, 16)  # type: ignore[arg-type]
    kept, wanted = mask.sum(axis=1), free.sum(axis=1)
    assert (kept % 16 == 0).all()
    assert (kept >= 16).all()
    if wanted.min() >= 16:
        assert (np.abs(kept - wanted) < 16).all()
        assert abs(int(kept.sum() - wanted.sum())) <= 8
    for layer in range(6):  # the best of each layer stay
        assert np.abs(scores[layer][mask[layer]]).min() >= np.abs(scores[layer][~mask[layer]]).max(initial=0)


def test_a_multiple_that_does_not_fit_is_left_out() -> None:
    scores = np.random.default_rng(0).random((3, 100), np.float32)
    free = draw_mask(scores, 0.3)
    assert np.array_equal(draw_mask(scores, 0.3, "global", 64), free)
    assert np.array_equal(draw_mask(scores, 0.3, "global", 100), free)
    assert np.array_equal(draw_mask(scores, 0.3, "global", 1), free)
    assert (draw_mask(scores, 0.3, "global", 50).sum(axis=1) % 50 == 0).all()


def test_layers_of_little_worth_keep_one_multiple() -> None:
    scores = np.ones((4, 64), np.float32)
    scores[0] *= np.linspace(0.01, 0.02, 64)
    scores[1:] += np.random.default_rng(1).random((3, 64), np.float32)
    kept = draw_mask(scores, 0.25, "global", 8).sum(axis=1)
    assert kept.tolist()[0] == 8
    assert abs(int(kept.sum()) - 192) <= 8


def test_tickets_are_equal_if_their_contents_are(tmp_path: Path) -> None:
    one, other = searched_ticket("bert"), ticket("bert")
    one.save_pretrained(tmp_path)
    again = Ticket.from_pretrained(tmp_path)
    assert again == one
    assert hash(again) == hash(one)
    assert again in [other, one]
    assert other != one
    assert one != "a ticket"
    assert replace(again, origin={"seed": 99}) != one
    assert len({one, again, other}) == 2
