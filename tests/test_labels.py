"""Labels: how they are read, and which output of a classifier each one is, or one sentence that refuses."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import QUICK, Outcome, call, write_csv, write_reviews
from tiny_encoder import write_encoder

from earlyrobust.analysis.findings import fault_of_swapped, swapped_classes
from earlyrobust.data import TASKS, load_files
from earlyrobust.data.files import read_chunks
from earlyrobust.data.labels import LabelReader
from earlyrobust.data.matching import match_classes
from earlyrobust.encoders import output_names
from earlyrobust.errors import ConfigError, DataError, ModelError
from earlyrobust.judging.exporting import _compare
from earlyrobust.judging.subject import load_subject
from earlyrobust.options import TestData as Data
from earlyrobust.results import RunRecord
from earlyrobust.workspace.observer import Observer

AG = TASKS["ag_news"].label_names
SST = TASKS["sst2"].label_names
COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def default(count: int) -> list[str]:
    return [f"LABEL_{index}" for index in range(count)]


def numbers(*values: int) -> list[str]:
    return list(map(str, values))


# Classes, outputs, --labels, the order that the data set defines; the output of each class, how it is found.
MATCHED: list[tuple[Any, Any, str | None, Any, list[int], str]] = [
    (["negative", "positive"], ["positive", "negative"], None, None, [1, 0], "name"),
    (["Negative", "POSITIVE"], ["positive", "negative"], None, None, [1, 0], "name"),
    (["positive"], ["negative", "positive"], None, None, [1], "name"),
    (["a", "A"], ["A", "a"], None, None, [1, 0], "name"),
    (["negative", "NEGATIVE"], ["negative", "positive"], None, None, [0, 0], "name"),
    ([COMPOSED], [DECOMPOSED, "tea"], None, None, [0], "name"),
    (["straße"], ["tea", "STRASSE"], None, None, [1], "name"),
    (["good"], ["good ", "bad"], None, None, [0], "name"),
    (["LABEL_1", "label_0"], default(2), None, None, [1, 0], "name"),
    (numbers(1, 2), ["2", "1"], None, None, [1, 0], "name"),
    (numbers(*range(12)), default(12), None, None, list(range(12)), "number"),
    (numbers(0, 10, 11, 2), numbers(*range(12)), None, None, [0, 10, 11, 2], "name"),
    (["03", "1"], numbers(1, 3), None, None, [1, 0], "number"),
    (numbers(3, 1), ["1.0", "3.0"], None, None, [1, 0], "name"),
    (numbers(0, 2), default(3), None, None, [0, 2], "number"),
    (["False", "True"], default(2), None, None, [0, 1], "number"),
    (["true"], default(2), None, None, [1], "number"),
    (numbers(0, 1), ["False", "True"], None, None, [0, 1], "number"),
    (["LABEL_0", "LABEL_1"], numbers(0, 1), None, None, [0, 1], "number"),
    # A data set that defines an order: outputs without names are taken in this order.
    (AG, default(4), None, AG, [0, 1, 2, 3], "position"),
    (SST, numbers(0, 1), None, SST, [0, 1], "position"),
    (["Sports"], default(4), None, AG, [1], "position"),
    (numbers(5, 1), default(5), None, numbers(1, 2, 3, 4, 5), [4, 0], "position"),
    (AG, ["Sports", "World", "sci/tech", "business"], None, AG, [1, 0, 3, 2], "name"),
    # By the user's word.
    (sorted(AG), default(4), "World,Sports,Business,Sci/Tech", None, [2, 3, 1, 0], "option"),
    (["World"], default(4), "World, Sports, Business, Sci/Tech", None, [0], "option"),
    (SST, ["NEG", "POS"], "NEG,POS", SST, [0, 1], "option"),
    (SST, ["POS", "NEG"], "NEG,POS", SST, [1, 0], "option"),
    (SST, ["POS", "NEG"], "positive,negative", SST, [1, 0], "option"),
    (SST, ["POS", "NEG"], "NEG=negative,POS=positive", SST, [1, 0], "option"),
    (SST, ["negative", "positive"], "positive,negative", SST, [1, 0], "option"),
    (numbers(1, 2, 3, 4), default(4), "1,2,3,4", None, [0, 1, 2, 3], "option"),
    (numbers(1, 2, 3, 4), default(5), "0,1,2,3,4", None, [1, 2, 3, 4], "option"),
    (numbers(0, 1), ["NEG", "POS"], "NEG,POS", None, [0, 1], "option"),
    (SST, ["NEG", "POS"], "negative,\n  positive\r\n", SST, [0, 1], "option"),
    (numbers(1, 2), ["NEG", "POS"], "NEG,POS", None, [0, 1], "option"),
    (numbers(0, 1), ["NEG", "POS"], "0.0,1.0", None, [0, 1], "option"),
    (["bad", "so so"], ["N", "P"], "P=bad , N = so so", None, [1, 0], "option"),
    (numbers(1, 2, 4, 5), ["neg", "pos"], "neg=1,neg=2,pos=4,pos=5", None, [0, 0, 1, 1], "option"),
    (["a, b", "c"], default(2), '"a, b",c', None, [0, 1], "option"),
    (["x=1", "x=2"], default(2), "x=2,x=1", None, [1, 0], "option"),
    (["negative", "good"], ["negative", "POS"], "POS=good", None, [0, 1], "option"),
]


@pytest.mark.parametrize(("classes", "outputs", "option", "order", "expected", "by"), MATCHED)
def test_classes_find_their_outputs(
    classes: Any, outputs: Any, option: str | None, order: Any, expected: list[int], by: str
) -> None:
    matching = match_classes(classes, outputs, "here", order=order, option=option)
    assert (list(matching.outputs), matching.by) == (expected, by)
    assert repr(classes[0]) in matching.describe(outputs)


REFUSED: list[tuple[Any, Any, str | None, Any, str]] = [
    (["good", "bad"], ["negative", "positive"], None, None, "are not those of the model"),
    (["negative", "neutral", "positive"], ["negative", "positive"], None, None, "are not those"),
    (numbers(2, 3), ["negative", "positive"], None, None, "are not those"),
    (numbers(0, 1), ["negative", "positive"], None, None, "are not those"),
    (numbers(-1, 1), default(2), None, None, "are not those"),
    (numbers(0, 1), ["1", "2"], None, None, "are not those"),
    (sorted(AG), default(4), None, None, "are not those"),
    (["positive"], default(2), None, None, "are not those"),
    (SST, ["NEG", "POS"], None, SST, "are not those"),
    (SST, default(3), None, SST, "are not those"),
    (numbers(1, 2, 3, 4), default(5), None, None, "counted from 0 or from 1"),
    (numbers(1, 2, 3, 4), default(4), None, None, "are not those"),
    (numbers(1), default(2), None, None, "counted from 0 or from 1"),
    (["Pos"], ["POS", "pos"], None, None, "More than one output"),
    (["x"], ["x", "x"], None, None, "More than one output"),
    (numbers(3), ["03", "LABEL_3"], None, None, "More than one output"),
    (SST, ["NEG", "POS"], "negative", SST, "has 2 outputs"),
    (SST, ["NEG", "POS"], "negative,positive,neutral", SST, "has 2 outputs"),
    (SST, ["NEG", "POS"], "negative,negative", SST, "names a class twice"),
    (SST, ["NEG", "POS"], "NEG,,POS", SST, "an empty one"),
    (SST, ["NEG", "POS"], "", SST, "names no class"),
    (SST, ["NEG", "POS"], "negative=NEG,positive=POS", SST, "does not begin with one of the model's outputs"),
    (SST, ["NEG", "POS"], "NEG=negative", SST, "which output is the class 'positive'"),
    (SST, ["NEG", "POS"], "NEG=positive,POS=positive", SST, "to two outputs"),
    (SST, ["NEG", "POS"], "NEG=negative,positive", SST, "does not begin"),
    (SST, ["NEG", "POS"], "bad,good", SST, "does not name the class 'negative'"),
    (["bad", "good"], ["NEG", "POS"], "NEG,POS", None, "have no order"),
]


@pytest.mark.parametrize(("classes", "outputs", "option", "order", "told"), REFUSED)
def test_what_has_no_reading_or_two_is_refused_with_a_way_out(
    classes: Any, outputs: Any, option: str | None, order: Any, told: str
) -> None:
    with pytest.raises(DataError if option is None else ConfigError) as error:
        match_classes(classes, outputs, "'test.csv'", order=order, option=option)
    assert told in str(error.value)
    if option is None and len(classes) > len(outputs):
        assert f"correct the labels, because the model has only {len(outputs)} outputs" in str(error.value)
        return
    assert "--labels" in str(error.value)
    # An example that paired unlike names would invite to swap the classes.
    example = str(error.value).partition("pairs such as ")[2]
    assert example.startswith(("OUTPUT=CLASS", "pos=Pos", "03=3", *(f"{name}={name}" for name in classes)))


@pytest.mark.parametrize(
    ("classes", "outputs", "example"),
    [
        (["Negative", "positive"], ["pos", "neutral", "negative"], "negative=Negative"),
        (["good", "bad"], ["negative", "positive"], "OUTPUT=CLASS"),
    ],
)
def test_the_example_of_pairs_does_not_swap_classes(
    classes: list[str], outputs: list[str], example: str
) -> None:
    with pytest.raises(DataError, match=f"pairs such as {example}"):
        match_classes(classes, outputs, "'test.csv'")


# --- reading -----------------------------------------------------------------------------------------------


def write(path: Path, texts: list[Any], labels: list[Any]) -> Path:
    rows = {"text": texts, "label": labels}
    if path.suffix == ".jsonl":
        lines = [json.dumps(dict(zip(rows, row, strict=True))) for row in zip(*rows.values(), strict=True)]
        path.write_text("\n".join(lines), encoding="utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.table(rows), path)
    else:
        write_csv(
            path,
            {name: ["" if value is None else value for value in values] for name, values in rows.items()},
        )
    return path


def write_class_labels(path: Path, labels: list[int], names: list[str], of: str = "text") -> Path:
    """A Parquet file as the library datasets writes it."""
    table = pa.table({"text": [f"{of} {index}" for index in range(len(labels))], "label": labels})
    features = {
        "text": {"dtype": "string", "_type": "Value"},
        "label": {"names": names, "_type": "ClassLabel"},
    }
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


def read(path: Path) -> tuple[list[str], LabelReader]:
    reader = LabelReader("label")
    chunks = read_chunks(path, ["text", "label"], rows=2)
    return [name for table in chunks for name in reader.read(table)], reader


@pytest.mark.parametrize(
    ("ending", "labels", "classes", "merged"),
    [
        ("csv", ["0.0", "11.0", "2.0"], ["0", "11", "2"], {}),
        ("jsonl", [3.0, 3, "3", "3.0"], ["3"] * 4, {"3.0": "3"}),
        ("parquet", [0.0, 1.0], ["0", "1"], {}),
        ("csv", ["-1.0", "-0.0", "7."], ["-1", "0", "7"], {}),
        ("csv", ["03", "3", "0.5"], ["03", "3", "0.5"], {}),
        ("jsonl", [True, 1, "true"], ["True", "1", "true"], {}),
        ("parquet", [True, False], ["True", "False"], {}),
        (
            "csv",
            ["negative", "negative ", "NEGATIVE"],
            ["negative"] * 2 + ["NEGATIVE"],
            {"negative ": "negative"},
        ),
        (
            "jsonl",
            ["a\u00a0", "\ta", "\ufeffa", "a"],
            ["a"] * 4,
            {"a\u00a0": "a", "\ta": "a", "\ufeffa": "a"},
        ),
        ("jsonl", [COMPOSED, DECOMPOSED], [COMPOSED] * 2, {DECOMPOSED: COMPOSED}),
    ],
)
def test_one_class_has_one_name(
    tmp_path: Path, ending: str, labels: list[Any], classes: list[str], merged: dict[str, str]
) -> None:
    found, reader = read(write(tmp_path / f"a.{ending}", ["x"] * len(labels), labels))
    assert (found, reader.merged) == (classes, merged)


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (
            ["negative", "negative ", "negative"],
            "is spelt 'negative' (2 rows), 'negative ' (1 row); all count as",
        ),
        ([COMPOSED, DECOMPOSED], "One class of it is spelt"),
        ([3, 3.0], "is spelt '3' (1 row), '3.0' (1 row)"),
        (["negative", "NEGATIVE", "NEGATIVE"], "nearly alike, 'negative' (1 row), 'NEGATIVE' (2 rows)"),
        ([True, 1], "nearly alike, 'True' (1 row), '1' (1 row)"),
        (["03", "3"], "nearly alike"),
        (["so  so", "so so"], "nearly alike"),
        (["ﬁne", "fine"], "nearly alike"),
        (["non-toxic", "non\u2010toxic", "Non\u2013Toxic"], "nearly alike"),
        (["not_hate", "not hate", "not-hate"], "nearly alike"),
        (["hate\u00adful", "hate\u200bful", "hateful"], "nearly alike"),
    ],
)
def test_spellings_are_named_with_their_counts(tmp_path: Path, labels: list[Any], told: str) -> None:
    _, reader = read(write(tmp_path / "a.jsonl", ["x"] * len(labels), labels))
    (note,) = reader.notes("it")
    assert told in note


def test_different_classes_are_not_worth_a_note(tmp_path: Path) -> None:
    _, reader = read(
        write(tmp_path / "a.csv", ["x"] * 9, ["0", "1", "good", "bad", "C", "C++", "A", "A-", "A+"])
    )
    assert list(reader.notes("it")) == []


MISSING = [("text", None), ("text", ""), ("text", " \t"), ("label", None), ("label", ""), ("label", "  ")]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
@pytest.mark.parametrize(("column", "value"), MISSING)
def test_missing_is_the_same_in_every_format(tmp_path: Path, ending: str, column: str, value: Any) -> None:
    columns = {"text": ["fine", "poor"], "label": ["a", "b"], column: ["good", value]}
    path = tmp_path / f"a.{ending}"
    if ending == "tsv":
        lines = [
            "text\tlabel",
            *(f"{text}\t{label or ''}" for text, label in zip(*columns.values(), strict=True)),
        ]
        if value == " \t":
            pytest.skip("a tab ends a field")
        path.write_text("\n".join(lines).replace("None", ""), encoding="utf-8")
    else:
        write(path, columns["text"], columns["label"])
    (table,) = read_chunks(path, ["text", "label"])
    with pytest.raises(DataError, match=f"The {column} in column '{column}' is missing in .* [23] of"):
        (table.texts("text"), LabelReader("label").read(table))


@pytest.mark.parametrize(("label", "told"), [(float("nan"), "is missing"), ("\ud83d", "surrogate")])
def test_labels_that_are_none(tmp_path: Path, label: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        read(write(tmp_path / "a.jsonl", ["x", "x"], [1.0, label]))
    if told == "is missing":
        with pytest.raises(DataError, match=told):
            read(write(tmp_path / "a.parquet", ["x", "x"], [1.0, label]))


def test_names_in_a_parquet_file_are_used_in_their_order(tmp_path: Path) -> None:
    path = write_class_labels(tmp_path / "a.parquet", [1, 0, 2, 1], ["very bad", "bad", "a good one"])
    assert read(path)[0] == ["bad", "very bad", "a good one", "bad"]
    path = write_class_labels(path, [0, 1] * 10, ["worse", "better"])
    test = write_class_labels(tmp_path / "b.parquet", [1, 0] * 3, ["worse", "better"], of="another text")
    data = load_files(path, test, text_column="text", pair_column=None, label_column="label")
    assert data.label_names == ("worse", "better")
    assert data.test["label"][:] == [1, 0] * 3
    for label, told in ((-1, "missing"), (2, "not one of the 2 classes")):
        with pytest.raises(DataError, match=told):
            read(write_class_labels(path, [0, label], ["worse", "better"]))


@pytest.mark.parametrize("metadata", [b"{", b"[]", b'{"info": 3}', b'{"info": {"features": {"label": 1}}}'])
def test_damaged_metadata_names_nothing(tmp_path: Path, metadata: bytes) -> None:
    table = pa.table({"text": ["x", "y"], "label": [0, 1]})
    pq.write_table(table.replace_schema_metadata({"huggingface": metadata}), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0] == ["0", "1"]


def test_a_test_file_may_spell_the_classes_otherwise(tmp_path: Path) -> None:
    train = write(
        tmp_path / "train.csv", [f"x{index}" for index in range(40)], ["0.0", "1.0", "1.0 ", "2.0"] * 10
    )
    test = write(tmp_path / "test.jsonl", ["a", "b", "c", "d"], [2, "1.0", 0.0, "+1"])
    data = load_files(train, test, text_column="text", pair_column=None, label_column="label")
    assert data.label_names == ("0", "1", "2")
    assert data.test["label"][:] == [2, 1, 0, 1]
    assert data.merged_labels == {"1.0": "1", "1.0 ": "1", "+1": "1"}
    assert any("'+1'" in note for note in data.label_notes)


# --- configurations of models ------------------------------------------------------------------------------


def configuration(folder: Path, **facts: Any) -> str:
    (folder / "config.json").write_text(json.dumps({"model_type": "bert", **facts}), encoding="utf-8")
    return str(folder)


@pytest.mark.parametrize(
    ("facts", "names"),
    [
        ({}, None),
        ({"id2label": None}, None),
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, None),
        ({"id2label": {"1": "b", "0": "a"}}, ["a", "b"]),
        ({"id2label": {"0": 3, "1": 5}}, ["3", "5"]),
        ({"label2id": {"b": 1, "a": 0}}, ["a", "b"]),
        ({"label2id": {"a": "0", "b": "1"}}, ["a", "b"]),
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"pos": 1, "neg": 0}}, ["neg", "pos"]),
        ({"id2label": {"0": "a", "1": "b"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}}, ["a", "b"]),
    ],
)
def test_names_of_outputs(tmp_path: Path, facts: dict[str, Any], names: list[str] | None) -> None:
    assert output_names(configuration(tmp_path, **facts)) == names


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"id2label": {"1": "a", "2": "b"}}, "numbers its outputs 1, 2 in id2label"),
        ({"id2label": {"0": "a", "2": "b"}}, "numbers its outputs 0, 2"),
        ({"id2label": {"0": "a", "1": None}}, "has None for the name"),
        ({"id2label": {"0": "a", "1": " "}}, "has ' ' for the name"),
        ({"id2label": {"0": "a", "1": ["b"]}}, "has ['b'] for the name"),
        ({"id2label": {"0": "a", "1": "a"}}, "calls two outputs 'a'"),
        (
            {"id2label": ["a", "b"]},
            "has ['a', 'b'] for id2label instead of a table: correct its config.json.",
        ),
        ({"id2label": "ab"}, "instead of a table"),
        ({"id2label": {}}, "names no output in id2label: correct its config.json."),
        ({"id2label": {"a": 0, "b": 1}}, "an index in id2label that is no number"),
        ({"label2id": {"a": 0, "b": 0}}, "gives one output two names"),
        ({"label2id": {"a": 1, "b": 2}}, "numbers its outputs 1, 2 in label2id"),
        ({"label2id": ["a", "b"]}, "instead of a table"),
        ({"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 1, "b": 0}}, "in one order in id2label"),
    ],
)
def test_damaged_names_of_outputs(tmp_path: Path, facts: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError) as error:
        output_names(configuration(tmp_path, **facts))
    assert told in str(error.value)
    assert "correct its config.json" in str(error.value)


# --- swapped classes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "answers", "swapped"),
    [
        ([0, 1] * 50, [1, 0] * 50, {"a": "b", "b": "a"}),
        ([0, 1] * 50, [1, 0] * 45 + [0, 1] * 5, {"a": "b", "b": "a"}),
        ([0] * 90 + [1] * 10, [1] * 90 + [0] * 10, {"a": "b", "b": "a"}),
        ([0, 1, 2] * 30, [1, 2, 0] * 30, {"a": "b", "b": "c", "c": "a"}),
        ([0, 1, 2] * 30, [0, 2, 1] * 30, {"b": "c", "c": "b"}),
        ([1, 2] * 30, [0, 1] * 30, {"b": "a", "c": "b"}),  # counted from 1 instead of 0
        ([0, 1] * 50, [0, 1] * 50, {}),
        ([0, 1] * 50, [0, 1, 1, 0] * 25, {}),  # chance
        ([0] * 90 + [1] * 10, [1] * 100, {}),  # one class for all
        ([0, 1, 2] * 30, [0, 2, 2] * 30, {}),  # one class taken for another
        ([0, 1] * 4, [1, 0] * 4, {}),  # too few to tell
        ([0, 1] * 15, [1, 0] * 11 + [0, 1] * 4, {}),  # as may be by chance
    ],
)
def test_swapped_classes_are_found(right: list[int], answers: list[int], swapped: dict[str, str]) -> None:
    found = swapped_classes(right, answers, ["a", "b", "c"])
    assert found == swapped
    told = fault_of_swapped(found, "The model", "Check.")
    assert (told is None) == (not swapped)
    assert told is None or "may be swapped. Check." in told


# --- the command line --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], list[int]]:
    """A random classifier of four outputs, texts, and the output that it gives each."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from earlyrobust.data.corpus import generate

    folder = write_encoder(tmp_path_factory.mktemp("answered") / "model", tuple(default(4)), seed=1)
    texts = list(generate(seed=1, train=300, selection=2, test=2)["train"][0])
    model, tokenizer = (
        kind.from_pretrained(folder) for kind in (AutoModelForSequenceClassification, AutoTokenizer)
    )
    with torch.no_grad():
        logits = model(**tokenizer(texts, padding=True, return_tensors="pt")).logits
    model.classifier.bias.data = -logits.median(dim=0).values  # so that it gives every answer
    model.save_pretrained(folder)
    answers = (logits + model.classifier.bias).argmax(dim=1).tolist()
    assert set(answers) == {0, 1, 2, 3}
    return folder, texts, answers


