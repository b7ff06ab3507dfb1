"""Attacks on text that nobody meant to be attacked: a sound result, or one sentence that says why not."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tiny_encoder
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st
from tiny_encoder import POSITIONS
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, PreTrainedTokenizerBase

from earlyrobust.attacks import ATTACKS, Resources, WordSwapAttack
from earlyrobust.attacks.asks import Encoded
from earlyrobust.attacks.models import MaskedLM
from earlyrobust.attacks.resources import WordVectors
from earlyrobust.attacks.text import Text, words_of
from earlyrobust.errors import ConfigError, DataError, EarlyRobustError, ModelError, ResourceError
from earlyrobust.evaluation import evaluate_under_attack
from earlyrobust.journal import AttackedExample, read_journal

KEEPS_FIRST = {"textfooler", "bert-attack-earlyrobust"}
PLAIN = "A warm, funny film with plenty of charm."
FILLER = ["the", "of", "and", "to", "in", "that", "it", "is", "was", "for", "on", "with", "as", "be", "at"]
# Mostly stop words, so that the attacks have work to do, but not for minutes.
LONG = " ".join(FILLER[place % len(FILLER)] if place % 60 else f"film {place}" for place in range(1_970))

TEXTS = {
    "empty": "",
    "spaces": "     ",
    "line breaks": "\n\n\r\n\t",
    "one word": "good",
    "one letter": "a",
    "2,000 words": LONG,
    "long word": "x" * 5_000 + " good film",
    "punctuation": "?! ... ,,, (( )) — «»",
    "inner characters": "- ' @@@ *** __ -- '' -'@",
    "inner characters and words": "-good- 'film' @@great@@ *funny* __warm__ rock'n'roll a-b-c",
    "numbers": "1 22 3.14 1,000,000 0x7f ½ ² ٣ 9876543210",
    "emoji": "good 😀 film 👨\u200d👩\u200d👧\u200d👦 great 🇫🇷🇩🇪 👍🏽 ❤\ufe0f funny",
    "emoji only": "😀👨\u200d👩\u200d👧🇫🇷",
    "Arabic": "فيلم رائع حقا good ودافئ",
    "Hebrew": "סרט נהדר וחם good מאוד",
    "Chinese": "这部电影很好 good 看",
    "zero width": "go\u200bod fi\u200clm \ufeffgreat\u2060 \u00adfun\u00adny",
    "direction": "good \u202emlif\u202c \u2066great\u2069",
    "combining marks": "cafe\u0301 g\u0335o\u0336o\u0337d z\u0351\u036b\u0343a\u034el\u0321go",
    "Hindi": "यह फ़िल्म बहुत अच्छी है good",
    "vocalised Arabic": "فِيلْمٌ رَائِعٌ good",
    "Persian": "می\u200cخواهم کتاب\u200cها good",
    "Thai": "หนังเรื่องนี้ดีมาก good",
    "decomposed": "e\u0301cole fu\u0308r I\u0307yi good",
    "combining marks first": "\u0301\u0302 good",
    "HTML": "<p class='x'>good <b>film</b></p> &amp; &lt; <!-- great -->",
    "script": "<script>alert('good film')</script>",
    "special tokens": "[MASK] good [SEP] film [CLS] great [UNK] [PAD] <SPLIT> <mask> <s>",
    "special tokens only": "[MASK]",
    "control characters": "good\x00 fi\x01lm\x07 \x1b[31mgreat\x1b[0m \x7f\x85 funny",
    "NUL only": "\x00",
    "Turkish": "İstanbul İYİ ığdır GOOD",
    "case folding": "Straße ŒUVRE ǅ ﬁlm Ω ſ K GOOD Film gOoD",
    "full width": "ｇｏｏｄ ｆｉｌｍ",
    "look-alikes": "gооd ` × ˗ fіlm ``good`` ×film×",
    "repeated": "good good good good good good",
    "hashes": "##ing ##good Ġgood ▁film",
    "URL": "see https://example.org/good?film=great#funny or me@example.org",
    "not characters": "good \ufffe\uffff \U0010ffff film \ue000",
    "line separators": "good\u2028film\u2029great\x0bfunny\x0cwarm\x1cthing",
    "template": "{{ good }} {% film %} %s %(x)s {0} $great",
}
PAIRS = {
    "both empty": ("", ""),
    "empty first": ("", PLAIN),
    "empty second": (PLAIN, ""),
    "no word in the first": ("?!", PLAIN),
    "line breaks": ("good\nfilm\n", "\n\ngreat film\n"),
    "ends that could join": ("good -", "- film"),
    "spaces at the ends": ("good film ", " good film"),
    "the same": (PLAIN, PLAIN),
    "long": (LONG, "good film"),
    "marks of other tools": ("good <SPLIT> film", "<SPLIT> [SEP] great"),
    "Arabic": ("فيلم رائع", "good film"),
}
# Neighbours of one another, some of them hostile too.
NEAR = (
    *(
        "good",
        "great",
        "fine",
        "warm",
        "funny",
        "film",
        "plenty",
        "charm",
        "gr-eat",
        "two words",
        "'quoted'",
        "-",
    ),
    *(
        "i̇stanbul",
        "istanbul",
        "straße",
        "رائع",
        "سيئ",
        "נהדר",
        "这部电影很好",
        "坏",
        "école",
        "½",
        "1",
        "22",
        "x y z",
    ),
    *("<b>", "\u200b", "[MASK]", "`", "a\nb", "😀"),
)


class LetterCounts:
    """A stand-in for a sentence encoder: counts characters. Reads at most so many of them."""

    name = "letter counts"
    counts_rows = True
    most_tokens = None
    max_length = 200

    def encode(self, inputs: Sequence[str]) -> list[Encoded]:
        codes = [[ord(character) for character in text][: self.max_length] for text in inputs]
        return [Encoded(np.asarray(ids, np.int32).tobytes(), {"input_ids": ids}) for ids in codes]

    def compute(self, batch: Sequence[Encoded], length: int) -> list[torch.Tensor]:
        assert all(item.length <= length for item in batch)
        return [
            torch.from_numpy(
                np.bincount(np.asarray([1, *item.fields["input_ids"]]) % 64, minlength=64)
            ).float()
            for item in batch
        ]


class StandIns(Resources):
    """Resources that need no download; the tagger is a real one."""

    sentence_encoder = LetterCounts()  # type: ignore[assignment]

    def masked_lm(self, candidates: int) -> MaskedLM:
        return masked_lm(tiny_encoder.tokenizer(), candidates)


def masked_lm(tokenizer: PreTrainedTokenizerBase, candidates: int) -> MaskedLM:
    return MaskedLM(BertForMaskedLM(config()).eval(), tokenizer, "tiny", candidates)


def config() -> BertConfig:
    return BertConfig(
        vocab_size=len(tiny_encoder.vocabulary()),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=POSITIONS,
        initializer_range=0.3,
    )


@pytest.fixture(scope="module")
def victim() -> BertForSequenceClassification:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return BertForSequenceClassification(config()).eval()


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return tiny_encoder.tokenizer()


@pytest.fixture(scope="module", params=ATTACKS)
def attack(request: pytest.FixtureRequest) -> WordSwapAttack:
    return make_attack(request.param)


def make_attack(name: str) -> WordSwapAttack:
    random = np.random.default_rng(1)
    # All of them near one another, some more than others.
    vectors = 1 + 0.5 * random.standard_normal((len(NEAR), 8))
    resources = StandIns(neighbours=WordVectors(NEAR, vectors.astype(np.float32), "a few words"))
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return ATTACKS[name](resources)


def both_labels(columns: Sequence[tuple[str, ...]]) -> Dataset:
    """Every text with either label, so that one of the two is what the victim says."""
    rows = [(row, label) for row in columns for label in (0, 1)]
    data: dict[str, list[Any]] = {"text": [row[0] for row, _ in rows], "label": [label for _, label in rows]}
    if len(columns[0]) > 1:
        data["pair"] = [row[1] for row, _ in rows]
    return Dataset.from_dict(data)


def check(example: AttackedExample, keeps_first: bool) -> None:
    """Whether a result can be true."""
    assert len(example.final) == len(example.texts)
    assert example.words == len(Text.of(example.texts).words)
    assert example.queries >= 1
    assert 0 <= example.words_changed <= example.words
    assert (example.words_changed == 0) == (example.final == example.texts)
    assert 0 <= example.probability_before <= 1
    assert 0 <= example.probability_after <= 1
    assert (example.similarity is None) == (example.final == example.texts)
    assert example.similarity is None or -1.001 <= example.similarity <= 1.001
    if example.status == "skipped":
        assert example.queries == 1
        assert example.words_changed == 0
        assert example.probability_before < 0.5
    else:
        assert example.probability_before >= 0.5
    assert (example.predicted == example.label) == (example.status == "failed")
    if example.status == "succeeded":
        assert example.words_changed > 0
        assert example.probability_after <= 0.5
    assert example.probability_after <= example.probability_before
    if keeps_first and len(example.texts) > 1:
        assert example.final[0] == example.texts[0]


def run(
    attack: WordSwapAttack,
    victim: BertForSequenceClassification,
    tokenizer: PreTrainedTokenizerBase,
    columns: Sequence[tuple[str, ...]],
    journal: Path,
) -> list[AttackedExample]:
    record = evaluate_under_attack(victim, tokenizer, both_labels(columns), attack, journal=journal)
    header, examples = read_journal(journal)
    assert header["attack"] == attack.name
    assert [example.texts for example in examples] == [row for row in columns for _ in range(2)]
    assert record.clean.correct == len(columns)  # of both labels one is right
    assert record.clean.correct - record.under_attack.correct == sum(
        example.status == "succeeded" for example in examples
    )
    for example in examples:
        check(example, attack.name in KEEPS_FIRST)
        # What the model itself says of the final text, asked without any engine.
        # Lists, as in training: alone, an empty second text is taken for none by transformers.
        reads = attack.victim_reads or (lambda text: text)
        final = [[reads(column)] for column in example.final]
        inputs = tokenizer(*final, truncation=True, max_length=POSITIONS, return_tensors="pt")
        with torch.inference_mode():
            probabilities = torch.softmax(victim(**inputs).logits[0], dim=0)
        assert float(probabilities[example.label]) == pytest.approx(example.probability_after, abs=1e-5)
        assert abs(probabilities[0] - 0.5) < 1e-5 or int(probabilities.argmax()) == example.predicted
    return examples


def test_single_texts(
    attack: WordSwapAttack,
    victim: BertForSequenceClassification,
    tokenizer: PreTrainedTokenizerBase,
    tmp_path: Path,
) -> None:
    examples = run(
        attack, victim, tokenizer, [(text,) for text in TEXTS.values()], tmp_path / "journal.jsonl"
    )
    # The test is worth something only if the attacks get somewhere.
    assert sum(example.words_changed > 0 for example in examples) >= len(TEXTS) / 4
    wordless = {"empty", "spaces", "line breaks", "punctuation", "emoji only", "NUL only", "inner characters"}
    for name, example in zip([name for name in TEXTS for _ in range(2)], examples, strict=True):
        if name in wordless:
            assert (example.words, example.queries) == (0, 1), name


def test_pairs(
    attack: WordSwapAttack,
    victim: BertForSequenceClassification,
    tokenizer: PreTrainedTokenizerBase,
    tmp_path: Path,
) -> None:
    examples = run(attack, victim, tokenizer, list(PAIRS.values()), tmp_path / "journal.jsonl")
    assert sum(example.words_changed > 0 for example in examples) >= len(PAIRS) / 4


@pytest.mark.parametrize("text", ["\ud800", "good \ud800 film"])
def test_half_surrogates_cannot_get_into_a_data_set(text: str) -> None:
    # Files that hold them are refused with a sentence of ours, see test_data_files.
    with pytest.raises((UnicodeEncodeError, pa.ArrowException)):
        both_labels([(text,)])


@pytest.mark.parametrize(
    ("labels", "found"),
    [([0, 1, 2], "2"), ([-1, 0], "-1"), ([], "empty")],
    ids=["unknown", "negative", "no example"],
)
def test_data_that_cannot_be_attacked(
    victim: BertForSequenceClassification, tokenizer: PreTrainedTokenizerBase, labels: list[int], found: str
) -> None:
    data = Dataset.from_dict({"text": ["good film"] * len(labels), "label": labels})
    with pytest.raises(DataError, match=found) as caught:
        evaluate_under_attack(victim, tokenizer, data, make_attack("textfooler"))
    assert is_one_sentence(caught.value)


def test_a_sample_too_small_for_all_classes(
    victim: BertForSequenceClassification, tokenizer: PreTrainedTokenizerBase
) -> None:
    with pytest.raises(ConfigError, match="1 example") as caught:
        evaluate_under_attack(
            victim, tokenizer, both_labels([(PLAIN,)]), make_attack("textfooler"), examples=1
        )
    assert is_one_sentence(caught.value)


def test_a_masked_language_model_without_a_mask_token() -> None:
    tokenizer = tiny_encoder.tokenizer()
    tokenizer.mask_token = None
    with pytest.raises(ResourceError, match="mask token") as caught:
        masked_lm(tokenizer, 48)
    assert is_one_sentence(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_model_that_gives_no_numbers(
    attack: WordSwapAttack, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, value: float
) -> None:
    model = BertForSequenceClassification(config())
    torch.nn.init.constant_(model.classifier.bias, value)
    path = tmp_path / "journal.jsonl"
    with pytest.raises(ModelError, match="NaN") as caught:
        evaluate_under_attack(model, tokenizer, both_labels([(PLAIN,)]), attack, journal=path)
    assert is_one_sentence(caught.value)
    assert read_journal(path)[1] == []


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_a_model_of_half_precision(tokenizer: PreTrainedTokenizerBase, kind: torch.dtype) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = BertForSequenceClassification(config()).to(kind)
    record = evaluate_under_attack(model, tokenizer, both_labels([(PLAIN,)]), make_attack("textbugger"))
    assert (record.clean.correct, record.clean.total) == (1, 2)


def test_what_was_finished_before_a_failure_is_kept(
    victim: BertForSequenceClassification, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    attack = make_attack("textbugger")
    data = both_labels([(text,) for text in TEXTS.values() if len(text) < 100])
    arguments: dict[str, Any] = {"seed": 5, "in_flight": 4}
    whole, broken = tmp_path / "whole.jsonl", tmp_path / "broken.jsonl"
    record = evaluate_under_attack(victim, tokenizer, data, attack, journal=whole, **arguments)

    def fail(*_: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise RuntimeError("out of memory")

    left = 40
    hook = victim.register_forward_pre_hook(fail)
    try:
        with pytest.raises(RuntimeError, match="out of memory"):
            evaluate_under_attack(victim, tokenizer, data, attack, journal=broken, **arguments)
    finally:
        hook.remove()
    finished = read_journal(broken)[1]
    assert 0 < len(finished) < len(data)
    assert [
        example for example in read_journal(whole)[1] if example.index in {f.index for f in finished}
    ] == finished
    watched: list[int] = []
    again = evaluate_under_attack(
        victim,
        tokenizer,
        data,
        attack,
        journal=broken,
        watch=lambda done, *_: watched.append(len(done)),
        **arguments,
    )
    assert watched == list(range(len(finished) + 1, len(data) + 1))
    assert read_journal(broken)[1] == read_journal(whole)[1]
    assert dataclasses.replace(again, journal=None) == dataclasses.replace(record, journal=None)


def is_one_sentence(error: EarlyRobustError) -> bool:
    return str(error).endswith(".") and "\n" not in str(error)


# Words, the characters that may stand inside them, and what has surprised text tools before.
ODD = st.sampled_from([*"ab \n-'_*@`×˗.éİ中😀٣ǅ", "\u0301", "ि", "\u200b", "\u200d", "\ud800", "\x00", "\r"])
ODD_TEXTS = st.lists(ODD, max_size=30).map("".join) | st.text(max_size=30)


@given(
    st.lists(ODD_TEXTS, min_size=1, max_size=2),
    st.lists(st.tuples(st.integers(0, 99), ODD_TEXTS), max_size=8),
)
def test_texts_know_their_words_after_any_replacements(
    columns: list[str], replacements: list[tuple[int, str]]
) -> None:
    text = Text.of(columns)
    assert text.columns == tuple(columns)
    for place, new in replacements:
        if not text.words:
            break
        place %= len(text.words)
        first = text.is_in_first_column(place)
        before = text
        text = text.replace(place, new)
        assert list(text.words) == words_of(text.full)
        for start, word in zip(text.starts, text.words, strict=True):
            assert text.full[start : start + len(word)] == word
        assert "\n".join(text.columns) == text.full
        assert len(text.columns) == len(columns)
        # Only the column of the word has changed.
        untouched = 1 if first else 0
        assert text.columns[untouched:][:1] == before.columns[untouched:][:1] or len(columns) == 1
        assert all(0 <= position < len(text.words) for position in (*text.modified, *text.newest))
        assert set(text.newest) <= text.modified
        assert [text.words[position] for position in text.newest] in ([], words_of(new))
        assert text.words_changed(text) == 0
