"""What a run was trained on holds for what it is judged on, and for whoever calls the command again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from conftest import call, write_csv
from tiny_encoder import write_encoder

from earlyrobust.encoders import files_digest
from earlyrobust.errors import ConfigError, DataError, ModelError, OutputError
from earlyrobust.judging.evaluating import evaluate
from earlyrobust.judging.export_options import export_folder
from earlyrobust.judging.exporting import _Job, export
from earlyrobust.judging.subject import load_subject
from earlyrobust.judging.test_data import attack_folder, describe_inherited, source_of
from earlyrobust.options import AttackConfig, RunConfig
from earlyrobust.options import TestData as Data
from earlyrobust.options.export import ExportConfig
from earlyrobust.pipeline import run
from earlyrobust.pipeline.splits import load_data
from earlyrobust.results import EvaluationReport, ExportRecord, RunRecord
from earlyrobust.results import TestDataRecord as RowsRecord
from earlyrobust.storage import locked
from earlyrobust.workspace.finding import options_of
from earlyrobust.workspace.folder import RunFolder
from earlyrobust.workspace.observer import Observer

FORMATS = Path(__file__).parent / "golden" / "formats"
PAIRS = {"text_column": "question", "pair_column": "answer", "label_column": "gold"}
SINGLE = {"text_column": "review", "label_column": "mood"}


def write_pairs(path: Path, rows: int = 40) -> Path:
    columns: dict[str, list[object]] = {
        "question": [f"is it warm or dull number {row}" for row in range(rows)],
        "answer": ["a warm film" if row % 3 else "a dull film and a great mess" for row in range(rows)],
        "gold": [("negative", "positive")[row % 2] for row in range(rows)],
    }
    return write_csv(path, columns)


def write_singles(path: Path, rows: int = 40, first: int = 0) -> Path:
    texts = [f"a warm film and a dull one, number {row}" for row in range(first, first + rows)]
    moods = [("negative", "positive")[row % 2] for row in range(rows)]
    return write_csv(path, {"review": [*texts], "mood": [*moods]})


def begin(folder: Path, model: Path, **options: Any) -> Path:
    """The folder of a run as one leaves it that has trained the classifier `model`."""
    config = RunConfig.build({"model": str(model), **options})
    run = RunFolder(folder, {"command": "run"}, config.to_dict())
    with run.claimed(load_data(config).fingerprint, files_digest(config.model)):
        for name in ("model", "dense", "exports/onnx"):
            shutil.copytree(model, folder / name)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs on pairs, on single texts of named columns, and on tasks."""
    folder = tmp_path_factory.mktemp("place")
    model = write_encoder(folder / "encoder")
    begin(folder / "pairs", model, train_file=write_pairs(folder / "pairs.csv"), **PAIRS, max_length=64)
    begin(
        folder / "singles", model, train_file=write_singles(folder / "singles.csv"), **SINGLE, max_length=48
    )
    begin(folder / "builtin", model, task="builtin", max_length=32)
    shutil.copytree(folder / "builtin", folder / "qnli")
    options = RunConfig.build({"model": str(model), "task": "qnli", "max_length": 40}).to_dict()
    (folder / "qnli" / "config.yaml").write_text(yaml.safe_dump(options), encoding="utf-8")
    return folder


def test_a_finished_run_on_files_that_changed_is_not_taken_for_one_on_them(
    place: Path, tmp_path: Path
) -> None:
    own = write_singles(tmp_path / "own.csv")
    options = {"model": str(place / "encoder"), "train_file": own, "output": tmp_path / "run", **SINGLE}
    config = RunConfig.build({**options, "method": "finetune", "attack": [], "epochs": 0.2})
    first = run(config)
    assert run(config) == first
    own.rename(tmp_path / "elsewhere.csv")
    assert run(config) == first  # it is not needed to show the record
    write_singles(own, 41)
    with pytest.raises(OutputError, match="was begun on other data"):
        run(config)


# --- The run's own length and columns ----------------------------------------------------------------------

READ = ("max_length", "text_column", "pair_column", "label_column")