def renamed(model: Path, folder: Path, **facts: Any) -> Path:
    """The model with other facts in its configuration; None takes one away."""
    shutil.copytree(model, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8")) | facts
    kept = {name: value for name, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(kept), encoding="utf-8")
    return folder


def evaluated(
    answered: tuple[Path, list[str], list[int]],
    place: Path,
    spelt: list[str],
    facts: dict[str, Any],
    options: list[str],
) -> Outcome:
    """Evaluate the model, with other facts in its configuration, on its own answers, spelt in some way."""
    model, texts, answers = answered
    model = renamed(model, place / "model", **facts)
    data = write(place / "data.csv", texts, [spelt[answer] for answer in answers])
    return call("evaluate", model, "--test-file", data, *options, "--output", place / "out")


SHIFTED = ["Sports", "Business", "World", "Sci/Tech"]


@pytest.mark.parametrize(
    ("spelt", "facts", "options", "told"),
    [
        (numbers(0, 1, 2, 3), {}, [], "matched by their numbers"),
        (["0.0", "1.0", "2.0", "3.0"], {}, [], "'3' → 'LABEL_3'"),
        (AG, {}, ["--labels", ",".join(AG)], "matched by --labels"),
        (numbers(1, 2, 3, 4), {}, ["--labels", "1,2,3,4"], "'4' → 'LABEL_3'"),
        (AG, {"id2label": dict(enumerate(map(str.upper, AG)))}, [], "matched by their names"),
        (AG, {"label2id": {name: index for index, name in enumerate(AG)}}, [], "'World' → 'World'"),
        (AG, {"id2label": dict(enumerate("aabc"))}, ["--labels", ",".join(AG)], "'World' → 'LABEL_0'"),
        (
            AG,
            {"id2label": {str(i): f"N{i}" for i in range(4)}},
            ["--labels", ",".join(f"N{i}={n}" for i, n in enumerate(AG))],
            "→ 'N3'",
        ),
    ],
)
def test_the_right_answers_are_counted_right(
    answered: tuple[Path, list[str], list[int]],
    tmp_path: Path,
    spelt: list[str],
    facts: dict[str, Any],
    options: list[str],
    told: str,
) -> None:
    outcome = evaluated(answered, tmp_path, spelt, facts, options)
    assert (outcome.code, outcome.err) == (0, ""), outcome
    assert "(300 of 300 right)" in outcome.out
    assert told in outcome.out
    record = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert len(record["data"]["labels"]) == 4
    assert record["data"]["matched_by"] in told.replace("--labels", "option") or "→" in told
    assert record["findings"] == []


def test_a_parquet_file_with_names_fits_a_model_without(
    answered: tuple[Path, list[str], list[int]], tmp_path: Path
) -> None:
    model, texts, answers = answered
    path = write_class_labels(tmp_path / "a.parquet", answers, list(AG))
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, "text", pa.array(texts)), path)
    outcome = call("evaluate", model, "--test-file", path)
    assert "(300 of 300 right)" in outcome.out
    assert "matched by position" in outcome.out


