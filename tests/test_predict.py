"""`earlyrobust predict`: the rows of a file with the predictions beside them, in any format."""

from __future__ import annotations

import csv
import datetime
import decimal
import json
import shutil
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from conftest import call, write_csv
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from earlyrobust import judging
from earlyrobust.errors import EarlyRobustError
from earlyrobust.judging import predicting
from earlyrobust.workspace.observer import Observer

TEXTS = ["a warm and funny film", 'dull, and "long"', "", "great\nfun", "no;\rfun\tat all"]
COLUMNS: dict[str, list[Any]] = {"id": [1, 2, 3, 4, 5], "text": TEXTS, "note": ["x", "", "z\rz", "ä", "1,5"]}


def expected(classifier: Path, texts: list[str], pairs: list[str] | None = None) -> list[list[float]]:
    tokenizer = AutoTokenizer.from_pretrained(classifier)
    model = AutoModelForSequenceClassification.from_pretrained(classifier).eval()
    both = [texts] if pairs is None else [texts, pairs]
    with torch.no_grad():
        tokens = tokenizer(*both, padding=True, truncation=True, return_tensors="pt")
        return model(**tokens).logits.softmax(1).tolist()


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t" if path.suffix == ".tsv" else ","))


def write(path: Path) -> Path:
    if path.suffix == ".jsonl":
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.table(COLUMNS), path)
    else:
        write_csv(path, COLUMNS)
    return path