@pytest.mark.parametrize(
    ("model", "given", "expected"),
    [
        ("pairs", {"test_file": "t.csv"}, (64, "question", "answer", "gold")),
        ("pairs/model", {"test_file": "t.csv"}, (64, "question", "answer", "gold")),
        ("pairs/dense", {"test_file": "t.csv"}, (64, "question", "answer", "gold")),
        ("pairs/exports/onnx", {"test_file": "t.csv"}, (64, "question", "answer", "gold")),
        ("pairs", {}, (64, "question", "answer", "gold")),
        ("pairs", {"max_length": 32}, (32, "question", "answer", "gold")),
        ("pairs", {"test_file": "t.csv", "max_length": 32}, (32, "question", "answer", "gold")),
        ("pairs", {"test_file": "t.csv", "text_column": "q"}, (64, "q", "answer", "gold")),
        ("pairs", {"test_file": "t.csv", "pair_column": "p"}, (64, "question", "p", "gold")),
        ("pairs", {"test_file": "t.csv", "label_column": "l"}, (64, "question", "answer", "l")),
        ("pairs", {"task": "qqp"}, (64, "text", None, "label")),
        ("singles", {"test_file": "t.csv"}, (48, "review", None, "mood")),
        ("singles", {"test_file": "t.csv", "text_column": "text"}, (48, "text", None, "mood")),
        ("singles", {"task": "sst2"}, (48, "text", None, "label")),
        ("singles/model", {"task": "imdb"}, (48, "text", None, "label")),
        ("builtin", {"test_file": "t.csv"}, (32, "text", None, "label")),
        ("builtin", {"task": "imdb", "max_length": 100}, (100, "text", None, "label")),
        ("qnli", {"test_file": "t.csv", "pair_column": "b"}, (40, "text", "b", "label")),
        ("encoder", {"test_file": "t.csv"}, (128, "text", None, "label")),
        ("encoder", {"task": "imdb"}, (256, "text", None, "label")),
        ("nobody/nothing", {"test_file": "t.csv", "pair_column": "b"}, (128, "text", "b", "label")),
    ],
    ids=str,
)
def test_a_model_is_judged_as_its_run_read_texts(
    model: str, given: dict[str, Any], expected: tuple[Any, ...], place: Path
) -> None:
    data = Data(**{name: Path(value) if name == "test_file" else value for name, value in given.items()})
    source = source_of(str(place / model) if (place / model).exists() else model, data)
    assert tuple(getattr(source, name) for name in READ) == expected