def test_swapped_classes_are_a_finding_of_evaluate_and_attack(
    answered: tuple[Path, list[str], list[int]], tmp_path: Path
) -> None:
    model, texts, answers = answered
    data = write(tmp_path / "data.jsonl", texts, [AG[answer] for answer in answers])
    options = ["--test-file", data, "--labels", ",".join(SHIFTED)]
    outcome = call("evaluate", model, *options, "--output", tmp_path / "out")
    assert "Beware: The model gives most texts of " in outcome.out
    assert "may be swapped. Check them, and say by --labels" in outcome.out
    record = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert len(record["findings"]) == 1
    attacked = call(
        "attack", model, *options, "--attack", "textbugger", "--examples", "60", "--output", tmp_path / "a"
    )
    assert attacked.code == 0, attacked
    assert "Beware: The model gives most texts of " in attacked.out
    report = json.loads((tmp_path / "a" / "attack.json").read_text(encoding="utf-8"))
    assert report["test_data"]["matched_by"] == "option"
    assert report["test_data"]["labels"]["Sports"] == "LABEL_0"
    assert len(report["findings"]) == 1


@pytest.mark.parametrize(
    ("spelt", "facts", "options", "told"),
    [
        (AG, {}, [], "--labels"),
        (numbers(1, 2, 3, 4), {}, [], "--labels"),
        (AG, {"id2label": {str(index + 1): name for index, name in enumerate(AG)}}, [], "counting from 0"),
        (AG, {"id2label": ["a", "b", "c", "d"]}, [], "instead of a table"),
        (
            AG,
            {"id2label": None, "num_labels": 4, "label2id": {"a": 0, "b": 1}},
            [],
            "names 2 outputs, and the model has 4",
        ),
        (AG, {}, ["--labels", "World,Sports"], "has 4 outputs"),
    ],
)
def test_what_is_not_clear_is_refused_and_nothing_is_written(
    answered: tuple[Path, list[str], list[int]],
    tmp_path: Path,
    spelt: list[str],
    facts: dict[str, Any],
    options: list[str],
    told: str,
) -> None:
    outcome = evaluated(answered, tmp_path, spelt, facts, options)
    assert (outcome.code, told in outcome.err) == (2, True), outcome
    assert not (tmp_path / "out").exists()


