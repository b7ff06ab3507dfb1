"""Text noise: what it changes, what it leaves alone, and what it learns from gradients."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from conftest import QUICK, call
from datasets import Dataset
from safetensors.numpy import load_file
from test_attack_engine import byte_level, sentence_piece
from transformers import (
    AutoTokenizer,
    DataCollatorWithPadding,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerControl,
    TrainerState,
)

from earlyrobust.attacks.resources import NeighbourLists
from earlyrobust.attacks.resources.folding import fold
from earlyrobust.attacks.swaps import Draws
from earlyrobust.attacks.text import words_of
from earlyrobust.encoders import locate
from earlyrobust.errors import ConfigError, ResourceError, TrainingError
from earlyrobust.noise import (
    FittedRate,
    GainTable,
    Lexicon,
    NoiseCollator,
    NoiseConfig,
    Occurrences,
    TextNoise,
)
from earlyrobust.noise.gains import Pieces, first_order_gains
from earlyrobust.noise.lexicon import is_touchable
from earlyrobust.results import RunRecord
from earlyrobust.trainer import AdversarialTrainer

NEIGHBOURS = {
    "good": ["fine", "great", "decent"],
    "film": ["movie", "picture"],
    "bad": ["poor", "awful"],
    "movie": ["film"],
    "unfathomably": ["inscrutably", "mysteriously"],
}
TEXT = "This Good film is not 7 times as BAD as that movie, unfathomably odd weather."


class Listed:
    """Neighbours by a table."""

    name = "the table"
    has_vectors = False
    measures_meaning = False

    def __init__(self, table: dict[str, list[str]]) -> None:
        self._table = table

    def nearest(self, word: str, count: int) -> list[str]:
        return self._table.get(word.lower(), [])[:count]

    def cosine(self, a: str, b: str) -> None:
        return None


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(locate("minilm"))


def noise(tokenizer: PreTrainedTokenizerBase, classes: int = 2, seed: int = 0, **settings: Any) -> TextNoise:
    settings = {"ramp": 0.0, "candidates": 3, "clean": 0.0, "keeps": 0.0, **settings}
    lexicon = Lexicon(NEIGHBOURS, settings["candidates"])
    return TextNoise(lexicon, tokenizer, classes, config=NoiseConfig(**settings), max_length=64, seed=seed)


# --- What is changed ---------------------------------------------------------------------------------------


def test_words_that_change_a_statement_are_left_alone(tokenizer: PreTrainedTokenizerBase) -> None:
    made = noise(tokenizer, rate=1.0, exchanges=0.5, misspells=0.5, misspells_others=1.0)
    kept = [word for word in words_of(TEXT) if not is_touchable(word)]
    assert {"This", "is", "not", "7", "as", "that"} <= set(kept)
    changed = Counter()
    for seed in range(300):
        new = made.noisy((TEXT,), Draws(seed), 1.0).columns[0]
        assert [word for word in words_of(new) if word in kept] == kept
        changed.update(
            word for word in ("Good", "film", "BAD", "odd", "weather") if word not in words_of(new)
        )
    assert min(changed[word] for word in ("Good", "film", "BAD", "odd", "weather")) > 80


def test_exchanges_take_neighbours_in_the_case_of_the_word(tokenizer: PreTrainedTokenizerBase) -> None:
    made = noise(tokenizer, choice="random", exchanges=1.0, misspells=0.0, misspells_others=0.0)
    seen: dict[str, set[str]] = {"Good": set(), "BAD": set(), "film": set()}
    for seed in range(200):
        new = words_of(made.noisy((TEXT,), Draws(seed), 1.0).columns[0])
        for old, word in zip(words_of(TEXT), new, strict=True):
            if old in seen:
                seen[old].add(word)
            elif old not in {"movie", "unfathomably"}:
                assert old == word
    assert seen == {
        "Good": {"Good", "Fine", "Great", "Decent"},
        "BAD": {"BAD", "POOR", "AWFUL"},
        "film": {"film", "movie", "picture"},
    }


@pytest.mark.parametrize(("exchanges", "misspells", "others"), [(0.7, 0.15, 0.5), (0.2, 0.8, 0.0), (0, 0, 1)])
def test_changes_have_their_probabilities(
    tokenizer: PreTrainedTokenizerBase, exchanges: float, misspells: float, others: float
) -> None:
    settings = {"exchanges": exchanges, "misspells": misspells, "misspells_others": others}
    made = noise(tokenizer, choice="random", **settings)
    listed = "good " * 30
    count: Counter[str] = Counter()
    for seed in range(400):
        words = made.noisy((listed + "unusual " * 30,), Draws(seed), 1.0).columns[0].split(" ")
        count.update("exchanged" if word in NEIGHBOURS["good"] else "kept" for word in words[:30])
        count["others kept"] += words.count("unusual")
    # Each text draws its share between 0 and 1, half of its words on average.
    assert count["exchanged"] / 12_000 == pytest.approx(exchanges / 2, abs=0.03)
    assert count["others kept"] / 12_000 == pytest.approx(1 - others / 2, abs=0.03)


def test_the_share_of_changed_words_is_uniform_up_to_the_rate(tokenizer: PreTrainedTokenizerBase) -> None:
    made = noise(tokenizer, choice="random", exchanges=1.0, misspells=0.0, clean=0.25)
    shares = []
    for seed in range(2_000):
        words = made.noisy(("good " * 50,), Draws(seed), 0.6).columns[0].split()
        shares.append(sum(word != "good" for word in words) / 50)
    counts, _ = np.histogram(shares, bins=6, range=(0, 0.6))
    assert max(shares) < 0.85
    # A quarter of the texts stay clean; the others are spread evenly.
    assert counts[0] / 2_000 == pytest.approx(0.25 + 0.75 / 6, abs=0.05)
    assert counts[2:5] / 2_000 == pytest.approx(0.75 / 6, abs=0.03)


def test_the_level_rises_over_the_ramp() -> None:
    rate = FittedRate(2, keeps=0.0, ramp=0.25)
    levels = []
    for progress in (0.125, 0.25, 1.0):
        rate.move(progress)
        levels.append(rate.level)
    assert levels == [0.5, 1.0, 1.0]
    assert FittedRate(2, keeps=0.5, ramp=0.0).level == 1


@pytest.mark.parametrize(
    ("clean", "noisy", "direction"),
    [
        (0.69, 0.69, 0),  # nothing is known yet
        (0.2, 0.44, 1),  # ln 2 − 0.44 is more than half of ln 2 − 0.2
        (0.2, 0.46, -1),
        (0.5, 0.65, -1),  # a hard task: less loss is enough
        (0.2, None, 1),  # no text with noise so far
        (None, 0.3, 0),
    ],
)
def test_the_level_follows_what_the_model_knows(
    clean: float | None, noisy: float | None, direction: int
) -> None:
    rate = FittedRate(2, keeps=0.5, ramp=0.5)
    given = [(loss, kind) for loss, kind in ((clean, False), (noisy, True)) if loss is not None]
    rate.add(np.array([loss for loss, _ in given]), np.array([kind for _, kind in given]))
    assert rate.direction == direction
    rate.level = 0.5
    rate.move(0.1)
    assert rate.level == pytest.approx(0.5 + direction * 0.2)


def test_the_level_rises_again_after_it_has_fallen_to_zero(tokenizer: PreTrainedTokenizerBase) -> None:
    made = noise(tokenizer, clean=0.2, keeps=0.5, ramp=0.5)
    texts, levels = [(f"{TEXT} {number}",) for number in range(64)], []
    for step in range(1, 101):
        noisy = made.batch(texts, [0] * 64, epoch=step).noisy
        assert 0 < noisy.sum() < 64
        # The model understands no text with noise for a time.
        made.observe_losses(np.where(noisy & (step < 20), 0.9, 0.2), noisy)
        made.update(step / 100)
        levels.append(made.rate.level)
    assert levels[18] == 0
    assert levels[-1] == 1


def test_the_level_stays_between_zero_and_one_and_its_state_is_kept() -> None:
    rate = FittedRate(2, keeps=0.5, ramp=0.1)
    rate.add(np.array([0.1, 0.3]), np.array([False, False]))
    for step in range(1, 11):
        rate.move(step / 20)
    assert rate.level == 1
    rate.add(np.array([5.0]), np.array([True]))
    other = FittedRate(2, keeps=0.5, ramp=0.1)
    other.state = rate.state
    for step in range(11, 21):
        for each in (rate, other):
            each.move(step / 20)
    assert rate.level == other.level == 0
    rate.add(np.array([0.2]), np.array([False]))
    assert rate.losses == pytest.approx([0.95 * 0.2 + 0.05 * 0.2, 5.0])


@pytest.mark.parametrize("loss", [np.nan, np.inf])
def test_losses_that_are_not_finite_do_not_count(loss: float) -> None:
    rate = FittedRate(2, keeps=0.5, ramp=0.5)
    rate.add(np.array([0.1, loss, 0.3, loss]), np.array([False, False, True, True]))
    assert rate.losses.tolist() == [0.1, 0.3]
    rate.add(np.array([loss]), np.array([True]))
    assert rate.losses.tolist() == [0.1, 0.3]


@pytest.mark.parametrize("noisy", [0.1, 0.6])
def test_a_second_training_begins_at_the_level_of_the_first(noisy: float) -> None:
    rate = FittedRate(2, keeps=0.5, ramp=0.5)
    rate.add(np.array([0.1, noisy]), np.array([False, True]))
    rate.move(1.0)
    rate.level = 0.4
    rate.move(0.01)
    assert rate.level == 0.4
    rate.move(0.11)
    assert rate.level == pytest.approx(0.4 + 0.2 * rate.direction)


def test_a_halved_rate_stays_so_after_a_resume() -> None:
    rate = FittedRate(2, keeps=0.0, ramp=0.5)
    rate.move(0.15)
    rate.halve()
    other = FittedRate(2, keeps=0.0, ramp=0.5)
    other.state = rate.state
    for each in (rate, other):
        assert (each.level, each.limit) == (0.15, 0.5)
        each.move(0.2)
        assert each.level == pytest.approx(0.25)
        each.move(1.0)
        assert each.level == 0.5


def test_of_a_pair_the_second_text_is_changed(tokenizer: PreTrainedTokenizerBase) -> None:
    made = noise(tokenizer, misspells_others=1.0)
    first = "Is the good film a bad movie?"
    found = [made.noisy((first, TEXT), Draws(seed), 1.0) for seed in range(30)]
    assert {text.columns[0] for text in found} == {first}
    assert len({text.columns[1] for text in found}) > 20


def test_words_are_found_again_in_the_text_and_its_tokens(tokenizer: PreTrainedTokenizerBase) -> None:
    made = noise(tokenizer, misspells_others=1.0)
    for seed in range(50):
        text = made.noisy(("A question?", TEXT), Draws(seed), 1.0)
        for start, length, index in text.words:
            assert text.columns[1][start : start + length].lower() == made.lexicon.words[index]
    batch = made.batch([("A question?", TEXT), ("Good?", "good film")], [1, 0], epoch=0)
    tokens, found = batch.tokens, batch.found
    for row, begin, end, word in zip(found.rows, found.begins, found.ends, found.words, strict=True):
        ids = tokens["input_ids"][row, begin:end]
        assert tokenizer.decode(ids).replace(" ", "") == made.lexicon.words[word]
    assert found.labels.tolist() == [(1, 0)[row] for row in found.rows]


@pytest.mark.parametrize("settings", [{"rate": 0.0}, {"ramp": 0.5}, {"clean": 1.0}])
def test_without_a_rate_a_batch_is_that_of_the_tokenizer(
    tokenizer: PreTrainedTokenizerBase, settings: dict[str, float]
) -> None:
    texts = [(TEXT,), ("good",), ("",)]
    made = noise(tokenizer, **settings)
    tokens = made.batch(texts, [0, 1, 1], epoch=0).tokens
    expected = tokenizer([text for (text,) in texts], padding=True, return_tensors="pt")
    assert {name: values.tolist() for name, values in tokens.items()} == {
        name: values.tolist() for name, values in expected.items()
    }


def test_noise_depends_on_seed_epoch_and_text_alone(tokenizer: PreTrainedTokenizerBase) -> None:
    texts = [(f"{TEXT} {number}",) for number in range(12)]

    def ids(made: TextNoise, order: list[int], epoch: int) -> dict[int, list[int]]:
        tokens = made.batch([texts[place] for place in order], [0] * len(order), epoch=epoch).tokens
        rows = [row[mask.bool()].tolist() for row, mask in zip(*map(tokens.get, FIELDS), strict=True)]
        return dict(zip(order, rows, strict=True))

    FIELDS = ("input_ids", "attention_mask")
    whole = ids(noise(tokenizer), list(range(12)), 0)
    assert ids(noise(tokenizer), [11, 3, 7], 0) == {place: whole[place] for place in (3, 7, 11)}
    assert ids(noise(tokenizer), list(range(12)), 1) != whole
    assert ids(noise(tokenizer, seed=1), list(range(12)), 0) != whole


# --- The lexicon -------------------------------------------------------------------------------------------


def test_a_lexicon_holds_the_words_of_the_texts_and_their_neighbours() -> None:
    table = {
        "good": ["Fine", "not", "good", "7up", "great"],
        "fine": ["good"],
        "great": ["huge"],
        "huge": ["vast"],
        "the": ["a"],
        "unused": ["words"],
    }
    made = Lexicon.of([("The GOOD one",), ("a", "good day")], [Listed(table)], 3)
    # "not" and "7up" stay out; "huge" is a neighbour of a neighbour.
    assert dict(zip(made.words, made.neighbours, strict=True)) == {
        "fine": ["good"],
        "good": ["Fine", "great"],
        "great": ["huge"],
    }
    assert made.find("GOOD") == made.words.index("good")
    assert made.find("unused") is None
    assert made.find("the") is None


def test_a_lexicon_finds_words_in_any_unicode_form() -> None:
    composed, decomposed = "schön café हिन्दी", "scho\u0308n cafe\u0301 हिन्दी"
    table = {"schön": ["Hübsch", "hu\u0308bsch", "fein"], "café": ["bar"], "हिन्दी": ["भाषा"]}
    source = NeighbourLists(table.items(), "lists")
    one, other = (
        Lexicon.of([(text,)], [source, Listed({"schön": ["FEIN"]})]) for text in (composed, decomposed)
    )
    assert (one.words, one.neighbours) == (other.words, other.neighbours)
    assert one.neighbours[one.words.index("schön")] == ["Hübsch", "FEIN"]
    by_hand = Lexicon({"scho\u0308n": ["fein"]}, 1)
    assert by_hand.find("Schön") == by_hand.find("Scho\u0308n") == 0


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_marked_words_are_found_again_in_the_text_with_noise(
    tokenizer: PreTrainedTokenizerBase, rate: float
) -> None:
    lexicon = Lexicon({"schön": ["hübsch"], "हिन्दी": ["भाषा"], "cafe": ["bar"]}, 1)
    made = TextNoise(lexicon, tokenizer, 2, config=NoiseConfig(clean=0.0, keeps=0.0, candidates=1))
    text = "Ein scho\u0308n gemachtes cafe\u0301, cafe हिन्दी SCHÖN!"
    found = set()
    for seed in range(30):
        noisy = made.noisy(("", text), Draws(seed), rate)
        assert rate or noisy.columns == ("", text)
        for start, length, index in noisy.words:
            word = noisy.columns[1][start : start + length]
            assert fold(word) == lexicon.words[index]
            assert word in words_of(noisy.columns[1])
            found.add(word)
    assert found >= {"scho\u0308n", "cafe", "हिन्दी", "SCHÖN"}
    assert "cafe\u0301" not in found
    calm = TextNoise(lexicon, tokenizer, 2, config=NoiseConfig(rate=0.0, candidates=1))
    batch = calm.batch([(text,)], [0], epoch=0)
    spans = zip(batch.found.begins, batch.found.ends, strict=True)
    read = [tokenizer.convert_ids_to_tokens(batch.tokens["input_ids"][0, begin:end]) for begin, end in spans]
    assert read == [tokenizer.tokenize(word) for word in ("schön", "cafe", "हिन्दी", "SCHÖN")]


def test_a_word_is_read_if_only_its_last_accent_has_no_token(tokenizer: PreTrainedTokenizerBase) -> None:
    lexicon = Lexicon({"café": ["bar"], "unfathomably": ["oddly"]}, 1)
    config = NoiseConfig(rate=0.0, candidates=1)
    made = TextNoise(lexicon, tokenizer, 2, config=config)
    for text in ("a café", "a cafe\u0301"):
        batch = made.batch([(text,)], [0], epoch=0)
        ((begin, end),) = zip(batch.found.begins, batch.found.ends, strict=True)
        read = tokenizer.convert_ids_to_tokens(batch.tokens["input_ids"][0, begin:end])
        assert read == tokenizer.tokenize("café")
    # A word whose end is cut off is not.
    pieces = len(tokenizer.tokenize("unfathomably"))
    assert pieces > 2
    for length, whole in ((pieces + 2, 1), (pieces + 1, 0)):
        short = TextNoise(lexicon, tokenizer, 2, config=config, max_length=length)
        assert len(short.batch([("unfathomably",)], [0], epoch=0).found.rows) == whole


def test_several_sources_take_turns() -> None:
    one, two = (
        Listed({"good": ["eye", "boat", "coat"]}),
        Listed({"good": ["axe", "boat", "yacht"], "odd": ["queer"]}),
    )
    made = Lexicon.of([("good odd",)], [Listed({"good": ["fine", "great"]}), two, one], 6)
    assert made.neighbours[made.words.index("good")] == ["fine", "axe", "eye", "great", "boat", "yacht"]
    assert made.neighbours[made.words.index("odd")] == ["queer"]


def test_texts_without_a_neighbour_are_refused() -> None:
    with pytest.raises(ResourceError, match="No word of the training texts has a neighbour in the table"):
        Lexicon.of([("ein guter Spielfilm",)], [Listed(NEIGHBOURS)], 4)


# --- Gains -------------------------------------------------------------------------------------------------

TOKENIZERS = {
    "word pieces": lambda: AutoTokenizer.from_pretrained(locate("minilm")),
    "bytes": byte_level,
    "sentence pieces": sentence_piece,
}


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_gains_are_those_of_the_definition(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]()
    made = noise(tokenizer)
    texts = [(TEXT,), ("a good film",), ("unfathomably bad",)]
    batch = made.batch(texts, [0, 1, 1], epoch=0)
    tokens, found = batch.tokens, batch.found
    assert len(found.rows) >= 4
    torch.manual_seed(0)
    ids = tokens["input_ids"]
    weight = torch.randn(len(tokenizer), 16)
    gradient = torch.randn(*ids.shape, 16)
    lexicon = Lexicon(NEIGHBOURS, 3)
    gains = first_order_gains(gradient, ids, weight, found, Pieces(lexicon, tokenizer))
    for number, word in enumerate(found.words):
        near = lexicon.neighbours[word]
        row, places = found.rows[number], range(found.begins[number], found.ends[number])
        for place in range(3):
            if place >= len(near):
                assert gains[number, place] == -np.inf
                continue
            new = tokenizer(f"a {near[place]}", add_special_tokens=False)["input_ids"]
            new = new[len(tokenizer("a", add_special_tokens=False)["input_ids"]) :]
            mean = weight[new].mean(0)
            by_hand = sum(gradient[row, t] @ (mean - weight[ids[row, t]]) for t in places)
            assert gains[number, place] == pytest.approx(float(by_hand), rel=1e-3, abs=1e-3)


def test_a_gain_is_the_change_of_the_loss_for_a_short_way(tokenizer: PreTrainedTokenizerBase) -> None:
    """Independent of the formula: move the embedding of a word a little towards a neighbour's."""
    with tiny.float64():
        torch.manual_seed(0)
        weight = torch.randn(len(tokenizer), 8)
        head = torch.randn(8, 2)
    made = noise(tokenizer)
    batch = made.batch([("a good film",)], [1], epoch=0)
    tokens, found = batch.tokens, batch.found
    ids = tokens["input_ids"]

    def loss(embedded: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(torch.tanh(embedded).sum(1) @ head, torch.tensor([1]))

    embedded = weight[ids].requires_grad_()
    (gradient,) = torch.autograd.grad(loss(embedded), embedded)
    gains = first_order_gains(gradient, ids, weight, found, Pieces(Lexicon(NEIGHBOURS, 3), tokenizer))
    for number, (word, begin) in enumerate(zip(found.words, found.begins, strict=True)):
        for place, near in enumerate(Lexicon(NEIGHBOURS, 3).neighbours[word]):
            new = weight[tokenizer.convert_tokens_to_ids(near)]
            moved = weight[ids].clone()
            moved[0, begin] += 1e-5 * (new - moved[0, begin])
            change = (loss(moved) - loss(weight[ids])) / 1e-5
            assert gains[number, place] == pytest.approx(float(change), rel=1e-2, abs=1e-3)


def test_the_table_keeps_a_running_mean_for_each_class() -> None:
    table = GainTable(2, 3, 2, memory=0.9)
    one, two = np.array([1, 1, 0]), np.array([2, 2, 2])
    assert table.best(1, 2) is None
    table.add(one, two, np.array([[1, -np.inf], [3, -np.inf], [-4, -1]]))
    assert table.means[1, 2].tolist() == [2, -np.inf]
    assert (table.best(1, 2), table.best(0, 2)) == (0, None)  # no positive gain
    table.add(np.array([0]), np.array([2]), np.array([[-4, 99]]))
    assert table.means[0, 2] == pytest.approx([-4, 0.9 * -1 + 0.1 * 99])
    assert table.best(0, 2) == 1
    table.add(np.array([], int), np.array([], int), np.zeros((0, 2)))
    assert table.seen.sum() == 2


@pytest.mark.parametrize(("memory", "mean"), [(0.0, 5.0), (0.5, 4.0), (1.0, 3.0)])
def test_a_missing_neighbour_stays_missing_whatever_the_memory(memory: float, mean: float) -> None:
    table = GainTable(1, 1, 2, memory=memory)
    for gain in (3.0, 5.0):
        table.add(np.array([0]), np.array([0]), np.array([[gain, -np.inf]]))
    assert table.means[0, 0].tolist() == [mean, -np.inf]
    assert table.best(0, 0) == 0


@pytest.mark.parametrize("overflow", [np.nan, np.inf, -np.inf])
def test_words_whose_gradient_overflows_are_left_out(
    tokenizer: PreTrainedTokenizerBase, overflow: float
) -> None:
    """In float16 the optimiser skips such a step, so its gains must not stay in the table."""
    made = noise(tokenizer)
    batch = made.batch([("a good film",), ("a bad film",)], [0, 1], epoch=0)
    tokens = batch.tokens["input_ids"]
    weight, gradient = torch.randn(len(tokenizer), 4), torch.randn(*tokens.shape, 4)
    made.observe(gradient, tokens, weight, batch.found)
    made.update(0.1)
    before, seen = made.table.means[1].copy(), made.table.seen.copy()
    assert seen.any(1).all()
    gradient[1] = overflow
    made.observe(gradient, tokens, weight, batch.found)
    made.update(0.2)
    assert np.array_equal(made.table.means[1], before)
    assert np.array_equal(made.table.seen, seen)
    gains = first_order_gains(gradient, tokens, weight, batch.found, Pieces(made.lexicon, tokenizer))
    lengths = np.array([len(made.lexicon.neighbours[word]) for word in batch.found.words])
    assert np.array_equal(np.isneginf(gains), np.arange(3) >= lengths[:, None])
    other = noise(tokenizer)
    other.observe(gradient, tokens, weight, batch.found)
    other.update(0.1)
    assert other.table.seen.any(1).tolist() == [True, False]


@pytest.mark.parametrize("gain", [np.nan, np.inf])
def test_the_table_leaves_out_gains_that_are_not_finite(gain: float) -> None:
    table = GainTable(1, 1, 3)
    zeros = np.array([0, 0])
    table.add(zeros, zeros, np.array([[gain, 1.0, -np.inf], [2.0, 4.0, -np.inf]]))
    assert table.means[0, 0].tolist() == [2, 4, -np.inf]


@pytest.mark.parametrize("guided", [0.0, 0.7, 1.0])
def test_learned_noise_prefers_the_neighbour_of_greatest_gain(
    tokenizer: PreTrainedTokenizerBase, guided: float
) -> None:
    made = noise(tokenizer, exchanges=1.0, misspells=0.0, guided=guided)
    word = made.lexicon.words.index("good")
    made.table.add(np.array([1]), np.array([word]), np.array([[-1, 2, 1]]))
    for label, best in ((1, "great"), (0, None)):
        aim = partial(made.table.best, label)
        words = [
            new
            for seed in range(300)
            for new in made.noisy(("good " * 20,), Draws(seed), 1.0, aim).columns[0].split()
            if new != "good"
        ]
        shares = {near: words.count(near) / len(words) for near in NEIGHBOURS["good"]}
        for near, share in shares.items():
            aimed = guided if best is not None else 0
            assert share == pytest.approx((1 - aimed) / 3 + (aimed if near == best else 0), abs=0.04)


def test_gradient_chosen_noise_aims_at_the_greatest_gain_of_the_text_at_hand(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    made = noise(tokenizer, choice="gradient", exchanges=1.0, misspells=0.0, guided=1.0)
    texts = [("good good film",), ("bad good",)]
    draft = made.batch(texts, [1, 0], epoch=0, exchanges=False)
    assert draft.tokens["input_ids"].tolist() == tokenizer([*sum(texts, ())], padding=True)["input_ids"]
    torch.manual_seed(0)
    ids = draft.tokens["input_ids"]
    weight, gradient = torch.randn(len(tokenizer), 8), torch.randn(*ids.shape, 8)
    aims = made.aims(gradient, ids, weight, draft.found)
    for row, aim in enumerate(aims):
        for index, word in enumerate(made.lexicon.words):
            places = (ids[row] == tokenizer.convert_tokens_to_ids(word)).nonzero().flatten().tolist()
            slope = sum((gradient[row, place] for place in places), torch.zeros(8))
            own = weight[tokenizer.convert_tokens_to_ids(word)]
            near = tokenizer.convert_tokens_to_ids(made.lexicon.neighbours[index])
            gains = [float(slope @ (weight[id_] - own)) for id_ in near]
            wanted = int(np.argmax(gains)) if places and max(gains) > 0 else None
            assert aim(index) == wanted
    final = made.batch(texts, [1, 0], epoch=0, aims=aims)
    assert final.tokens["input_ids"].tolist() != draft.tokens["input_ids"].tolist()


# --- In a trainer ------------------------------------------------------------------------------------------


def write_texts(count: int, tokenizer: PreTrainedTokenizerBase) -> Dataset:
    texts = [
        " ".join(words) for words in product(("good", "bad"), ("film", "movie"), ("day", "night", "one"))
    ]
    texts = [texts[number % len(texts)] + " x" * (number % 4) for number in range(count)]
    rows = tokenizer(texts)
    labels = [int(text.startswith("good")) for text in texts]
    return Dataset.from_dict({**rows, "labels": labels, "text": texts})


def small_model() -> Any:
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=30_522,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    )


def train(
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    made: TextNoise | None,
    *,
    model: Any = None,
    adversary: Any = None,
    rows: int = 32,
    stop: int | None = None,
    resume: bool = False,
    **changes: Any,
) -> AdversarialTrainer:
    options = {"max_steps": 6, "per_device_train_batch_size": 8, "learning_rate": 0.01, **changes}
    trainer = AdversarialTrainer(
        small_model() if model is None else model,
        tiny.arguments(folder, train_sampling_strategy="sequential", **options),
        adversary=adversary,
        noise=made,
        train_dataset=write_texts(rows, tokenizer),
        processing_class=tokenizer,
        callbacks=[] if stop is None else [tiny.Interrupt(stop)],
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def weights(trainer: AdversarialTrainer) -> dict[str, list[float]]:
    return {name: weight.flatten().tolist() for name, weight in trainer.model.named_parameters()}


def test_noise_of_rate_zero_trains_as_none(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    plain = train(tokenizer, tmp_path / "a", None)
    quiet = train(tokenizer, tmp_path / "b", noise(tokenizer, rate=0.0))
    loud = train(tokenizer, tmp_path / "c", noise(tokenizer))
    assert weights(quiet) == weights(plain)
    assert weights(loud) != weights(plain)


def test_gradient_chosen_noise_raises_the_loss_more_than_random_noise(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """The loss of the first step, in which the weights of both are those of the beginning."""
    losses = {}
    for choice in ("random", "gradient"):
        settings = {"misspells": 0.0, "misspells_others": 0.0, "exchanges": 1.0, "guided": 1.0}
        trainer = train(
            *(tokenizer, tmp_path / choice, noise(tokenizer, choice=choice, **settings)),
            **{"max_steps": 1, "per_device_train_batch_size": 32, "logging_steps": 1},
        )
        losses[choice] = trainer.state.log_history[0]["loss"]
    assert losses["gradient"] > losses["random"]


def test_the_rate_falls_where_the_model_does_not_understand_noise(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """The words that noise exchanges are those that the classes are told by."""
    levels = {}
    for keeps in (0.0, 0.9):
        made = noise(
            tokenizer, choice="random", ramp=0.2, keeps=keeps, clean=0.3, misspells=0.5, exchanges=0.5
        )
        trainer = train(tokenizer, tmp_path / str(keeps), made, max_steps=40, logging_steps=40)
        levels[keeps] = made.rate.level
        assert trainer.state.log_history[0]["noise_level"] == made.rate.level
        assert np.isfinite(made.rate.losses).all()
    assert levels[0.0] == 1
    assert levels[0.9] < 0.5


def test_the_table_holds_the_gains_of_each_examples_own_loss(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    made = noise(tokenizer, rate=0.0)
    train(tokenizer, tmp_path, made, max_steps=1)
    model, data = small_model().train(), write_texts(8, tokenizer)
    sums: dict[tuple[int, str], list[np.ndarray]] = {}
    for row in data:
        inputs = tokenizer(row["text"], return_tensors="pt")
        embedded = model.get_input_embeddings()(inputs["input_ids"]).detach().requires_grad_()
        rest = {name: inputs[name] for name in inputs if name != "input_ids"}
        loss = model(inputs_embeds=embedded, labels=torch.tensor([row["labels"]]), **rest).loss
        (gradient,) = torch.autograd.grad(loss, embedded)
        weight = model.get_input_embeddings().weight
        for place, token in enumerate(tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])):
            if token in NEIGHBOURS:
                ids = tokenizer.convert_tokens_to_ids(NEIGHBOURS[token])
                moves = weight[ids] - weight[inputs["input_ids"][0, place]]
                sums.setdefault((row["labels"], token), []).append(
                    (moves @ gradient[0, place]).detach().numpy()
                )
    assert len(sums) == 5
    for (label, word), found_gains in sums.items():
        mean = np.mean(found_gains, axis=0)
        found = made.table.means[label, made.lexicon.words.index(word)]
        assert found[: len(mean)] == pytest.approx(mean, rel=1e-3, abs=1e-6)
    assert made.table.seen.sum() == len(sums)


def test_a_model_that_pads_its_input_itself_learns_gains_too(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    from transformers import LongformerConfig, LongformerForSequenceClassification

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = LongformerConfig(vocab_size=30_522, attention_window=[16], pad_token_id=0, **sizes)
    made = noise(tokenizer)
    train(tokenizer, tmp_path, made, model=LongformerForSequenceClassification(config))
    assert made.table.seen.any()
    assert np.isfinite(made.table.means[made.table.seen]).any()


def test_accumulated_batches_and_whole_ones_learn_alike(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    whole, parts = noise(tokenizer), noise(tokenizer)
    one = train(tokenizer, tmp_path / "a", whole)
    sizes = {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    other = train(tokenizer, tmp_path / "b", parts, **sizes)
    assert (whole.table.seen == parts.table.seen).all()
    assert whole.table.means[whole.table.seen] == pytest.approx(parts.table.means[whole.table.seen], rel=1e-3)
    for name, values in weights(one).items():
        assert values == pytest.approx(weights(other)[name], abs=1e-5)


def test_a_resumed_training_ends_as_one_that_was_not_interrupted(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    saving = {"save_strategy": "steps", "save_steps": 3}
    straight = noise(tokenizer)
    whole = train(tokenizer, tmp_path / "a", straight, **saving)
    with pytest.raises(KeyboardInterrupt):
        train(tokenizer, tmp_path / "b", noise(tokenizer), stop=4, **saving)
    again = noise(tokenizer)
    resumed = train(tokenizer, tmp_path / "b", again, resume=True, **saving)
    assert weights(resumed) == weights(whole)
    assert again.table.means.tobytes() == straight.table.means.tobytes()
    (tmp_path / "b" / "checkpoint-3" / "noise.safetensors").write_bytes(b"damaged")
    with pytest.raises(TrainingError, match=r"noise\.safetensors"):
        noise(tokenizer).load(tmp_path / "b" / "checkpoint-3")
    with pytest.raises(TrainingError, match="other words"):
        noise(tokenizer, candidates=2).load(tmp_path / "b" / "checkpoint-6")


@pytest.mark.parametrize("name", tiny.PERTURBING)
def test_noise_goes_with_every_adversary(
    name: str, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    if name == "wordswap":
        pytest.skip("its table of neighbours is that of a vocabulary of 40")
    made = noise(tokenizer)
    trainer = train(tokenizer, tmp_path, made, adversary=tiny.adversary(name))
    assert made.table.seen.any()
    assert np.isfinite(made.table.means[made.table.seen][:, 0]).all()
    assert trainer.state.global_step == 6


def test_a_limit_case_of_an_adversary_learns_what_plain_training_learns(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    plain, under = noise(tokenizer), noise(tokenizer)
    train(tokenizer, tmp_path / "a", plain)
    adversary = tiny.adversary("freelb", **tiny.PLAIN["freelb"])
    train(tokenizer, tmp_path / "b", under, adversary=adversary)
    assert under.table.means[plain.table.seen] == pytest.approx(plain.table.means[plain.table.seen], rel=1e-4)


def test_evaluation_has_no_noise(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    data = write_texts(16, tokenizer)
    trainer = train(tokenizer, tmp_path, noise(tokenizer))
    with_texts, without = trainer.evaluate(data), trainer.evaluate(data.remove_columns("text"))
    assert with_texts["eval_loss"] == without["eval_loss"]


def test_training_data_without_texts_are_refused(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    trainer = train(tokenizer, tmp_path, noise(tokenizer), max_steps=1)
    trainer.train_dataset = trainer.train_dataset.remove_columns("text")
    with pytest.raises(ConfigError, match="keep the column 'text'"):
        trainer.train()


def _drop_a_token(tokenizer: PreTrainedTokenizerBase) -> Any:
    collator = DataCollatorWithPadding(tokenizer)

    def collate(rows: list[dict[str, Any]]) -> Any:
        batch = collator(rows)
        batch["input_ids"][-1, 1] = tokenizer.mask_token_id
        return batch

    return collate


@pytest.mark.parametrize("choice", ["random", "learned", "gradient"])
@pytest.mark.parametrize("fault", ["pairs in another column", "collator", "max_length", "tokenizer"])
def test_tokens_that_are_not_those_of_the_texts_are_refused(
    choice: str, fault: str, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """Noise would replace them by those of the texts, and the model would train on other inputs."""
    rows = write_texts(16, tokenizer)
    made, options = noise(tokenizer, choice=choice, rate=0.0), {}
    if fault == "pairs in another column":
        seconds = ["the second text"] * len(rows)
        rows = Dataset.from_dict(
            {**rows.to_dict(), **tokenizer(list(rows["text"]), seconds), "text_pair": seconds}
        )
    elif fault == "collator":
        options["data_collator"] = _drop_a_token(tokenizer)
    elif fault == "max_length":
        rows = Dataset.from_dict(
            {**rows.to_dict(), **tokenizer(list(rows["text"]), truncation=True, max_length=4)}
        )
    else:
        rows = rows.map(lambda row: {"input_ids": [101, *(token + 1 for token in row["input_ids"][1:])]})
    trainer = AdversarialTrainer(
        small_model(),
        tiny.arguments(tmp_path, max_steps=1, per_device_train_batch_size=16),
        noise=made,
        train_dataset=rows,
        processing_class=tokenizer,
        **options,
    )
    with pytest.raises(ConfigError, match="the training data have other tokens for the text"):
        trainer.train()


@pytest.mark.parametrize("kind", ["several labels", "shares of classes"])
def test_noise_whose_rate_cannot_be_fitted_is_refused(
    kind: str, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """The level would stay at 0 without a word, because the labels are no classes."""
    rows = write_texts(16, tokenizer).map(lambda row: {"labels": [float(row["labels"]), 1.0 - row["labels"]]})
    model = small_model()
    if kind == "several labels":
        model.config.problem_type = "multi_label_classification"
    changes = {"ramp": 0.5, "clean": 0.2}
    for keeps in (0.5, 0.0):
        trainer = AdversarialTrainer(
            model,
            tiny.arguments(tmp_path, max_steps=4),
            noise=(made := noise(tokenizer, keeps=keeps, **changes)),
            train_dataset=rows,
            processing_class=tokenizer,
        )
        if keeps:
            with pytest.raises(ConfigError, match=r"choose NoiseConfig\(keeps=0\)"):
                trainer.train()
        else:
            trainer.train()
            assert made.rate.level == 1


def test_examples_that_the_loss_ignores_teach_nothing(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """The oracle is a training without these examples: its losses, its gains and its words are the same."""
    found = []
    for folder, others in (("all", [-100]), ("some", [])):
        made = noise(tokenizer, rate=0.0, clean=0.5, keeps=0.5, ramp=0.5)
        rows = write_texts(16, tokenizer).to_list()
        more = [{**row, "labels": label} for row in rows for label in others]
        trainer = AdversarialTrainer(
            small_model(),
            tiny.arguments(tmp_path / folder, max_steps=1, per_device_train_batch_size=64),
            noise=made,
            train_dataset=Dataset.from_list(rows + more),
            processing_class=tokenizer,
        )
        trainer.train()
        found.append((made.table.means, made.table.seen, made.rate.losses))
    (means, seen, losses), expected = found
    assert seen.tolist() == expected[1].tolist()
    assert means[seen] == pytest.approx(expected[0][seen], rel=1e-4)
    assert losses == pytest.approx(expected[2], rel=1e-5)


def test_noise_for_another_number_of_classes_is_refused(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="has 3 classes, but the model has 2: give TextNoise classes=2"):
        train(tokenizer, tmp_path, noise(tokenizer, classes=3))


def test_each_trial_of_a_search_for_settings_begins_without_what_the_last_one_learned(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    made = noise(tokenizer, ramp=0.5)
    trainer = AdversarialTrainer(
        None,
        tiny.arguments(tmp_path, max_steps=4, logging_steps=1, train_sampling_strategy="sequential"),
        model_init=small_model,
        noise=made,
        train_dataset=write_texts(16, tokenizer),
        processing_class=tokenizer,
    )
    found = []
    for _ in range(2):
        trainer.train()
        levels = [entry["noise_level"] for entry in trainer.state.log_history if "noise_level" in entry]
        found.append((levels, made.table.means.tolist(), weights(trainer)))
    assert found[0] == found[1]
    assert found[0][0] == [0.5, 1.0, 1.0, 1.0]


def test_the_number_of_candidates_holds_for_a_lexicon_with_more(tokenizer: PreTrainedTokenizerBase) -> None:
    config = NoiseConfig(candidates=1, exchanges=1.0, misspells=0.0, misspells_others=0.0)
    made = TextNoise(Lexicon(NEIGHBOURS, 3), tokenizer, 2, config=config)
    seen = {word for seed in range(50) for word in words_of(made.noisy((TEXT,), Draws(seed), 1.0).columns[0])}
    assert {"Fine", "movie"} <= seen
    assert not {"Great", "Decent", "picture"} & seen
    assert made.table.means.shape[2] == 1


def test_the_collator_puts_noise_into_texts_alone(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    made = noise(tokenizer, choice="random")
    collator = NoiseCollator(DataCollatorWithPadding(tokenizer), made)
    collator.epoch = 0
    rows = write_texts(8, tokenizer)
    expected = tokenizer.pad([made.tokens((text,), 0) for text in rows["text"]], return_tensors="pt")
    assert torch.equal(collator(rows.to_list())["input_ids"], expected["input_ids"])
    bare = rows.remove_columns("text").to_list()
    clean = DataCollatorWithPadding(tokenizer)(bare)
    assert all(torch.equal(values, clean[name]) for name, values in collator(bare).items())


@pytest.mark.parametrize("workers", [0, 2])
def test_noise_in_transformers_own_trainer_is_new_in_each_epoch(
    workers: int, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    made = noise(tokenizer, choice="random")
    collator = NoiseCollator(DataCollatorWithPadding(tokenizer), made)
    rows, model, seen = write_texts(16, tokenizer), small_model(), []
    model.register_forward_pre_hook(lambda _, __, inputs: seen.append(inputs["input_ids"]), with_kwargs=True)
    trainer = Trainer(
        model,
        tiny.arguments(
            tmp_path,
            num_train_epochs=2,
            per_device_train_batch_size=8,
            remove_unused_columns=False,
            dataloader_num_workers=workers,
            train_sampling_strategy="sequential",
        ),
        train_dataset=rows,
        data_collator=collator,
        callbacks=[collator],
    )
    trainer.train()
    found = [[row[row != 0].tolist() for row in batch] for batch in seen]
    expected = [made.tokens((text,), epoch)["input_ids"] for epoch in (0, 1) for text in rows["text"]]
    assert [row for batch in found for row in batch] == expected
    assert expected[:16] != expected[16:]


def test_what_the_collator_cannot_do_is_refused(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    padding = DataCollatorWithPadding(tokenizer)
    for choice in ("learned", "gradient"):
        with pytest.raises(ConfigError, match=f"'{choice}' needs the gradients of AdversarialTrainer"):
            NoiseCollator(padding, noise(tokenizer, choice=choice))
    collator = NoiseCollator(padding, noise(tokenizer, choice="random"))
    kept = tiny.arguments(tmp_path, dataloader_num_workers=2, dataloader_persistent_workers=True)
    with pytest.raises(ConfigError, match="dataloader_persistent_workers"):
        collator.on_epoch_begin(kept, TrainerState(), TrainerControl())
    rows = write_texts(8, tokenizer)
    with pytest.raises(ConfigError, match="give it to the Trainer's callbacks"):
        collator(rows.to_list())
    collator.epoch = 0
    with pytest.raises(ConfigError, match="leave out a data collator that changes tokens"):
        collator([{**rows[0], "input_ids": rows[1]["input_ids"]}])


def test_a_collator_whose_texts_the_trainer_removes_is_refused(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    """The default of transformers removes the column, and no text would have noise."""
    collator = NoiseCollator(DataCollatorWithPadding(tokenizer), noise(tokenizer, choice="random"))
    arguments = tiny.arguments(tmp_path, max_steps=1, remove_unused_columns=True)
    rows = write_texts(8, tokenizer)
    trainer = Trainer(
        small_model(), arguments, train_dataset=rows, data_collator=collator, callbacks=[collator]
    )
    with pytest.raises(ConfigError, match="remove_unused_columns=False"):
        trainer.train()


# --- In a run ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noise", "says"),
    [
        ("best", "The noise has no choice 'best': choose random, learned or gradient."),
        ("learned,rates=1", "The noise has no setting 'rates': choose from rate, ramp,"),
        ("learned,choice=random", "The noise has no setting 'choice'"),
        ("learned,rate=2", "The noise's rate is 2: choose a number from 0 to 1."),
        ("random,rate", "must be a name and settings"),
        ("random,neighbours=wordnet++minilm", "are 'wordnet++minilm': join sources by single +."),
        ("random,neighbours=wordnet+missing.csv", "missing.csv"),
    ],
)
def test_noise_that_cannot_be_had_is_a_sentence(
    noise: str, says: str, encoder: Path, reviews: Path, tmp_path: Path
) -> None:
    options = ("--model", encoder, "--train-file", reviews, "--output", tmp_path / "run")
    outcome = call("run", *options, "--noise", noise)
    assert outcome.code == 2
    assert says in " ".join(outcome.err.split())
    assert not (tmp_path / "run").exists()


def test_a_run_takes_several_sources_of_its_own_for_noise(
    encoder: Path, reviews: Path, tmp_path: Path
) -> None:
    lists = tmp_path / "list.csv"
    lists.write_text("word,neighbors\nfilm,streifen\n", encoding="utf-8")
    outcome = call(
        *("run", *QUICK, "--model", encoder, "--train-file", reviews, "--no-attack", "--method", "finetune"),
        *("--noise", f"learned,neighbours={lists}+wordnet", "--output", tmp_path / "run"),
    )
    assert outcome.code == 0, outcome.err
    told = " ".join((outcome.out + outcome.err).split())
    assert "list.csv" in told
    assert "and the WordNet synonyms" in told


def test_a_list_without_a_word_of_the_data_is_a_sentence(
    encoder: Path, reviews: Path, tmp_path: Path
) -> None:
    lists = tmp_path / "list.csv"
    lists.write_text("word,neighbors\nspielfilm,streifen\n", encoding="utf-8")
    options = ("--model", encoder, "--train-file", reviews, "--output", tmp_path / "run")
    outcome = call("run", *options, "--noise", "learned", "--neighbours", lists)
    assert outcome.code == 2
    assert "No word of the training texts has a neighbour in" in " ".join(outcome.err.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "method",
    [
        "finetune",
        "earlyrobust",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("earlybert", "robust-ticket", "freeat")),
    ],
)
def test_a_run_with_noise(method: str, encoder: Path, reviews: Path, tmp_path: Path) -> None:
    def trained(name: str, *more: Any) -> tuple[dict[str, Any], Any]:
        quick = (*QUICK, "--no-attack", "--no-dense", "--method", method)
        options = ("--model", encoder, "--train-file", reviews, "--output", tmp_path / name)
        outcome = call("run", *options, *quick, *more)
        assert (outcome.code, outcome.err) == (0, "")
        return load_file(tmp_path / name / "model" / "model.safetensors"), outcome

    plain, _ = trained("plain")
    noisy, outcome = trained("noisy", "--noise", "learned,ramp=0")
    quiet, _ = trained("quiet", "--noise", "learned,rate=0")
    assert "Noise replaces words of the training texts" in " ".join(outcome.out.split())
    assert {name: weight.tobytes() for name, weight in quiet.items()} == {
        name: weight.tobytes() for name, weight in plain.items()
    }
    shapes = {name: weight.shape for name, weight in noisy.items()}
    assert shapes != {name: weight.shape for name, weight in plain.items()} or any(
        weight.tobytes() != plain[name].tobytes() for name, weight in noisy.items()
    )
    record = RunRecord.load(tmp_path / "noisy")
    assert record.config["noise"] == "learned,ramp=0"
    log = record.training["model"]
    assert len(log.noise_level) == len(log.steps)
    assert all(level is not None and 0 <= level <= 1 for level in log.noise_level)
    assert log.noisy_loss[-1] is not None
    assert len(log.clean_loss) == len(log.noisy_loss) == len(log.steps)


# --- Settings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"choice": "best"}, "no choice 'best': choose random, learned or gradient"),
        ({"rate": 1.5}, "rate is 1.5: choose a number from 0 to 1"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"ramp": -0.1}, "ramp is -0.1"),
        ({"clean": "half"}, "clean is 'half'"),
        ({"guided": True}, "guided is True"),
        ({"memory": 2}, "memory is 2"),
        ({"exchanges": 0.9, "misspells": 0.2}, "add up to 1.1"),
        ({"clean": 0.0}, "clean=0 leaves none"),
        ({"candidates": 0}, "candidates is 0: choose at least 1"),
        ({"candidates": 2.0}, "candidates is 2.0"),
    ],
)
def test_settings_that_cannot_be_used(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        NoiseConfig(**settings)


def test_occurrences_may_be_none() -> None:
    assert Occurrences.of([]).rows.shape == (0,)


@pytest.mark.parametrize("choice", ["random", "learned", "gradient"])
def test_a_compiled_model_is_refused(tokenizer: PreTrainedTokenizerBase, tmp_path: Path, choice: str) -> None:
    """Its passes would run without the hooks, and the noise would never learn."""
    with pytest.raises(ConfigError, match=r"^A compiled model ignores the hooks of .* noise: leave out"):
        train(tokenizer, tmp_path, noise(tokenizer, choice=choice), torch_compile=True)


@pytest.mark.parametrize("choice", ["random", "learned", "gradient"])
def test_a_model_with_a_compiled_layer_is_refused(
    tokenizer: PreTrainedTokenizerBase, tmp_path: Path, choice: str
) -> None:
    model = small_model()
    model.bert.encoder.layer[0].compile(backend="eager")
    with pytest.raises(ConfigError, match="compiled model ignores the hooks"):
        train(tokenizer, tmp_path, noise(tokenizer, choice=choice), model=model)