@pytest.mark.parametrize("folder", ["pairs", "pairs/model", "pairs/exports/onnx"])
def test_a_run_is_known_from_within_its_folders(
    folder: str, place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(place / folder)
    monkeypatch.chdir(place / folder)
    for name in (".", str(tmp_path / "link")):
        assert source_of(name, Data(test_file=Path("t.csv"))).max_length == 64
    # A name on the hub lies in no folder, whichever one works in.
    assert source_of("nobody/nothing", Data(test_file=Path("t.csv"))).max_length == 128


def test_an_export_is_judged_with_the_length_of_its_record(place: Path, tmp_path: Path) -> None:
    golden = Path(__file__).with_name("golden") / "formats" / "export"
    content = json.loads((golden / "export.json").read_text(encoding="utf-8"))
    (tmp_path / "export.json").write_text(json.dumps({**content, "max_length": 32}), encoding="utf-8")
    for given, length in (({}, 32), ({"max_length": 64}, 64)):
        data = Data(test_file=Path("t.csv"), **given)
        assert source_of(str(tmp_path), data).max_length == length
        said = describe_inherited(str(tmp_path), data)
        assert said == (None if given else f"From the export in '{tmp_path}': --max-length 32.")


def test_the_folder_of_an_unfinished_run_is_no_classifier(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "singles", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "model")
    with pytest.raises(ModelError, match=r"has no model yet: .* or name its dense model, '.*dense'\.$"):
        source_of(str(tmp_path / "run"), Data())


class Listener(Observer):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


def test_pairs_are_judged_as_pairs_and_it_is_said(place: Path) -> None:
    listener = Listener()
    subject = load_subject(str(place / "pairs"), Data(test_file=place / "pairs.csv"), listener)
    assert set(subject.rows.column_names) == {"text", "pair", "label"}
    assert subject.max_length == subject.test_data.max_length == 64
    said = (
        f"From the run in '{place / 'pairs'}': --max-length 64, --text-column question, "
        "--pair-column answer, --label-column gold."
    )
    assert listener.notes[0] == said
    listener.notes.clear()
    load_subject(str(place / "pairs"), Data(), listener)
    assert said not in listener.notes


@pytest.mark.parametrize(
    ("model", "given", "named"),
    [
        # Options that would have no effect.
        *(
            (model, {option: "nonsense", **data}, f"--{option.replace('_', '-')}")
            for option in ("text_column", "pair_column", "label_column")
            for model, data in (
                ("pairs", {}),
                ("encoder", {"task": "builtin"}),
                ("singles", {"task": "sst2"}),
            )
        ),
        ("pairs", {"data_dir": "d"}, "--data-dir is for a task, and the run in"),
        ("pairs", {"quotes": False}, "--no-quotes is for your own data"),
        ("builtin", {"data_dir": "d"}, "--data-dir"),
        ("pairs", {"data_dir": "d", "test_file": "t.csv"}, "--data-dir"),
        ("pairs", {"task": "sst2", "test_file": "t.csv"}, "--task"),
        # One text for a model of two, and the other way round.
        ("pairs", {"task": "sst2"}, "single texts: choose another --task"),
        ("qnli", {"test_file": "t.csv"}, "give --pair-column"),
        ("qnli", {"task": "builtin"}, "single texts: choose another --task"),
        ("singles", {"test_file": "t.csv", "pair_column": "b"}, "leave --pair-column out"),
        ("builtin", {"test_file": "t.csv", "pair_column": "b"}, "leave --pair-column out"),
        ("singles", {"task": "qnli"}, "pairs of texts: choose another --task"),
    ],
    ids=str,
)
def test_what_cannot_be_or_has_no_effect_is_refused(
    model: str, given: dict[str, Any], named: str, place: Path
) -> None:
    data = {
        name: Path(value) if name in ("test_file", "data_dir") else value for name, value in given.items()
    }
    with pytest.raises(ConfigError) as error:
        source_of(str(place / model), Data(**data))
    assert named in str(error.value)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (("evaluate",), ("--text-column", "nonsense")),
        (("attack",), ("--label-column", "nonsense")),
        (("export", "--to", "onnx"), ("--pair-column", "nonsense")),
        (("export", "--to", "dense"), ("--data-dir", "nonsense")),
    ],
    ids=str,
)
def test_commands_refuse_them_too(command: tuple[str, ...], options: tuple[str, str], tmp_path: Path) -> None:
    model = write_encoder(tmp_path / "encoder")
    for of_run in (True, False):
        if of_run:
            shutil.copytree(FORMATS / "run", tmp_path / "run")
        outcome = call(command[0], tmp_path / "run" if of_run else model, *command[1:], *options)
        assert outcome.code == 2, outcome
        assert options[0] in outcome.err or (not of_run and "--task" in outcome.err)
        assert outcome.err.count("\n") == 1


def test_an_export_on_made_up_sentences_reads_as_much_as_it_is_told(place: Path, tmp_path: Path) -> None:
    listener, config = Listener(), ExportConfig(to="onnx", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="1000 tokens are too long"):
        export(str(place / "encoder"), Data(max_length=1000), config, listener)


# --- The run's own data ------------------------------------------------------------------------------------


def lines(change: Callable[[list[str]], list[str]]) -> Callable[[Path], object]:
    def apply(file: Path) -> None:
        header, *rows = file.read_text(encoding="utf-8").splitlines()
        file.write_text("\n".join([header, *change(rows)]) + "\n", encoding="utf-8")

    return apply


@pytest.mark.parametrize(
    ("file", "change", "named"),
    [
        ("own.csv", lines(lambda rows: rows + [row.replace("number", "no.") for row in rows]), "changed"),
        ("own.csv", lines(lambda rows: rows[:-2]), "changed"),
        ("own.csv", lines(lambda rows: rows[::-1]), "changed"),
        ("own.csv", lines(lambda rows: [rows[0].replace("warm", "cold"), *rows[1:]]), "changed"),
        ("own.csv", lines(lambda rows: [row.replace("negative", "bad") for row in rows]), "cannot be read"),
        ("own.csv", lines(lambda rows: rows[:3]), "cannot be read any more"),
        ("own.csv", lambda file: file.write_text("a,b\n1,2\n"), "cannot be read any more"),
        ("own.csv", lambda file: file.unlink(), "is not there"),
        ("test.csv", lines(lambda rows: rows[:-1]), "changed"),
        ("test.csv", lambda file: file.rename(file.with_name("elsewhere.csv")), "is not there"),
    ],
)
def test_data_that_is_not_the_run_s_any_more_is_refused(
    file: str, change: Callable[[Path], object], named: str, place: Path, tmp_path: Path
) -> None:
    own, test = write_singles(tmp_path / "own.csv"), write_singles(tmp_path / "test.csv", 8, first=100)
    run = begin(tmp_path / "run", place / "encoder", train_file=own, test_file=test, **SINGLE)
    assert evaluate(str(run), Data()).data.rows == 8
    change(tmp_path / file)
    with pytest.raises(DataError) as error:
        evaluate(str(run), Data())
    for shown in (str(run), file if "not there" in named else "own.csv", named, "--test-file"):
        assert shown in str(error.value)
    other = write_singles(tmp_path / "other.csv", 6)
    assert evaluate(str(run), Data(test_file=other)).data.rows == 6