def test_an_export_keeps_the_names_and_records_the_classes(
    answered: tuple[Path, list[str], list[int]], tmp_path: Path
) -> None:
    model, texts, answers = answered
    model = renamed(model, tmp_path / "model", label2id={name: index for index, name in enumerate(AG)})
    data = write(tmp_path / "data.csv", texts, [AG[answer].upper() for answer in answers])
    pytest.importorskip("onnxscript")
    outcome = call("export", model, "--to", "onnx", "--test-file", data, "--output", tmp_path / "out")
    assert outcome.code == 0, outcome
    check = json.loads((tmp_path / "out" / "export.json").read_text(encoding="utf-8"))["check"]
    assert check["accuracy"]["model"]["correct"] == 300
    assert check["test_data"]["labels"]["SPORTS"] == "Sports"
    assert output_names(str(tmp_path / "out")) == list(AG)
    assert check["findings"] == []
    swapped = Data(test_file=data, labels=",".join(map(str.upper, SHIFTED)))
    subject = load_subject(str(model), swapped, Observer())
    (finding,) = _compare(subject, subject.model, True).findings
    assert "may be swapped" in finding
    lost = call("export", model, "--to", "dense", "--labels", "a,b,c,d", "--output", tmp_path / "other")
    assert (lost.code, "--labels is for data" in lost.err) == (2, True)


