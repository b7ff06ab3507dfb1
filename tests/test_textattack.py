"""TextAttack's logs, and classifiers as its victims."""

from __future__ import annotations

import csv
import json
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from test_attack_oracle import GOLDEN, golden
from textattack_stand_in import UntargetedClassification, write_log
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from earlyrobust import AttackedExample, TextAttackWrapper, prune, read_textattack_csv
from earlyrobust.attacks.text import words_of
from earlyrobust.errors import DataError, OutputError
from earlyrobust.journal import Journal
from earlyrobust.reports.examples import render_examples
from earlyrobust.results import AttackRecord
from earlyrobust.textattack import read_attacked
from earlyrobust.tickets.ticket import Ticket

TYPES = {"succeeded": "Successful", "failed": "Failed", "skipped": "Skipped"}
PAIR = ("premise", "hypothesis")


def result_of(example: dict[str, Any], names: Sequence[str] = PAIR) -> dict[str, Any]:
    """A golden example, which TextAttack itself has made, as its logger gets it."""
    label, status = example["label"], example["status"]
    keys = ["text"] if len(example["texts"]) == 1 else names
    right = (status != "skipped", status == "failed")
    return {
        "texts": dict(zip(keys, example["texts"], strict=True)),
        "final": dict(zip(keys, example["final"], strict=True)),
        "label": label,
        "outputs": [label if is_right else 1 - label for is_right in right],
        "scores": [0.125 if is_right else 0.75 for is_right in right],
        "queries": example["queries"],
        "type": TYPES[status],
    }


def comparable(example: AttackedExample) -> tuple[Any, ...]:
    return example.status, example.queries, list(example.texts), list(example.final), example.label


LOGS = GOLDEN / "logs"

# --- Logs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["file", "plain"])
@pytest.mark.parametrize("victim", ["single", "pair"])
def test_a_log_by_textattack_itself_reads_as_its_results(victim: str, style: str) -> None:
    given = json.loads((LOGS / f"{victim}.json").read_text(encoding="utf-8"))["examples"]
    assert {"Skipped", "Successful"} <= {example["type"] for example in given}
    notes: list[str] = []
    read = read_textattack_csv(LOGS / f"{victim}-{style}.csv", notes.append)
    assert len(read) == len(given)
    for example, meant in zip(read, given, strict=True):
        assert list(example.texts) == meant["texts"]
        assert list(example.final) == meant["final"]
        assert TYPES[example.status] == meant["type"]
        assert [example.label, example.predicted] == [meant["label"], meant["outputs"][1]]
        assert example.queries == meant["queries"]
        for score, probability in zip(
            meant["scores"], (example.probability_before, example.probability_after), strict=True
        ):
            assert probability == pytest.approx(1 - score, abs=1e-7)
        if meant["texts"][0].isascii():  # of Chinese TextAttack makes other words
            assert example.words == meant["words"]
            if len(words_of(meant["texts"][0])) == len(words_of(meant["final"][0])):
                assert example.words_changed == meant["changed"]
    assert any("[[" in "".join(example.texts) for example in read)
    marked = sum(example.texts != example.final for example in read if example.texts[0].isascii())
    assert f"taken out of {marked if style == 'file' else 0} of them" in notes[1]


@pytest.mark.parametrize("method", ["file", None], ids=["file", "plain"])
@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("recipe", ["textfooler", "textbugger", "bert-attack"])
def test_a_log_of_what_textattack_did_reads_as_it_was(
    recipe: str, columns: int, method: str | None, tmp_path: Path
) -> None:
    given = [example for example in golden(recipe) if len(example["texts"]) == columns]
    assert {example["status"] for example in given} == set(TYPES)
    log = write_log(tmp_path / "log.csv", [result_of(example) for example in given], method)
    notes: list[str] = []
    read = read_textattack_csv(log, notes.append)
    assert [example.index for example in read] == list(range(len(given)))
    assert [comparable(example) for example in read] == [
        (example["status"], example["queries"], example["texts"], example["final"], example["label"])
        for example in given
    ]
    for example, meant in zip(read, given, strict=True):
        assert example.similarity is None
        assert example.probability_before == (0.25 if meant["status"] == "skipped" else 0.875)
        assert example.probability_after == (0.875 if meant["status"] == "failed" else 0.25)
        assert (example.predicted == example.label) == (example.status == "failed")
        assert example.words == sum(len(words_of(text)) for text in meant["texts"])
        assert (example.words_changed > 0) == (meant["texts"] != meant["final"])
    as_what = "single texts" if columns == 1 else "pairs of 'Premise' and 'Hypothesis'"
    assert notes[0] == f"The rows of '{log}' ({len(given)}) are read as {as_what}."
    changed = sum(example["texts"] != example["final"] for example in given)
    # Golden texts hold odd forms; a few of their changes are not words that TextAttack would mark.
    said = int(notes[1].partition("out of ")[2].split()[0])
    assert said == 0 if method is None else 0.9 * changed <= said <= changed