def test_texts_that_a_run_was_trained_on_are_counted(place: Path, tmp_path: Path) -> None:
    own = write_singles(tmp_path / "own.csv", 60)
    run = begin(tmp_path / "run", place / "encoder", train_file=own, **SINGLE)
    held_out = set(load_data(options_of(run)).test["text"])
    new = write_singles(tmp_path / "new.csv", 10, first=100)
    half = write_singles(tmp_path / "half.csv", 120)
    for file, known in ((own, 60 - len(held_out)), (new, 0), (half, 60 - len(held_out))):
        report = evaluate(str(run), Data(test_file=file))
        assert report.data.known == known
        told = [finding for finding in report.findings if "trained on" in finding]
        assert told == [
            f"{known} of the {report.data.rows} texts are in the data that the model was trained "
            "on, so its accuracy is too high: judge it on other texts."
        ] * bool(known)
    assert evaluate(str(run), Data()).data.known is None  # its own test split, which it was not trained on
    columns = {"text_column": "review", "label_column": "mood"}
    assert evaluate(str(place / "encoder"), Data(test_file=own, **columns)).data.known is None
    for change in (lambda: write_singles(own, 61), own.unlink):
        change()
        listener = Listener()
        assert evaluate(str(run), Data(test_file=new), observer=listener).data.known is None
        assert [
            note
            for note in listener.notes
            if "is unknown whether the model was trained on any of these texts" in note
        ]


