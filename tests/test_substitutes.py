"""Neighbours of words as neighbours of tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import tiny
import torch
from conftest import call, write_reviews
from transformers import AutoTokenizer

from earlyrobust.adversarial import FreeLB, WordSwap
from earlyrobust.adversarial.wordswap import token_neighbours
from earlyrobust.attacks import Resources
from earlyrobust.errors import ConfigError, ResourceError
from earlyrobust.options.run import RunConfig
from earlyrobust.pipeline.recipe import Recipe
from earlyrobust.results import RunRecord
from earlyrobust.workspace.observer import Observer


class Lists:
    name = "lists"
    has_vectors = False
    measures_meaning = False

    def __init__(self, lists: dict[str, list[str]]) -> None:
        self.lists = lists
        self.asked: set[str] = set()

    def nearest(self, word: str, count: int) -> list[str]:
        self.asked.add(word)
        return self.lists.get(word, [])[:count]

    def cosine(self, a: str, b: str) -> float | None:
        return None


@pytest.fixture(scope="module")
def tokenizer(encoder: Path) -> Any:
    return AutoTokenizer.from_pretrained(encoder)


def test_words_that_are_tokens_get_the_tokens_of_their_neighbours(tokenizer: Any) -> None:
    vocabulary = tokenizer.get_vocab()
    words = [word for word in vocabulary if word.isalpha() and word.islower() and len(word) > 3]
    good, fine, bad = words[:3]
    near = Lists({good: [fine, "unheardof", bad.capitalize()], fine: [good.upper()]})  # case does not matter
    table = token_neighbours(tokenizer, near, 3)
    assert table.shape == (max(vocabulary.values()) + 1, 3)
    index = vocabulary
    assert table[index[good]].tolist() == [index[fine], index[bad], index[good]]
    assert table[index[fine]].tolist() == [index[good], index[fine], index[fine]]
    others = [token for word, token in vocabulary.items() if word not in (good, fine)]
    assert (table[others] == torch.tensor(others)[:, None]).all()
    # Neither special tokens nor pieces of words are words.
    assert not near.asked & {*tokenizer.all_special_tokens, *(word for word in vocabulary if "#" in word)}


def test_words_without_any_neighbour_are_refused(tokenizer: Any) -> None:
    with pytest.raises(ResourceError, match="'lists': choose other --neighbours"):
        token_neighbours(tokenizer, Lists({}), 3)


def test_only_an_adversary_that_lacks_neighbours_looks_for_them(tokenizer: Any) -> None:
    nowhere = Resources(neighbours="no such source")
    for adversary in (FreeLB(), WordSwap(rate=0.0), tiny.make("wordswap", {})):
        assert adversary.prepare(tokenizer, nowhere) is adversary
    with pytest.raises(ResourceError, match="no such source"):
        WordSwap().prepare(tokenizer, nowhere)


def test_two_adversaries_get_the_same_neighbours_and_it_is_said_once(encoder: Path) -> None:
    class Listener(Observer):
        notes: ClassVar[list[str]] = []

        def note(self, message: str) -> None:
            self.notes.append(message)

    config = RunConfig(adversary="wordswap,candidates=2", search_adversary="wordswap,candidates=5").resolved()
    resources = Resources(neighbours=str(encoder))
    recipe = Recipe.of(config).prepared(AutoTokenizer.from_pretrained(encoder), resources, Listener())
    few, many = recipe.adversary, recipe.search_adversary
    assert isinstance(few, WordSwap)
    assert isinstance(many, WordSwap)
    assert few.substitutes is not None
    assert many.substitutes is not None
    assert (few.substitutes.shape[1], many.substitutes.shape[1]) == (2, 5)
    assert torch.equal(few.substitutes, many.substitutes[:, :2])
    assert len(Listener.notes) == 1


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (None, "give it substitutes"),
        (torch.zeros(tiny.VOCABULARY + 1, 8, dtype=torch.int64), r"40 tokens, .* shape \(41, 8\)"),
        (torch.zeros(tiny.VOCABULARY, 7, dtype=torch.int64), r"8 neighbours .* shape \(40, 7\)"),
    ],
)
def test_word_swaps_need_neighbours_of_the_model_s_tokens(table: torch.Tensor | None, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        WordSwap(substitutes=table).parts(tiny.classifier())


def test_tokens_beyond_the_list_are_not_swapped() -> None:
    table = torch.zeros(10, 8, dtype=torch.int64)
    part: Any = WordSwap(substitutes=table).parts(tiny.classifier())
    assert not part.substitutes[:10].any()
    assert (part.substitutes[10:] == torch.arange(10, tiny.VOCABULARY)[:, None]).all()


def test_a_run_swaps_words_by_the_neighbours_of_its_attacks(encoder: Path, tmp_path: Path) -> None:
    reviews = write_reviews(tmp_path / "few.csv", 60)
    options = ("--model", encoder, "--train-file", reviews, "--epochs", "1", "--no-attack", "--no-dense")
    swaps = ("--method", "finetune", "--adversary", "wordswap,rate=0.3", "--neighbours", encoder)
    outcome = call("run", *options, *swaps, "--output", tmp_path / "run")
    assert outcome.code == 0, outcome
    assert "Training swaps words for their neighbours in " in outcome.out
    assert RunRecord.load(tmp_path / "run").config["adversary"] == "wordswap,rate=0.3"
    missing = (*swaps[:-1], tmp_path / "nowhere.parquet")
    outcome = call("run", *options, *missing, "--output", tmp_path / "other")
    assert outcome.code == 2
    assert "nowhere.parquet" in outcome.err
    assert not (tmp_path / "other").exists()