def row(**changes: Any) -> dict[str, Any]:
    """A row as TextAttack writes it."""
    usual = {
        "original_text": "a [[great]] film",
        "perturbed_text": "a [[grate]] film",
        "original_score": 0.015625,
        "perturbed_score": 0.75,
        "original_output": 1,
        "perturbed_output": 0,
        "ground_truth_output": 1,
        "num_queries": 37,
        "result_type": "Successful",
    }
    return usual | changes


def failed(before: str, after: str) -> dict[str, Any]:
    return row(
        original_text=before,
        perturbed_text=after,
        perturbed_output=1,
        perturbed_score=0.25,
        result_type="Failed",
    )


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_row_written_by_hand(tmp_path: Path) -> None:
    (example,) = read_textattack_csv(write(tmp_path / "log.csv", [row()]))
    assert example == AttackedExample(
        *(0, 1, ("a great film",), "succeeded", 37, ("a grate film",), 3, 1, 0, 0.984375, 0.25, None)
    )


@pytest.mark.parametrize(
    ("before", "after", "texts", "final", "changed"),
    [
        ("a [[fine]] film", "a [[fin]] [[e]] film", ("a fine film",), ("a fin e film",), 1),
        ("[[so]], it is", ", it is", ("so, it is",), (", it is",), 1),
        ("one<SPLIT>two [[three]]", "one<SPLIT>two [[tree]]", ("one\ntwo three",), ("one\ntwo tree",), 1),
        # Brackets of the text's own are alike in both.
        (
            "see [[Wiki]], [[dull]]",
            "see [[Wiki]], [[full]]",
            ("see [[Wiki]], dull",),
            ("see [[Wiki]], full",),
            1,
        ),
        ("a [[ b ]] [[c]]", "a [[ b ]] [[d]]", ("a [[ b ]] c",), ("a [[ b ]] d",), 1),
        ("[[[[x]]]] [[[c]]]", "[[[[x]]]] [[[d]]]", ("[[[[x]]]] [c]",), ("[[[[x]]]] [d]",), 1),
        ('a, [[b]]"', 'a, [[ß]]"', ('a, b"',), ('a, ß"',), 1),
        # Alike before and after, as where nothing could be edited.
        ("nothing", "nothing", ("nothing",), ("nothing",), 0),
        ("", "", ("",), ("",), 0),
        # Names of columns, marked and not.
        (
            "[[[[Question]]]]: who<SPLIT>[[[[Sentence]]]]: [[he]]<SPLIT>is",
            "[[[[Question]]]]: who<SPLIT>[[[[Sentence]]]]: [[she]]<SPLIT>is",
            ("who", "he\nis"),
            ("who", "she\nis"),
            1,
        ),
        ("Sentence1: a<SPLIT>Sentence2: b", "Sentence1: a<SPLIT>Sentence2: c", ("a", "b"), ("a", "c"), 1),
        ("Premise: <SPLIT>Hypothesis: b", "Premise: <SPLIT>Hypothesis: c", ("", "b"), ("", "c"), 1),
        # Such words within a single text are none.
        ("Verdict: a<SPLIT>mess", "Verdict: a<SPLIT>mass", ("Verdict: a\nmess",), ("Verdict: a\nmass",), 1),
        (
            "Plot: a<SPLIT>and Cast: b",
            "Plot: a<SPLIT>and Cast: c",
            ("Plot: a\nand Cast: b",),
            ("Plot: a\nand Cast: c",),
            1,
        ),
        (
            "my Plot: a<SPLIT>Cast: b",
            "my Plot: a<SPLIT>Cast: c",
            ("my Plot: a\nCast: b",),
            ("my Plot: a\nCast: c",),
            1,
        ),
    ],
    ids=str,
)
def test_texts_are_taken_apart(
    before: str, after: str, texts: tuple[str, ...], final: tuple[str, ...], changed: int, tmp_path: Path
) -> None:
    (example,) = read_textattack_csv(write(tmp_path / "log.csv", [failed(before, after)]))
    assert (example.texts, example.final, example.words_changed) == (texts, final, changed)