@pytest.mark.parametrize("source", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("target", ["csv", "tsv", "jsonl", "parquet"])
def test_every_row_keeps_its_columns_and_gets_its_prediction(
    classifier: Path, tmp_path: Path, source: str, target: str
) -> None:
    file = write(tmp_path / f"in.{source}")
    output = tmp_path / "new" / f"out.{target}"
    done = call("predict", classifier, file, "--output", output)
    assert done.code == 0, done.err
    rows = read(output)
    assert [row["text"] or "" for row in rows] == TEXTS
    assert [str(row["id"]) for row in rows] == list("12345")
    assert [row["note"] or "" for row in rows] == COLUMNS["note"]
    if target in ("jsonl", "parquet") and source != "csv":
        assert [row["id"] for row in rows] == COLUMNS["id"]  # types are kept
    wanted = iter(expected(classifier, [text for text in TEXTS if text]))
    for row, text in zip(rows, TEXTS, strict=True):
        names = ("probability_POSITIVE", "probability_NEGATIVE")
        if not text:
            assert not any(row[name] for name in ("predicted", "probability", *names))
            continue
        probabilities = next(wanted)
        assert [float(row[name]) for name in names] == pytest.approx(probabilities, abs=2e-6)
        assert float(row["probability"]) == pytest.approx(max(probabilities), abs=2e-6)
        assert row["predicted"] == ("POSITIVE" if probabilities[0] > 0.5 else "NEGATIVE")
    assert "Rows without a text: 1. They have no prediction." in done.out
    assert [file.name for file in output.parent.iterdir()] == [output.name]


def test_pairs_a_run_and_the_record(finished: tuple[Path, Any], classifier: Path, tmp_path: Path) -> None:
    pairs = {"one": TEXTS[:2], "two": ["so so", "fine"], "text": TEXTS[:2]}
    file = write_csv(tmp_path / "in.csv", pairs)
    columns = ("--text-column", "one", "--pair-column", "two")
    done = call("predict", classifier, file, *columns, "--output", tmp_path / "out.jsonl", "--json")
    assert done.code == 0, done.err
    rows = read(tmp_path / "out.jsonl")
    wanted = expected(classifier, pairs["one"], pairs["two"])
    assert [row["probability_POSITIVE"] for row in rows] == pytest.approx(
        [row[0] for row in wanted], abs=2e-6
    )
    record = json.loads(done.out)
    assert record["rows"] == sum(record["named"].values()) == 2
    assert set(record["named"]) == {"POSITIVE", "NEGATIVE"}
    assert record["environment"]["versions"]["torch"] == torch.__version__
    of_run = call("predict", finished[0], file, "--output", tmp_path / "run.csv")
    assert of_run.code == 0, of_run.err
    assert {row["predicted"] for row in read(tmp_path / "run.csv")} <= {"negative", "positive"}


def test_one_column_is_not_both_texts_of_a_pair(encoder: Path, classifier: Path, tmp_path: Path) -> None:
    """A run on pairs names the second column, so the user need not name it to name it twice."""
    rows = {"question": TEXTS[:2] * 20, "sentence": ["so so", "fine"] * 20, "label": ["yes", "no"] * 20}
    file = write_csv(tmp_path / "pairs.csv", {**rows, "question": [f"{n} x" for n in range(40)]})
    columns = ("--text-column", "question", "--pair-column", "sentence")
    short = ("--method", "finetune", "--epochs", "1", "--no-attack")
    trained = call(
        *("run", "--model", encoder, "--train-file", file, *columns, *short, "--output", tmp_path / "run")
    )
    assert trained.code == 0, trained
    both = ("--text-column", "sentence", "--pair-column", "sentence")
    out = tmp_path / "out.csv"
    for model, given in ((tmp_path / "run", both[:2]), (classifier, both)):
        done = call("predict", model, file, *given, "--output", out)
        assert done.code == 2
        assert "--text-column and --pair-column are both 'sentence'" in done.err
        assert not out.exists()
    # No label is read, so a text may stand in its column.
    done = call("predict", tmp_path / "run", file, "--text-column", "label", "--output", out)
    assert done.code == 0, done.err


def test_long_texts_are_cut_and_counted(classifier: Path, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "in.csv", {"text": ["fun " * 30, "fun " * 6, "fun"]})
    done = call("predict", classifier, file, "--max-length", 8, "--output", tmp_path / "out.csv")
    assert done.code == 0, done.err
    assert "Beware: 1 texts are longer than 8 tokens and lose their end." in done.out


class Stops(Observer):
    """Interrupts a command after some parts."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.told: list[tuple[int, int, int]] = []

    def moved(self, done: int, total: int, before: int = 0) -> None:
        self.told.append((done, total, before))
        if len(self.told) == self.after:
            raise KeyboardInterrupt


def test_an_interrupted_prediction_goes_on(
    classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predicting, "PART_ROWS", 4)
    texts = [f"film number {number}" for number in range(18)]
    file = write_csv(tmp_path / "in.csv", {"text": texts})
    output, parts = tmp_path / "out.csv", tmp_path / "out.csv.parts"
    with pytest.raises(KeyboardInterrupt):
        judging.predict(str(classifier), file, output, observer=Stops(3))
    assert not output.exists()
    assert len(list(parts.glob("part-*"))) == 3
    # Other predictions do not take what these have left.
    with pytest.raises(EarlyRobustError, match="of another model, of another file or with other options"):
        judging.predict(str(classifier), write_csv(tmp_path / "b.csv", {"text": ["other"]}), output)
    assert len(list(parts.glob("part-*"))) == 3
    rest = Stops(0)
    report = judging.predict(str(classifier), file, output, observer=rest)
    assert rest.told[-1] == (18, 18, 12)
    assert report.rows == 18
    assert not parts.exists()
    whole = tmp_path / "whole.csv"
    judging.predict(str(classifier), file, whole)
    assert output.read_bytes() == whole.read_bytes()


def test_nothing_is_overwritten_and_faults_are_said_before_any_work(
    classifier: Path, encoder: Path, tmp_path: Path
) -> None:
    file = write_csv(tmp_path / "in.csv", {"text": ["fun"], "predicted": ["mine"]})
    good = write_csv(tmp_path / "good.csv", {"text": ["fun"]})
    (tmp_path / "there.csv").write_text("mine", encoding="utf-8")
    (tmp_path / "mixed.jsonl").write_text(
        '{"text": "a", "x": 1}\n{"text": "b", "x": [2]}\n', encoding="utf-8"
    )
    (tmp_path / "number.jsonl").write_text('{"text": "a"}\n{"text": 7}\n', encoding="utf-8")
    swallowed = 'text,label\n"so bad,negative\ngood film,positive\na 6",negative\nfine,positive\n'
    (tmp_path / "with-label.csv").write_text(swallowed, encoding="utf-8")
    many = "".join(f"{number},words\n" for number in range(30))
    (tmp_path / "with-id.csv").write_text(f'id,text\n{many}30,"a\n31,b\n32,c"\n', encoding="utf-8")
    out = tmp_path / "out.csv"
    for arguments, sentence in (
        (
            (classifier, file, "--output", out),
            "has a column 'predicted' already, which predict adds: rename it",
        ),
        ((classifier, good, "--output", tmp_path / "there.csv"), "is there already"),
        ((classifier, good, "--output", tmp_path / "out.xlsx"), "cannot be told from its name"),
        (
            (classifier, good, "--text-column", "review", "--output", out),
            "no column 'review', its columns are 'text'",
        ),
        ((classifier, tmp_path / "missing.csv", "--output", out), "does not exist"),
        (
            (classifier, tmp_path / "missing.parquet", "--output", tmp_path / "o.parquet"),
            "missing.parquet does not exist: check the path",
        ),
        ((classifier, tmp_path / "with-label.csv", "--output", out), "look like rows of their own"),
        ((classifier, tmp_path / "with-id.csv", "--output", out), "look like rows of their own"),
        (
            (classifier, tmp_path / "mixed.jsonl", "--output", tmp_path / "o.parquet"),
            "values of different types",
        ),
        ((classifier, tmp_path / "number.jsonl", "--output", out), "holds int instead of text in line 2"),
        ((encoder, good, "--output", out), "without a trained classification head"),
        ((classifier, good, "--precision", "half", "--output", out), "precision"),
        ((classifier, good, "--max-length", 100_000, "--output", out), "at most"),
    ):
        done = call("predict", *arguments)
        assert (done.code, sentence in done.err) == (2, True), (sentence, done.err)
    assert (tmp_path / "there.csv").read_text(encoding="utf-8") == "mine"
    assert not out.exists()
    assert not (tmp_path / "out.csv.parts").exists()
    assert call("predict", classifier, tmp_path / "mixed.jsonl", "--output", out).code == 0


def test_a_folder_of_the_name_of_the_parts_is_left_alone(classifier: Path, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "in.csv", {"text": ["fun"]})
    parts = tmp_path / "out.csv.parts"
    parts.mkdir()
    (parts / "mine.txt").write_text("precious", encoding="utf-8")
    done = call("predict", classifier, file, "--output", tmp_path / "out.csv")
    assert (done.code, "holds other files, such as 'mine.txt'" in done.err) == (2, True), done.err
    assert [place.name for place in parts.iterdir() if not place.name.startswith(".")] == ["mine.txt"]
    assert not (tmp_path / "out.csv").exists()


def test_a_file_that_appears_among_the_parts_stays(
    classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, parts = write_csv(tmp_path / "in.csv", {"text": ["fun"]}), tmp_path / "out.csv.parts"
    compute = predicting._Work.compute

    def slowly(self: Any, *given: Any) -> int:
        (parts / "mine.txt").write_text("precious", encoding="utf-8")
        return compute(self, *given)

    monkeypatch.setattr(predicting._Work, "compute", slowly)
    assert call("predict", classifier, file, "--output", tmp_path / "out.csv").code == 0
    assert [place.name for place in parts.iterdir() if not place.name.startswith(".")] == ["mine.txt"]


def test_the_names_of_classes_of_the_datasets_library_are_kept(classifier: Path, tmp_path: Path) -> None:
    kinds = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=["no", "yes"]))
    rows = datasets.Dataset.from_dict({"text": ["fun", "dull"], "label": [1, 0]}, features=kinds)
    rows.to_parquet(tmp_path / "in.parquet")
    done = call("predict", classifier, tmp_path / "in.parquet", "--output", tmp_path / "out.parquet")
    assert done.code == 0, done.err
    found = datasets.Dataset.from_parquet(str(tmp_path / "out.parquet"), cache_dir=str(tmp_path / "cache"))
    assert found.features["label"].names == ["no", "yes"]
    assert "predicted" in found.features


def test_a_file_without_any_text_has_no_predictions(classifier: Path, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "in.csv", {"text": ["", " "], "id": [1, 2]})
    assert call("predict", classifier, file, "--output", tmp_path / "out.csv").code == 0
    assert [row["predicted"] for row in read(tmp_path / "out.csv")] == ["", ""]


def test_types_of_parquet_are_kept(classifier: Path, tmp_path: Path) -> None:
    when = datetime.datetime(2024, 1, 2, 3, 4, 5)
    kept = {
        "id": pa.array([2**63 + 1, 2], pa.uint64()),
        "small": pa.array([1, None], pa.int8()),
        "day": pa.array([when.date(), None]),
        "time": pa.array([1_704_164_645_000_000_001, None], pa.timestamp("ns")),
        "price": pa.array([decimal.Decimal("1.50"), None]),
        "tags": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
    }
    table = pa.table({"text": pa.array(["fun", "dull"]), **kept})
    pq.write_table(table, tmp_path / "in.parquet")
    for name in ("out.parquet", "out.csv"):
        done = call("predict", classifier, tmp_path / "in.parquet", "--output", tmp_path / name)
        assert done.code == 0, done.err
    written = pq.read_table(tmp_path / "out.parquet")
    assert written.select(table.column_names).equals(table)
    (first, _) = read(tmp_path / "out.csv")
    assert (first["day"], first["price"], first["id"]) == ("2024-01-02", "1.50", str(2**63 + 1))


def test_values_that_a_format_cannot_hold(classifier: Path, tmp_path: Path) -> None:
    lines = {
        "large": '{"text": "a", "x": 1}\n{"text": "b", "x": 99999999999999999999}\n',
        "empty": '{"text": "a", "x": {}}\n',
        "nan": '{"text": "a", "x": NaN}\n',
    }
    for name, content in lines.items():
        (tmp_path / f"{name}.jsonl").write_text(content, encoding="utf-8")
    for name, sentence in (("large", "too large numbers"), ("empty", "holds only empty objects")):
        done = call(
            "predict", classifier, tmp_path / f"{name}.jsonl", "--output", tmp_path / f"{name}.parquet"
        )
        assert (done.code, sentence in done.err) == (2, True), done.err
        assert not (tmp_path / f"{name}.parquet.parts").exists()
    done = call("predict", classifier, tmp_path / "nan.jsonl", "--output", tmp_path / "out.jsonl")
    assert done.code == 0, done.err
    assert "NaN" not in (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    assert read(tmp_path / "out.jsonl")[0]["x"] is None


def test_a_name_that_occurs_late_and_a_delimiter_of_the_input(
    classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predicting, "PART_ROWS", 1)
    (tmp_path / "late.jsonl").write_text('{"text": "a"}\n{"text": "b", "note": "n"}\n', encoding="utf-8")
    done = call("predict", classifier, tmp_path / "late.jsonl", "--output", tmp_path / "late.csv")
    assert done.code == 0, done.err
    assert [row["note"] for row in read(tmp_path / "late.csv")] == ["", "n"]
    (tmp_path / "in.csv").write_text("text;id\nfun;1\n", encoding="utf-8")
    for name in ("out.tsv", "out.csv"):
        option = ("--delimiter", ";", "--output", tmp_path / name)
        assert call("predict", classifier, tmp_path / "in.csv", *option).code == 0
    assert read(tmp_path / "out.tsv")[0]["id"] == "1"
    assert (tmp_path / "out.csv").read_text(encoding="utf-8").startswith("text;id;predicted")


def test_parts_of_another_tokenizer_are_refused(
    classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predicting, "PART_ROWS", 1)
    model = tmp_path / "model"
    shutil.copytree(classifier, model)
    file = write_csv(tmp_path / "in.csv", {"text": ["a warm film", "dull", "so so"]})
    with pytest.raises(KeyboardInterrupt):
        judging.predict(str(model), file, tmp_path / "out.csv", observer=Stops(1))
    rules = json.loads((model / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = rules["model"]["vocab"]
    vocabulary["film"], vocabulary["warm"] = vocabulary["warm"], vocabulary["film"]
    (model / "tokenizer.json").write_text(json.dumps(rules), encoding="utf-8")
    with pytest.raises(EarlyRobustError, match="holds predictions of another model"):
        judging.predict(str(model), file, tmp_path / "out.csv")


def test_onnx_folders_predict(classifier: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    exported = tmp_path / "onnx"
    assert call("export", classifier, "--to", "onnx", "--output", exported).code == 0
    file = write_csv(tmp_path / "in.csv", {"text": ["a warm film", "no fun at all, and too long"]})
    for model, name in ((classifier, "torch.csv"), (exported, "onnx.csv")):
        done = call("predict", model, file, "--output", tmp_path / name)
        assert done.code == 0, done.err
    first, second = (read(tmp_path / name) for name in ("torch.csv", "onnx.csv"))
    for one, other in zip(first, second, strict=True):
        assert one["predicted"] == other["predicted"]
        assert float(one["probability"]) == pytest.approx(float(other["probability"]), abs=1e-5)
    shutil.rmtree(exported)
