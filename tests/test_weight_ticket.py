"""Tickets over single weights: drawing and storing them, and keeping what they cut at zero."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import models
import numpy as np
import pytest
import tiny
import torch
from damages import file_damages
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import load_file, save_file
from torch import nn
from transformers import GPT2Config, GPT2ForSequenceClassification, PreTrainedModel, TrainerCallback

from earlyrobust.adversarial import FreeLB
from earlyrobust.errors import ConfigError, EarlyRobustError, ModelError, TicketError
from earlyrobust.families import FAMILIES
from earlyrobust.pruning import zero_weights
from earlyrobust.tickets.weight_ticket import JSON_NAME, TENSORS_NAME, WeightTicket, draw_weights
from earlyrobust.trainer import AdversarialTrainer

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 5))
TIED = st.sampled_from([-2.0, -0.5, -0.0, 0.0, 0.5, 2.0])
FREE = st.floats(-(2.0**100), 2.0**100, width=32)


def one_sentence(error: pytest.ExceptionInfo[EarlyRobustError]) -> str:
    message = str(error.value)
    assert message.endswith(".")
    assert not re.search(r"[.?!] [A-Z]|\n", message), f"more than one sentence: {message}"
    return message


# Drawing.


@st.composite
def matrices(draw_: st.DrawFn) -> dict[str, np.ndarray]:
    """Scores of some matrices, not all equal."""
    elements = draw_(st.sampled_from([TIED, FREE]))
    shapes = draw_(st.lists(SHAPES, min_size=1, max_size=4).filter(lambda shapes: shapes != [(1, 1)]))
    scores = {
        f"matrix {index}": draw_(arrays.arrays(np.float32, shape, elements=elements))
        for index, shape in enumerate(shapes)
    }
    first = scores["matrix 0"]
    if np.ptp(np.concatenate([part.ravel() for part in scores.values()])) == 0:
        first.flat[0] += 1 + abs(first.flat[0])
    return scores


def cut_one_by_one(scores: dict[str, np.ndarray], count: int) -> dict[str, list[Any]]:
    """Remove the smallest entry that is left, the first of those that tie, `count` times."""
    left = [(name, place) for name, part in scores.items() for place in np.ndindex(part.shape)]
    for _ in range(count):
        left.remove(min(left, key=lambda entry: float(scores[entry[0]][entry[1]])))
    return {
        name: [[(name, (row, column)) in left for column in range(part.shape[1])] for row in range(len(part))]
        for name, part in scores.items()
    }


@given(matrices(), st.data())
def test_a_draw_is_the_slow_reference(scores: dict[str, np.ndarray], data: st.DataObject) -> None:
    total = sum(part.size for part in scores.values())
    entries = data.draw(st.integers(0, 2 * total - 1), label="half entries")
    ratio = entries / (2 * total)
    before = copy.deepcopy(scores)
    masks = draw_weights(scores, ratio)
    assert {name: mask.tolist() for name, mask in masks.items()} == cut_one_by_one(
        scores, round(ratio * total)
    )
    assert {mask.dtype for mask in masks.values()} == {np.dtype(np.bool_)}
    assert all(np.array_equal(scores[name], before[name]) for name in scores)


@pytest.mark.parametrize(
    ("first", "second", "ratio", "kept"),
    [
        pytest.param([[1, 1], [1, 9]], [[1, 1]], 0.5, ([[0, 0], [0, 1]], [[1, 1]]), id="ties go in order"),
        pytest.param([[5, 6], [7, 8]], [[1, 2]], 1 / 3, ([[1, 1], [1, 1]], [[0, 0]]), id="one loses all"),
        pytest.param([[-9, 1], [2, 3]], [[0, 4]], 1 / 3, ([[0, 1], [1, 1]], [[0, 1]]), id="signs count"),
        pytest.param([[1, 2], [3, 4]], [[5, 6]], 0.0, ([[1, 1], [1, 1]], [[1, 1]]), id="nothing"),
    ],
)
def test_draw_by_hand(first: Any, second: Any, ratio: float, kept: Any) -> None:
    masks = draw_weights({"a": np.array(first, np.float32), "b": np.array(second, np.float32)}, ratio)
    assert (masks["a"].tolist(), masks["b"].tolist()) == kept


@pytest.mark.parametrize("ratio", [1.0, 1.5, -0.1, math.nan, math.inf])
def test_a_ratio_that_is_none_is_refused(ratio: float) -> None:
    with pytest.raises(ConfigError) as error:
        draw_weights({"a": np.arange(4, dtype=np.float32)}, ratio)
    assert f"{ratio:g}" in one_sentence(error)


@pytest.mark.parametrize("score", [math.nan, -math.inf])
def test_scores_that_are_not_finite_are_refused(score: float) -> None:
    scores = {"a": np.arange(4, dtype=np.float32), "b": np.array([score], np.float32)}
    with pytest.raises(TicketError) as error:
        draw_weights(scores, 0.5)
    assert "not finite" in one_sentence(error)


def test_equal_scores_rank_nothing() -> None:
    scores = {"a": np.full((2, 2), 0.7, np.float32), "b": np.full(3, 0.7, np.float32)}
    with pytest.raises(TicketError) as error:
        draw_weights(scores, 0.5)
    assert "all equal" in one_sentence(error)
    assert all(mask.all() for mask in draw_weights(scores, 0.0).values())


# Storing.


def random_masks(shapes: dict[str, tuple[int, ...]], seed: int = 0, kept: float = 0.6) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    return {name: random.random(shape) < kept for name, shape in shapes.items()}


# Numbers of entries that fill their bytes, and that do not.
SMALL = {"layer.0.weight": (3, 5), "layer.1.weight": (4, 8), "pooler.weight": (1, 1)}


def small_ticket(**changes: Any) -> WeightTicket:
    parts = {"model_type": "bert", "masks": random_masks(SMALL), "origin": {"seed": 3, "γ": [0.1, None]}}
    return WeightTicket(**parts | changes)


def assert_equal(one: WeightTicket, other: WeightTicket) -> None:
    assert (one.model_type, one.origin, list(one.masks)) == (
        other.model_type,
        other.origin,
        list(other.masks),
    )
    for name, mask in one.masks.items():
        models.assert_equal_arrays(mask, other.masks[name])


def test_a_mask_that_is_no_array_is_refused() -> None:
    with pytest.raises(TicketError) as error:
        WeightTicket("bert", {"a.weight": [[True, False]]})  # type: ignore[dict-item]
    assert "The a.weight of a ticket are a list" in one_sentence(error)


def test_counts_by_hand() -> None:
    made = WeightTicket("bert", {"a": np.array([[1, 0], [1, 1]], bool), "b": np.array([[0, 0, 1, 0]], bool)})
    assert (made.weights, made.kept, made.sparsity) == (8, 4, 0.5)


def test_save_and_load(tmp_path: Path) -> None:
    saved = small_ticket()
    folder = tmp_path / "made" / "on the way"
    saved.save_pretrained(folder)
    (folder / "other.txt").write_text("left alone")
    saved.save_pretrained(str(folder))
    loaded = WeightTicket.from_pretrained(str(folder))
    assert_equal(loaded, saved)
    assert loaded.fingerprint == saved.fingerprint
    assert {path.name for path in folder.iterdir()} == {JSON_NAME, TENSORS_NAME, "other.txt"}


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.tuples(SHAPES, st.integers()), min_size=1))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_was_saved_is_loaded(tmp_path: Path, made: dict[str, Any]) -> None:
    masks = {
        name: np.asfortranarray(random_masks({name: shape}, abs(seed))[name])
        for name, (shape, seed) in made.items()
        if name != "__metadata__" and name.isprintable()
    }
    saved = small_ticket(masks=masks or random_masks(SMALL))
    saved.save_pretrained(tmp_path)
    assert_equal(WeightTicket.from_pretrained(tmp_path), saved)


def test_masks_take_a_bit_each(tmp_path: Path) -> None:
    small_ticket(masks=random_masks({"wide": (1000, 1000)})).save_pretrained(tmp_path)
    assert (tmp_path / TENSORS_NAME).stat().st_size < 1000 * 1000 / 8 + 500


def test_the_fingerprint_is_that_of_family_and_masks_alone() -> None:
    plain = small_ticket()
    backwards = dict(reversed(plain.masks.items()))
    ordered = {name: np.asfortranarray(mask) for name, mask in plain.masks.items()}
    assert {small_ticket(masks=same, origin={}).fingerprint for same in (backwards, ordered)} == {
        plain.fingerprint
    }
    others = [small_ticket(model_type="roberta")]
    for name, mask in plain.masks.items():
        for place in np.ndindex(mask.shape):
            flipped = mask.copy()
            flipped[place] ^= True
            others.append(small_ticket(masks=plain.masks | {name: flipped}))
    mask = plain.masks["layer.1.weight"]
    others.append(small_ticket(masks=plain.masks | {"layer.1.weight": mask.T}))
    others.append(small_ticket(masks=plain.masks | {"layer.1.weight": mask.reshape(2, 16)}))
    others.append(small_ticket(masks=plain.masks | {"layer.2.weight": mask}))
    swapped = {"layer.1.weight": "layer.0.weight", "layer.0.weight": "layer.1.weight"}
    others.append(small_ticket(masks={swapped.get(name, name): mask for name, mask in plain.masks.items()}))
    prints = [ticket.fingerprint for ticket in (plain, *others)]
    assert len(set(prints)) == len(prints)


def change_json(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / JSON_NAME).read_text(encoding="utf-8")) | changes
    text = json.dumps({key: value for key, value in content.items() if value is not None})
    (folder / JSON_NAME).write_text(text, encoding="utf-8")


def change_tensors(folder: Path, **changes: np.ndarray | None) -> None:
    tensors = load_file(folder / TENSORS_NAME) | {f"{name}.weight": array for name, array in changes.items()}
    save_file({name: array for name, array in tensors.items() if array is not None}, folder / TENSORS_NAME)


def other_shape(*shape: Any) -> Callable[[Path], None]:
    return lambda folder: change_json(folder, shapes={name: SMALL[name] for name in SMALL} | {NAME: shape})


NAME = "layer.1.weight"
OF_THE_SAME_RATIO = {name: mask[::-1, ::-1].copy() for name, mask in random_masks(SMALL).items()}
DAMAGES: dict[str, Callable[[Path], object]] = {
    **file_damages(JSON_NAME, TENSORS_NAME),
    "a ticket of the other kind": lambda folder: [
        models.ticket("bert").save_pretrained(folder),
        (folder / "ticket.json").replace(folder / JSON_NAME),
        (folder / "ticket.safetensors").replace(folder / TENSORS_NAME),
    ],
    **{
        f"no {key}": lambda folder, key=key: change_json(folder, **{key: None})
        for key in ("format_version", "model_type", "shapes", "origin", "fingerprint")
    },
    "version is text": lambda folder: change_json(folder, format_version="1"),
    "other model type": lambda folder: change_json(folder, model_type="roberta"),
    "model type is a number": lambda folder: change_json(folder, model_type=5),
    "origin is a list": lambda folder: change_json(folder, origin=[]),
    "other count": lambda folder: change_json(folder, kept=0),
    "no matrices": lambda folder: change_json(folder, shapes={}),
    "shapes are a list": lambda folder: change_json(folder, shapes=list(SMALL)),
    "turned": other_shape(8, 4),
    "flat": other_shape(32),
    "larger": other_shape(4, 9),
    "without a length": other_shape(-1, 8),
    "shape is text": other_shape("4", "8"),
    "no mask": lambda folder: change_tensors(folder, **{"layer.1": None}),
    "masks are numbers": lambda folder: change_tensors(folder, **{"layer.1": np.ones(4, np.float32)}),
    "other mask": lambda folder: change_tensors(folder, **{"layer.1": np.zeros(4, np.uint8)}),
    "masks of another ticket": lambda folder: save_masks(folder, OF_THE_SAME_RATIO),
}


def save_masks(folder: Path, masks: dict[str, np.ndarray]) -> None:
    before = (folder / JSON_NAME).read_bytes()
    small_ticket(masks=masks).save_pretrained(folder)
    (folder / JSON_NAME).write_bytes(before)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_ticket_is_one_clear_error(damage: str, tmp_path: Path) -> None:
    folder = tmp_path / "ticket"
    small_ticket().save_pretrained(folder)
    DAMAGES[damage](folder)
    with pytest.raises(TicketError) as error:
        WeightTicket.from_pretrained(folder)
    assert str(folder) in one_sentence(error)


@pytest.mark.parametrize("changes", [{}, {"shapes": None, "kept": "in another file"}])
def test_a_newer_format_asks_for_an_update_whatever_it_looks_like(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    small_ticket().save_pretrained(tmp_path)
    change_json(tmp_path, format_version=7, **changes)
    with pytest.raises(TicketError, match=r"format 7, newer than .* update earlyrobust") as error:
        WeightTicket.from_pretrained(tmp_path)
    one_sentence(error)


@pytest.mark.parametrize("name", [JSON_NAME, TENSORS_NAME])
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_give_the_same_masks_or_a_ticket_error(
    name: str, data: st.DataObject, tmp_path: Path
) -> None:
    saved = small_ticket()
    saved.save_pretrained(tmp_path)
    content = (tmp_path / name).read_bytes()
    start = data.draw(st.integers(0, len(content)), label="start")
    removed = data.draw(st.sampled_from([0, 1, 1, 4, len(content)]), label="removed")
    added = data.draw(st.binary(max_size=4) | st.sampled_from([b"0", b"9", b"-", b"{", b"]", b"null"]))
    (tmp_path / name).write_bytes(content[:start] + added + content[start + removed :])
    try:
        loaded = WeightTicket.from_pretrained(tmp_path)
    except TicketError:
        return
    assert loaded.fingerprint == saved.fingerprint


def fail(*_: Any, **__: Any) -> None:
    raise OSError("No space left on device")


@pytest.mark.parametrize("failing", ["safetensors.numpy.save_file", "json.dumps", "pathlib.Path.replace"])
def test_a_failing_save_leaves_the_old_ticket(
    failing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = small_ticket()
    old.save_pretrained(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(failing, fail)
        with pytest.raises(OSError, match="No space"):
            small_ticket(masks=OF_THE_SAME_RATIO).save_pretrained(tmp_path)
    assert_equal(WeightTicket.from_pretrained(tmp_path), old)
    assert {path.name for path in tmp_path.iterdir()} == {JSON_NAME, TENSORS_NAME}


def test_the_json_file_is_put_in_place_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    placed: list[str] = []
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda path, to: placed.append(to.name) or replace(path, to))
    small_ticket().save_pretrained(tmp_path)
    assert placed.index(TENSORS_NAME) < placed.index(JSON_NAME)
    assert placed[-1] == JSON_NAME


# Zeroing.


def shapes_of(model: PreTrainedModel) -> dict[str, tuple[int, ...]]:
    """The shapes of the matrices in a tiny model's layers, and in its encoder's pooler."""
    path = models.LAYOUTS[model.config.model_type][0].split("{}")[0]
    return {
        f"{name}.weight": tuple(module.weight.shape)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and name.startswith((path, f"{model.base_model_prefix}.pooler"))
    }


def ticket_of(model: PreTrainedModel, **changes: Any) -> WeightTicket:
    masks = changes.pop("masks", None) or random_masks(shapes_of(model))
    return WeightTicket(**{"model_type": model.config.model_type, "masks": masks} | changes)


def zero_by_hand(model: PreTrainedModel, ticket: WeightTicket) -> PreTrainedModel:
    with torch.no_grad():
        for name, mask in ticket.masks.items():
            weight = model.get_parameter(name)
            weight.copy_(torch.where(torch.tensor(mask), weight, torch.zeros(())))
    return model


@pytest.mark.parametrize("family", FAMILIES)
def test_a_zeroed_model_computes_what_one_zeroed_by_hand_does(family: str) -> None:
    model = models.classifier(family)
    ticket = ticket_of(model)
    expected = zero_by_hand(copy.deepcopy(model), ticket)
    whole = models.logits(model)
    zeroed = zero_weights(model, ticket)
    assert zeroed is model
    assert torch.equal(models.logits(zeroed), models.logits(expected))
    assert not torch.equal(models.logits(zeroed), whole)
    state = expected.state_dict()
    assert all(torch.equal(weight, state[name]) for name, weight in zeroed.state_dict().items())


def trained(
    folder: Path, model: PreTrainedModel, resume: str | None = None, **changes: Any
) -> dict[str, Any]:
    own = {"callbacks": changes.pop("callbacks", None), "adversary": changes.pop("adversary", None)}
    trainer = AdversarialTrainer(
        model,
        tiny.arguments(folder, **{"weight_decay": 0.5, "optim": "adamw_torch", "max_steps": 6, **changes}),
        train_dataset=tiny.dataset(),
        processing_class=tiny.tokenizer(),
        **own,
    )
    trainer.train(resume_from_checkpoint=resume)
    return {name: weight.clone() for name, weight in model.state_dict().items()}


@pytest.mark.parametrize("adversary", [None, FreeLB(steps=2)], ids=["plain", "freelb"])
@pytest.mark.parametrize("changes", [{}, {"bf16": True}, {"gradient_accumulation_steps": 2}], ids=str)
def test_training_keeps_zeros_and_moves_the_rest(tmp_path: Path, adversary: Any, changes: dict) -> None:
    model = tiny.classifier()
    ticket = ticket_of(model)
    before = zero_by_hand(tiny.classifier(), ticket).state_dict()
    after = trained(tmp_path, zero_weights(model, ticket), adversary=adversary, **changes)
    for name, mask in ticket.masks.items():
        assert (after[name][torch.tensor(~mask)] == 0).all()
        assert (after[name] != before[name])[torch.tensor(mask)].all()
    assert not [name for name, weight in after.items() if torch.equal(weight, before[name])]


def test_the_rest_moves_as_if_zeros_were_put_back_after_every_step(tmp_path: Path) -> None:
    class PutBack(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, *, model: Any, **_: Any) -> None:
            zero_by_hand(model, ticket)

    ticket = ticket_of(tiny.classifier())
    expected = zero_by_hand(tiny.classifier(), ticket)
    settings = {"adversary": FreeLB(steps=2), "max_grad_norm": 0.0}
    put_back = trained(tmp_path, expected, callbacks=[PutBack()], **settings)
    kept = trained(tmp_path, zero_weights(tiny.classifier(), ticket), **settings)
    assert [name for name, weight in kept.items() if not torch.equal(weight, put_back[name])] == []


def test_an_interrupted_training_resumes_with_its_zeros(tmp_path: Path) -> None:
    ticket = ticket_of(tiny.classifier())
    whole = trained(tmp_path, zero_weights(tiny.classifier(), ticket))
    with pytest.raises(KeyboardInterrupt):
        trained(
            tmp_path,
            zero_weights(tiny.classifier(), ticket),
            save_strategy="steps",
            save_steps=3,
            callbacks=[tiny.Interrupt(4)],
        )
    resumed = trained(tmp_path, zero_weights(tiny.classifier(), ticket), str(tmp_path / "checkpoint-3"))
    assert [name for name, weight in resumed.items() if not torch.equal(weight, whole[name])] == []
    assert all((resumed[name][torch.tensor(~mask)] == 0).all() for name, mask in ticket.masks.items())


def renamed(change: Callable[[dict[str, Any]], dict[str, Any]]) -> dict[str, Any]:
    return {"masks": change(random_masks(shapes_of(tiny.classifier())))}


QUERY = "bert.encoder.layer.1.attention.self.query.weight"
FOREIGN: dict[str, dict[str, Any]] = {
    "other family": {"model_type": "roberta"},
    "other family and names": renamed(
        lambda masks: {name.replace("bert.", "roberta.", 1): mask for name, mask in masks.items()}
    )
    | {"model_type": "roberta"},
    "another layer": renamed(lambda masks: masks | {QUERY.replace("1", "2"): masks[QUERY]}),
    "fewer layers": renamed(
        lambda masks: {name: mask for name, mask in masks.items() if "layer.1" not in name}
    ),
    "wider": renamed(lambda masks: masks | {QUERY: np.ones((16, 17), bool)}),
    "an embedding": renamed(
        lambda masks: masks | {"bert.embeddings.word_embeddings.weight": np.zeros((40, 16), bool)}
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_ticket_of_another_architecture_is_refused_before_anything_is_changed(name: str) -> None:
    model, before = tiny.classifier(), tiny.classifier().state_dict()
    with pytest.raises(TicketError, match="of another architecture") as error:
        zero_weights(model, ticket_of(model, **FOREIGN[name]))
    one_sentence(error)
    assert all(torch.equal(weight, before[key]) for key, weight in model.state_dict().items())
    assert not any(weight._backward_hooks for weight in model.parameters())


def test_a_model_of_no_family_is_refused() -> None:
    model = GPT2ForSequenceClassification(GPT2Config(n_embd=8, n_layer=1, n_head=2, vocab_size=20))
    with pytest.raises(ModelError, match="gpt2"):
        zero_weights(model, WeightTicket("gpt2", {}))