def test_chinese_rows_have_no_marks_among_those_that_have(tmp_path: Path) -> None:
    names = {"premise": "一部好电影。", "hypothesis": "很好看"}
    chinese = result_of({"texts": ["", ""], "final": ["", ""], "label": 1, "status": "failed", "queries": 3})
    chinese |= {"texts": names, "final": names | {"hypothesis": "很难看"}, "marks": False}
    english = result_of(
        {"texts": ["a b", "c d"], "final": ["a b", "c e"], "label": 1, "status": "failed", "queries": 3}
    )
    read = read_textattack_csv(write_log(tmp_path / "log.csv", [english, chinese]))
    assert [example.texts for example in read] == [("a b", "c d"), tuple(names.values())]
    assert read[1].final == ("一部好电影。", "很难看")


def test_one_other_row_makes_plain_names_words(tmp_path: Path) -> None:
    """In the style "plain" only the whole log tells pairs from texts with colons."""
    rows = [failed("Plot: a<SPLIT>Cast: b", "Plot: a<SPLIT>Cast: c"), failed("so", "no")]
    notes: list[str] = []
    pair = read_textattack_csv(write(tmp_path / "pair.csv", rows[:1]), notes.append)
    single = read_textattack_csv(write(tmp_path / "single.csv", rows), notes.append)
    assert [example.texts for example in (*pair, *single)] == [("a", "b"), ("Plot: a\nCast: b",), ("so",)]
    assert "pairs of 'Plot' and 'Cast'" in notes[0]
    assert "as single texts" in notes[2]


def test_brackets_that_stay_are_counted(tmp_path: Path) -> None:
    notes: list[str] = []
    rows = [row(), failed("[[Wiki]] a", "[[Wiki]] b")]
    read_textattack_csv(write(tmp_path / "log.csv", rows), notes.append)
    assert notes[1:] == [
        "Marks [[ ]] around words are taken out of 1 of them.",
        "Words in [[ ]] that are alike before and after the attack stay, in 1 of them.",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"num_queries": 37.0, "ground_truth_output": 1.0},  # pandas' numbers in a column with gaps
        {"original_score": -1e-7},  # 1 - p in single precision
        {"original_score": 0, "perturbed_score": 1},
        {"perturbed_score": 0.5},
        {"": 0},  # the index, where a log was saved again
        {"original_score": 0.7, "ground_truth_output": 3, "original_output": 3, "perturbed_output": 12},
    ],
    ids=str,
)
def test_numbers_as_they_come(changes: dict[str, Any], tmp_path: Path) -> None:
    (example,) = read_textattack_csv(write(tmp_path / "log.csv", [row(**changes)]))
    assert example.queries == 37
    assert 0 <= example.probability_after <= example.probability_before <= 1 or example.label == 3


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"result_type": "Maximized"},
            "ended as 'Maximized', and only attacks that end as Successful, Failed",
        ),
        ({"result_type": ""}, "ended as ''"),
        (
            {"original_output": "Ein guter Film"},
            "'Ein guter Film' for original_output, which is no whole number",
        ),
        ({"ground_truth_output": "tensor(1)"}, "'tensor(1)' for ground_truth_output"),
        ({"ground_truth_output": 0.5}, "'0.5' for ground_truth_output"),
        ({"ground_truth_output": -1}, "'-1' for ground_truth_output"),
        ({"ground_truth_output": ""}, "'' for ground_truth_output"),
        ({"num_queries": "inf"}, "'inf' for num_queries"),
        # A targeted attack that reached its target from a wrong class, or that has not reached it.
        ({"original_output": 2}, "ended as Successful, though the model gave class 2 before and 0 after"),
        ({"result_type": "Failed"}, "ended as Failed, though the model gave class 1 before and 0 after"),
        ({"result_type": "Skipped"}, "ended as Skipped, though"),
        ({"perturbed_output": 1}, "only untargeted attacks on classifiers can be read"),
        # Scores of other goals.
        ({"perturbed_score": 0.3}, "'0.3' for perturbed_score, which is not 1 - the probability"),
        ({"original_score": 3.5}, "'3.5' for original_score"),
        ({"original_score": -0.5}, "'-0.5' for original_score"),
        ({"original_score": "nan"}, "'nan' for original_score"),
        ({"original_text": "a \x1b[91mgreat\x1b[0m film"}, "marks words by colours"),
        ({"perturbed_text": "a <font color = red>grate</font> film"}, "marks words by colours"),
        (
            {"original_text": "[[[[Premise]]]]: a<SPLIT>[[[[Hypothesis]]]]: b"},
            "a text without the columns 'Premise'",
        ),
    ],
    ids=str,
)
def test_rows_that_cannot_be_read_are_refused(changes: dict[str, Any], says: str, tmp_path: Path) -> None:
    log = write(tmp_path / "log.csv", [row(), row(**changes)])
    with pytest.raises(DataError) as refused:
        read_textattack_csv(log)
    said = str(refused.value)
    assert says in said
    assert re.match("The row at line [23] of ", said)
    assert str(log) in said