def test_a_run_takes_labels_that_are_spelt_otherwise_later(encoder: Path, tmp_path: Path) -> None:
    train = write_reviews(tmp_path / "train.csv", 60)
    content = train.read_text(encoding="utf-8")
    spelt = content.replace(",negative\n", ",0.0\n").replace(",positive\n", ",1.0\n")
    train.write_text(spelt.replace(",0.0\n", ",0\n", 3), encoding="utf-8", newline="")
    options = ["--method", "finetune", "--no-attack", *QUICK[:6], "--output", tmp_path / "run"]
    outcome = call("run", "--model", encoder, "--train-file", train, *options)
    assert outcome.code == 0, outcome
    assert "is spelt '0' (3 rows), '0.0' (" in outcome.out
    record = RunRecord.load(tmp_path / "run")
    assert record.data.label_names == ["0", "1"]
    assert record.data.merged_labels == {"0.0": "0"}
    rows = load_files(train, None, text_column="text", pair_column=None, label_column="label").test
    right = []
    for spelling in ([0, 1], [0.0, 1.0], ["0.0", "1.0"], [False, True]):
        other = write(tmp_path / "other.jsonl", rows["text"][:], [spelling[index] for index in rows["label"]])
        judged = call("evaluate", tmp_path / "run", "--test-file", other)
        assert judged.code == 0, judged
        right.append(judged.out.rpartition("(")[2].split()[0])
    assert set(right) == {str(record.model.test.correct)}
    assert call("evaluate", tmp_path / "run").out.rpartition("(")[2].split()[0] == right[0]