def test_a_run_finds_its_data_from_any_folder(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, rows in (("home", 40), ("away", 60)):
        (tmp_path / name).mkdir()
        write_singles(tmp_path / name / "own.csv", rows)
    monkeypatch.chdir(tmp_path / "home")
    run = begin(Path("run"), place / "encoder", train_file=Path("own.csv"), **SINGLE).absolute()
    rows = evaluate("run", Data()).data
    monkeypatch.chdir(tmp_path / "away")
    assert evaluate(str(run), Data()).data == evaluate("../home/run", Data()).data == rows
    # In the folder of an earlier version the path is as it was given, and may lead to another file here.
    options = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    assert options["train_file"] == str(tmp_path / "home" / "own.csv")
    (run / "config.yaml").write_text(yaml.safe_dump({**options, "train_file": "own.csv"}), encoding="utf-8")
    with pytest.raises(DataError, match="has changed since"):
        evaluate(str(run), Data())
    monkeypatch.chdir(tmp_path / "home")
    assert evaluate("run", Data()).data == rows


# --- The folder of a run -----------------------------------------------------------------------------------

ENCODER = {"model": "minilm", "train_file": Path("own.csv")}


@pytest.mark.parametrize(
    ("then", "now", "named"),
    [
        ({"seed": 1}, {"seed": 2}, ["--seed is 1 there and 2 here"]),
        ({}, {"epochs": 10}, ["--epochs is 3.0 there and 10.0 here"]),
        ({"pair_column": "b"}, {}, ["--pair-column is b there and not given here"]),
        ({"bf16": True}, {}, ["--bf16 is yes there and not given here"]),
        ({"attack": "textfooler,textbugger"}, {"attack": ()}, ["textfooler,textbugger there and empty here"]),
        ({"method": "freelb"}, {"method": "pgd"}, ["--method is freelb there and pgd here"]),
        ({"train_file": Path("x/own.csv")}, {}, ["--train-file is ", "x/own.csv there", "own.csv here"]),
        (
            {"model": "nobody/one"},
            {"model": "nobody/two"},
            ["--model is nobody/one there and nobody/two here"],
        ),
        ({"neighbours": "a.txt"}, {"neighbours": "b.txt"}, ["--neighbours is a.txt there"]),
        (
            {"seed": 1, "heads": 0.5, "gamma": 0.2, "patience": 3, "batch_size": 4},
            {},
            ["--seed is 1 there", "--batch-size is 4 there and 16 here", "and 2 more differ"],
        ),
    ],
    ids=str,
)
def test_the_options_that_differ_are_named(
    then: dict[str, Any],
    now: dict[str, Any],
    named: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    begun, called = (RunConfig.build({**ENCODER, **options}).to_dict() for options in (then, now))
    with RunFolder(Path("run"), {"command": "run"}, begun).claimed("data"):
        pass
    before = {path.name: path.read_bytes() for path in Path("run").iterdir()}
    with pytest.raises(OutputError, match="holds another run") as error:
        RunFolder(Path("run"), {"command": "run"}, called)
    assert all(part in str(error.value) for part in named), str(error.value)
    assert str(error.value).count("\n") == 0
    for command in ({"command": "search"}, {"command": "attack", "model": "m", "data": "{}"}):
        with pytest.raises(OutputError, match=f"the command is run there and {command['command']} here"):
            RunFolder(Path("run"), command, begun)
    assert {path.name: path.read_bytes() for path in Path("run").iterdir()} == before


@pytest.mark.parametrize(
    ("option", "name", "fitting"),
    [
        ("train_file", "own.csv", {}),
        ("test_file", "own.csv", {"train_file": "other.csv"}),
        ("data_dir", "data", {"task": "sst2"}),
        ("model", "encoder", {"train_file": "own.csv"}),
        ("neighbours", "near.txt", {"train_file": "own.csv"}),
        ("sentence_encoder", "encoder", {"train_file": "own.csv"}),
        ("masked_lm", "encoder", {"train_file": "own.csv"}),
        ("nltk_data", "data", {"train_file": "own.csv"}),
    ],
)
def test_files_are_known_by_where_they_are(
    option: str, name: str, fitting: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at(folder: str, path: str) -> RunFolder:
        (tmp_path / folder).mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / folder)
        options = RunConfig.build({**fitting, option: path}).to_dict()
        if option != "train_file" and "train_file" in fitting:
            options["train_file"] = "/own.csv"
        return RunFolder(tmp_path / "run", {"command": "run"}, options)

    for folder in ("home", "away"):
        (tmp_path / folder / name).mkdir(parents=True)
    with at("home", name).claimed("data", "weights"):
        pass
    for folder, path in (
        ("home", f"./{name}"),
        ("away", f"../home/{name}"),
        ("away", f"{tmp_path}/home/{name}"),
    ):
        assert not at(folder, path).has_moved
    with pytest.raises(OutputError, match=f"--{option.replace('_', '-')} is .*/home/{name} there and "):
        at("away", name)
    # All has been moved: what is in the files tells whether they are the same.
    (tmp_path / "home").rename(tmp_path / "new")
    assert at("new", name).has_moved
    with pytest.raises(OutputError, match="other data"), at("new", name).claimed("more data", "weights"):
        pass
    with pytest.raises(OutputError, match="has changed"), at("new", name).claimed("data", "other weights"):
        pass
    with at("new", name).claimed("data", "weights"):
        pass
    assert not at("new", name).has_moved


def test_a_folder_that_an_earlier_version_began_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names places as they were given, and columns that were not."""
    shutil.copytree(FORMATS, tmp_path / "formats")
    monkeypatch.chdir(tmp_path / "formats")
    begun = yaml.safe_load(Path("attack/config.yaml").read_text(encoding="utf-8"))
    for model, data in (("run", {"test_file": None}), (str(tmp_path / "formats/run"), {"text_column": None})):
        command = {"command": "attack", "model": model, "data": json.dumps(data)}
        with RunFolder(Path("attack"), command, AttackConfig.parse(begun).to_dict()).claimed(
            "f9afb2d0627541611141f48992b7d1b045a83e117588b66d2a8c488983eb72a7"
        ):
            pass
    with pytest.raises(OutputError, match="--text-column is not given there and body here"):
        RunFolder(Path("attack"), {**command, "data": '{"text_column": "body"}'}, begun)


@pytest.mark.parametrize(
    ("change", "is_other"),
    [
        (lambda folder: write_encoder(folder, seed=5), True),
        (lambda folder: write_encoder(folder, ("bad", "good")), True),
        (lambda folder: (folder / "config.json").write_text("{}"), True),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), True),
        (lambda folder: (folder / "model.safetensors").rename(folder / "model-1.safetensors"), True),
        (lambda folder: (folder / "pytorch_model.bin").write_bytes(b"other"), True),
        (lambda folder: write_encoder(folder), False),
        (lambda folder: (folder / "README.md").write_text("of ours"), False),
    ],
)
def test_a_model_is_known_by_its_files(
    change: Callable[[Path], object], is_other: bool, tmp_path: Path, place: Path
) -> None:
    model = Path(shutil.copytree(place / "encoder", tmp_path / "encoder"))
    before = files_digest(str(model))
    change(model)
    assert (files_digest(str(model)) != before) is is_other
    assert files_digest("nobody/nothing") is None


def test_a_change_deep_in_large_weights_is_seen(tmp_path: Path) -> None:
    """Of files so large no more than parts are read; a training changes all of them."""
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(200 * 2**20)
    before = files_digest(str(tmp_path))
    with (tmp_path / "model.safetensors").open("r+b") as file:
        for position in range(0, 200 * 2**20, 2**20):
            file.seek(position + 2**19)
            file.write(b"x")
            file.seek(position)
            file.write(b"x")
    assert files_digest(str(tmp_path)) != before


# --- Folders of attacks, exports and evaluations -----------------------------------------------------------


def test_every_model_and_data_has_a_folder_of_its_own(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a/tiny", "b/tiny"):
        shutil.copytree(place / "encoder", name)
    models = [
        "a/tiny",
        "b/tiny",
        "nobody/tiny",
        "somebody/tiny",
        *(str(place / name) for name in ("pairs/dense", "pairs")),
    ]
    files = [{"test_file": Path(name)} for name in ("x/t.csv", "y/t.csv", "t.csv", "x/t.tsv")]
    tasks = [{"task": "qqp"}, {"task": "qnli"}, {"task": "qqp", "data_dir": Path("x")}]
    attacks = [attack_folder(model, Data(**data)) for model in models for data in [*files, *tasks]]
    attacks += [attack_folder(model, Data()) for model in models[-2:]]
    assert len(set(attacks)) == len(attacks)
    assert str(attacks[0]).startswith("runs/tiny-t-")
    assert str(attacks[-1]).startswith("runs/pairs-pairs-")
    same = attack_folder(str(tmp_path / "a" / "tiny"), Data(test_file=tmp_path / "x" / "t.csv"))
    assert same == attacks[0]
    exports = [export_folder(model, to) for model in models for to in ("dense", "onnx")]
    assert len(set(exports)) == len(exports)
    assert (
        exports[-1]
        == place / "pairs" / "exports" / "onnx"
        == export_folder(str(place / "pairs/model"), "onnx")
    )
    assert exports[-3] == place / "pairs" / "exports" / "dense-onnx"


@pytest.fixture(scope="module")
def evaluated(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated") / "out"
    evaluate(str(place / "singles"), Data(), folder)
    return folder


@pytest.mark.parametrize(
    ("model", "data", "named"),
    [
        ("other", {"test_file": "singles.csv", **SINGLE, "max_length": 48}, "another model"),
        ("singles", {"test_file": "singles.csv"}, "another name, fingerprint, rows"),
        ("singles", {"max_length": 16}, "another max length"),
        ("pairs", {}, "singles.csv"),
        ("builtin", {}, "singles.csv"),
    ],
    ids=str,
)
def test_an_evaluation_does_not_overwrite_another(
    model: str, data: dict[str, Any], named: str, place: Path, evaluated: Path
) -> None:
    if model == "other" and not (place / "other").exists():
        write_encoder(place / "other", seed=7)
    given = {name: place / value if name == "test_file" else value for name, value in data.items()}
    before = (evaluated / "evaluation.json").read_bytes()
    with pytest.raises(OutputError, match=f"holds the evaluation of '{place / 'singles'}'") as error:
        evaluate(str(place / model), Data(**given), evaluated)
    assert named.replace("another name, ", "") in str(error.value)
    assert (evaluated / "evaluation.json").read_bytes() == before


def test_which_weights_were_chosen_is_told_and_recorded(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(place / "singles", "run")  # a run's own model is no name on the hub
    shutil.copytree(place / "encoder", "somebody/model")
    Path("somebody/model/pytorch_model.bin").write_bytes(b"")
    chosen = [
        "'somebody/model' is read from the folder of that name here, not from the Hugging Face hub.",
        "The weights of 'somebody/model' are read from model.safetensors, not from pytorch_model.bin beside "
        "it.",
    ]
    data = Data(test_file=place / "singles.csv", **SINGLE)
    for model, expected in (("run", []), ("run/model", []), ("somebody/model", chosen)):
        listener = Listener()
        evaluate(model, data, tmp_path / "out" / model, listener)
        assert EvaluationReport.load(tmp_path / "out" / model).choices == expected
        assert [note for note in listener.notes if "read from" in note] == expected
    config = {"model": "somebody/model", "train_file": str(place / "singles.csv"), **SINGLE}
    record = run(RunConfig.build({**config, "method": "finetune", "attack": [], "output": "trained"}))
    assert RunRecord.load(Path("trained")).choices == record.choices
    assert record.choices[:2] == chosen


@pytest.mark.parametrize(
    ("prepare", "named"),
    [
        (lambda out: (out / "thesis.txt").write_text("mine"), "holds other files"),
        (lambda out: (out / "evaluation.json").write_text("{"), "damaged"),
        (lambda out: (out / "evaluation.json").write_text("[]"), "damaged"),
        (lambda out: (out / "evaluation.json").mkdir(), "cannot be read: Is a directory"),
        (lambda out: (out.rmdir(), out.write_text("mine")), "not a folder"),
        (lambda out: (out / "result.json").write_text("{}"), "holds other files"),
    ],
)
def test_an_evaluation_begins_only_where_it_can_be_kept(
    prepare: Callable[[Path], object], named: str, place: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    prepare(out)
    with pytest.raises(OutputError, match=named):
        evaluate("nobody/nothing", Data(task="builtin"), out)  # said before the model is looked for


def test_an_evaluation_is_not_begun_where_nothing_can_be_written_or_another_is_at_work(
    place: Path, tmp_path: Path
) -> None:
    never = Path("/proc/earlyrobust")  # that nobody may write there shows only when it is tried
    with pytest.raises(OutputError, match=f"'{never}' cannot be written to"):
        evaluate(str(place / "singles"), Data(), never)
    with (
        locked(tmp_path / "out", beside=True),
        pytest.raises(OutputError, match="Another command is at work"),
    ):
        evaluate(str(place / "singles"), Data(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_is_repeated_in_its_folder(place: Path, evaluated: Path) -> None:
    again = evaluate(str(place / "singles" / "model"), Data(), evaluated)
    assert EvaluationReport.load(evaluated) == again
    outcome = call("evaluate", place / "singles", "--output", place / "singles")
    assert outcome.code == 2
    assert "holds other files" in outcome.err


@pytest.mark.parametrize(
    ("changes", "options", "named"),
    [
        ({}, {}, None),
        ({}, {"text_column": "text", "label_column": "label", "token_budget": 99}, None),
        ({"to": "onnx"}, {}, "--to is dense there and onnx here"),
        ({"fingerprint": "other"}, {}, "the weights of 'run' have changed"),
        ({"model": "another"}, {}, "--model is run there and another here"),
        ({}, {"test_file": "own.csv"}, "--test-file is not given there and own.csv here"),
        ({}, {"max_length": 64}, "--max-length is not given there and 64 here"),
        ({}, {"attack": ["textfooler"]}, "--attack is empty there and textfooler here"),
        ({}, {"text_column": "body"}, "--text-column is not given there and body here"),
        ({}, {"rows": "other"}, "the rows of 'reviews.csv' have changed"),
    ],
    ids=str,
)
def test_an_export_is_gone_on_with_by_its_own_command_alone(
    changes: dict[str, Any], options: dict[str, Any], named: str | None
) -> None:
    found = ExportRecord.load(FORMATS / "export")
    rows = RowsRecord("reviews.csv", options.pop("rows", "rows"), 6, {}, 128, 0)
    assert found.check is not None
    found = replace(found, check=replace(found.check, test_data=replace(rows, fingerprint="rows")))
    # An earlier version wrote down the columns that were not given.
    config = {**found.config, "text_column": None, "label_column": None, **options}
    subject = SimpleNamespace(test_data=rows)
    job = _Job(subject, True, replace(found, config=config, **changes), Observer())  # type: ignore[arg-type]
    if named is None:
        job._check_same(found, Path("made"))
        return
    with pytest.raises(OutputError, match="'made' holds another export") as error:
        job._check_same(found, Path("made"))
    assert f"({named})" in str(error.value)