def without(content: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in names}


def test_files_that_are_no_logs_are_refused(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    for content, says in (
        (None, "There is no log"),
        (b"", "has no column 'original_text', 'perturbed_text'"),
        (b"\n", "has no column"),  # an attack that was ended before its first example
        (b"text,label\nso,1\n", "has no column 'original_text'"),
        (b"\xff\xfe,\n", "is not UTF-8"),
        (
            write(log, [without(row(), "num_queries")]).read_bytes(),
            "has no column 'num_queries': it is not a log",
        ),
        (write(log, [row()]).read_bytes().split(b"\n")[0] + b"\n", "holds no attacked example"),
        (write(log, [row()]).read_bytes() + b'"a","b"\n', "The row at line 3 of"),
        (write(log, [row()]).read_bytes() + b'"a', "do not match"),
    ):
        log.unlink(missing_ok=True)
        if content is not None:
            log.write_bytes(content)
        with pytest.raises(DataError) as refused:
            read_textattack_csv(log)
        assert says in str(refused.value), content


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ({"premise": "a", "hypothesis": "b", "more": "c"}, "other columns than the rows before it"),
        ({"question": "a", "sentence": "b"}, "other columns than the rows before it"),
    ],
    ids=str,
)
def test_columns_must_be_alike_and_two_at_most(second: dict[str, str], says: str, tmp_path: Path) -> None:
    made = {"label": 1, "outputs": [1, 1], "scores": [0.1, 0.1], "queries": 2, "type": "Failed"}
    rows = [
        {**made, "texts": texts, "final": texts} for texts in ({"premise": "a", "hypothesis": "b"}, second)
    ]
    with pytest.raises(DataError, match=says):
        read_textattack_csv(write_log(tmp_path / "log.csv", rows))
    for method in ("file", None):
        three = write_log(tmp_path / "log.csv", [rows[1]], method)
        if len(second) == 3:
            with pytest.raises(DataError, match="have the columns 'Premise', 'Hypothesis', 'More': only"):
                read_textattack_csv(three)
        else:
            assert read_textattack_csv(three)[0].texts == ("a", "b")


@pytest.mark.parametrize("method", ["ansi", "html"])
def test_other_styles_are_refused(method: str, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", [result_of(example) for example in golden("textfooler")], method)
    with pytest.raises(DataError, match="marks words by colours: attack again with --csv-coloring"):
        read_textattack_csv(log)


def test_a_long_text_is_read_whole(tmp_path: Path) -> None:
    long = "word " * 50_000
    (example,) = read_textattack_csv(write(tmp_path / "log.csv", [failed(long, long)]))
    assert example.texts == (long,)
    assert example.words == 50_000


def test_journals_and_logs_are_read_by_one_function(tmp_path: Path) -> None:
    log = write(tmp_path / "LOG.CSV", [row(), failed("a", "b")])
    header, examples = read_attacked(log)
    assert header == {"attack": "textattack"}
    with Journal(tmp_path / "journal.jsonl", {"attack": "any"}) as book:
        for example in examples:
            book.add(example)
    assert read_attacked(tmp_path / "journal.jsonl") == ({"journal": 1, "attack": "any"}, examples)
    with pytest.raises(OutputError):
        read_attacked(log.rename(tmp_path / "log.jsonl"))


def test_a_page_of_a_log(tmp_path: Path) -> None:
    given = golden("textfooler")[:20]
    log = write_log(tmp_path / "log.csv", [result_of(example) for example in given])
    examples = read_textattack_csv(log)
    record = AttackRecord.of(examples, {"attack": "textfooler"})
    render_examples([("TextFooler", record, examples)], ["negative", "positive"], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "TextFooler" in page
    assert record.under_attack.correct == sum(example["status"] == "failed" for example in given)


# --- The wrapper -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=[1, 2], ids=["single", "pair"])
def victim(request: pytest.FixtureRequest) -> tuple[Any, Any, list[Any]]:
    """A classifier, its tokenizer, and texts of many lengths as TextAttack hands them over."""
    folder = GOLDEN / ("victim-single" if request.param == 1 else "victim-pair")
    texts = [example["texts"] for example in golden("textfooler") if len(example["texts"]) == request.param]
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    handed = [tuple(text) if request.param == 2 else text[0] for text in texts[:40]]
    return model, AutoTokenizer.from_pretrained(folder), handed


def expected(model: Any, tokenizer: Any, texts: Sequence[Any], most: int) -> torch.Tensor:
    """Probabilities of each text by itself."""
    rows = []
    for text in texts:
        columns = [text] if isinstance(text, str) else list(text)
        tokens = tokenizer(*columns, truncation=True, max_length=most, return_tensors="pt")
        with torch.no_grad():
            rows.append(model.eval()(**tokens).logits[0].double().softmax(0))
    return torch.stack(rows)


@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_textattack_gets_the_probabilities_of_each_text(
    batch_size: int, victim: tuple[Any, Any, list[Any]]
) -> None:
    model, tokenizer, texts = victim
    wrapper = TextAttackWrapper(model, tokenizer, max_length=128)
    goal = UntargetedClassification(wrapper, batch_size)
    found = goal.probabilities(texts)
    torch.testing.assert_close(found, expected(model, tokenizer, texts, 128), atol=1e-5, rtol=0)
    assert goal.victim_class is type(model)
    assert wrapper.model is model
    assert wrapper.tokenizer is tokenizer


def test_many_classes_are_probabilities_still() -> None:
    """Rows whose sum is off by rounding TextAttack takes for logits, and flattens them."""
    from tiny_encoder import tokenizer as make_tokenizer
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=300,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        initializer_range=1.0,
        num_labels=3_000,
    )
    model, tokenizer = BertForSequenceClassification(config), make_tokenizer()
    texts = ["! " * count for count in range(20)]
    single = expected(model, tokenizer, texts, 32)
    found = UntargetedClassification(TextAttackWrapper(model, tokenizer)).probabilities(texts)
    torch.testing.assert_close(found, single, atol=1e-5, rtol=0)
    assert single.max() > 0.01  # flattened they would all be near 1 / 3,000


def test_texts_are_cut_where_the_user_says(victim: tuple[Any, Any, list[Any]]) -> None:
    model, tokenizer, texts = victim
    found = TextAttackWrapper(model, tokenizer, max_length=10)(texts)
    np.testing.assert_allclose(found, expected(model, tokenizer, texts, 10), atol=1e-5)


def test_a_cut_model_can_be_wrapped(victim: tuple[Any, Any, list[Any]]) -> None:
    model, tokenizer, texts = victim
    shape = model.config.num_hidden_layers, model.config.num_attention_heads
    heads, neurons = np.ones(shape, bool), np.ones((shape[0], model.config.intermediate_size), bool)
    heads[0, 0] = neurons[1, :7] = False
    cut = prune(model, Ticket(model.config.model_type, heads, neurons))
    found = UntargetedClassification(TextAttackWrapper(cut, tokenizer, max_length=128)).probabilities(texts)
    torch.testing.assert_close(found, expected(cut, tokenizer, texts, 128), atol=1e-5, rtol=0)


def test_no_texts_have_no_answers(victim: tuple[Any, Any, list[Any]]) -> None:
    model, tokenizer, _ = victim
    assert TextAttackWrapper(model, tokenizer)([]).shape == (0, model.config.num_labels)


def test_textattack_takes_it_for_one_of_its_wrappers(
    victim: tuple[Any, Any, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`textattack attack --model-from-file` asks `isinstance(model, ModelWrapper)`."""

    class ModelWrapper(ABC):
        @abstractmethod
        def __call__(self, text_input_list: list[Any], **kwargs: Any) -> Any:
            raise NotImplementedError

    model, tokenizer, _ = victim
    assert not isinstance(TextAttackWrapper(model, tokenizer), ModelWrapper)
    loaded = ModuleType("textattack.models.wrappers")
    loaded.ModelWrapper = ModelWrapper  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, loaded.__name__, loaded)
    wrapper = TextAttackWrapper(model, tokenizer)
    assert isinstance(wrapper, ModelWrapper)
    # TextAttack moves modules that it finds among the attributes of a wrapper to its own device. The wrapper
    # computes on the model's.
    assert not any(isinstance(value, torch.nn.Module) for value in vars(wrapper).values())
