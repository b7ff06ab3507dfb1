"""The command line from end to end, on a tiny encoder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from conftest import QUICK, Outcome, call, write_csv, write_reviews
from datasets import Dataset
from tiny_encoder import HEADS, LAYERS, NEURONS, write_encoder
from transformers import AutoModelForSequenceClassification, AutoTokenizer, TrainerCallback

from earlyrobust import Ticket, __version__
from earlyrobust.attacks import ATTACKS
from earlyrobust.cli import load_command
from earlyrobust.data import TASKS, load_files, tokenize
from earlyrobust.evaluation import predict
from earlyrobust.families import FAMILIES
from earlyrobust.options import METHODS, AttackConfig, RunConfig
from earlyrobust.results import RunRecord

OPTIONS = set(RunConfig.model_fields)
SEARCH_ONLY = {name for name in OPTIONS if name.startswith(("miniepoch", "search", "head", "neuron"))} | {
    *("method", "weights", "gamma", "patience", "settling", "draw_after")
}
ATTACKING = set(AttackConfig.model_fields) - {"output", "seed", "scrutiny"}
# What each command takes of the options of a run.
ACCEPTED = {
    "run": OPTIONS,
    "search": OPTIONS - {"epochs", "adversary", "dense", "attack_split", "early_stopping"} - ATTACKING,
    "finetune": OPTIONS - SEARCH_ONLY - {"dense"},
    "compare": OPTIONS - {"method", "dense"},
    "attack": {"model", "task", "data_dir", "test_file", "text_column", "pair_column", "label_column"}
    | {"quotes", "delimiter", "encoding", "max_length", "labels", "output", "seed"}
    | ATTACKING,
    "evaluate": {"model", "task", "data_dir", "test_file", "text_column", "pair_column", "label_column"}
    | {"quotes", "delimiter", "encoding", "max_length", "labels", "output"},
}


def parameters(command: str) -> dict[str, Any]:
    return {str(parameter.name): parameter for parameter in load_command(command).params}


# --- run ---------------------------------------------------------------------------------------------------


def test_a_run_leaves_models_ticket_pictures_options_and_record(finished: tuple[Path, Outcome]) -> None:
    folder, _ = finished
    assert {path.name for path in folder.iterdir()} == {
        *("model", "dense", "ticket", "result.json", "config.yaml", "progress.json", "report.html"),
        *("kept-per-layer.png", "mask-distances.png", "attacks"),
    }
    journals = {f"{title}-textfooler.jsonl" for title in ("dense", "ticket")}
    assert {path.name for path in (folder / "attacks").iterdir()} == {*journals, "examples.html"}
    for model in ("model", "dense"):
        assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
            path.name for path in (folder / model).iterdir()
        }


def test_a_run_cuts_exactly_what_the_ratios_say(finished: tuple[Path, Outcome]) -> None:
    folder, _ = finished
    heads, neurons = LAYERS * HEADS, LAYERS * NEURONS
    kept_heads, kept_neurons = heads - round(heads / 6), neurons - round(0.3 * neurons)
    ticket = Ticket.from_pretrained(folder / "ticket")
    assert (ticket.heads.sum(), ticket.neurons.sum()) == (kept_heads, kept_neurons)

    model = AutoModelForSequenceClassification.from_pretrained(folder / "model")
    layers = model.base_model.encoder.layer
    queries = [layer.attention.self.query.out_features for layer in layers]
    assert queries == [count * 8 for count in ticket.heads_per_layer]  # 32 channels of 4 heads
    assert [layer.intermediate.dense.out_features for layer in layers] == ticket.neurons_per_layer

    record = RunRecord.load(folder)
    assert record.ticket.heads_kept == (kept_heads, heads)
    assert record.ticket.neurons_kept == (kept_neurons, neurons)
    assert record.model.parameters == sum(weight.numel() for weight in model.parameters())
    assert record.dense is not None
    assert record.dense.parameters > record.model.parameters
    # Of a cut head go 8 channels of four projections, the output's biases excepted; of a neuron two vectors.
    cut = (heads - kept_heads) * 8 * (4 * 32 + 3) + (neurons - kept_neurons) * (2 * 32 + 1)
    assert record.dense.encoder_parameters - record.model.encoder_parameters == cut


def test_a_run_shows_its_table(finished: tuple[Path, Outcome]) -> None:
    folder, outcome = finished
    record = RunRecord.load(folder)
    assert outcome.err == ""
    for shown in (
        "Clean%",
        f"{100 * record.model.test.value:.1f} (",
        f"{record.model.parameters:,}",
        f"{LAYERS * HEADS} │ ",
        f"{LAYERS * HEADS - 2} │",
        "The search stopped after",
        f"The classifier is in {folder}/model, the record in {folder}/result.json.",
    ):
        assert shown in outcome.out


def test_the_loaded_model_is_as_good_as_the_record_says(
    finished: tuple[Path, Outcome], reviews: Path
) -> None:
    folder, _ = finished
    record = RunRecord.load(folder)
    data = load_files(reviews, None, text_column="text", pair_column=None, label_column="label")
    assert data.fingerprint == record.data.fingerprint
    for name, judged in (("model", record.model), ("dense", record.dense)):
        model = AutoModelForSequenceClassification.from_pretrained(folder / name)
        tokens = tokenize(data.test, AutoTokenizer.from_pretrained(folder / name), 128)
        right = predict(model, AutoTokenizer.from_pretrained(folder / name), tokens).argmax(1)
        assert judged is not None
        assert (right == np.asarray(data.test["label"])).sum() == judged.test.correct
        assert judged.test.total == len(data.test) == 30


def test_config_yaml_holds_every_option_and_starts_the_same_run(
    finished: tuple[Path, Outcome], tmp_path: Path
) -> None:
    folder, _ = finished
    written = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    assert set(written) == OPTIONS - {"output"}
    record = RunRecord.load(folder)
    assert written["bf16"] is None  # left to the run, whose record says what it came to
    assert {**written, "output": str(folder), "bf16": False} == record.config

    before = (folder / "result.json").read_bytes()
    outcome = call("run", "--config", folder / "config.yaml", "--output", folder)
    assert outcome.code == 0
    assert "finished already" in outcome.out
    assert (folder / "result.json").read_bytes() == before


def test_a_finished_run_without_its_classifier_does_not_name_it(
    finished: tuple[Path, Outcome], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(finished[0], tmp_path / "run"))
    shutil.rmtree(folder / "model")
    outcome = call("run", "--config", folder / "config.yaml", "--output", folder)
    assert outcome.code == 0, outcome
    told = " ".join(outcome.out.split())
    assert "finished already" in told
    assert "The classifier is in" not in told
    assert f"The classifier is not in {folder}/model any more: restore it, or delete the folder" in told
    assert not (folder / "model").exists()


def test_the_folder_of_a_run_can_be_evaluated(finished: tuple[Path, Outcome], reviews: Path) -> None:
    folder, _ = finished
    of_run, of_model = (call("evaluate", path, "--test-file", reviews) for path in (folder, folder / "model"))
    assert of_run.code == of_model.code == 0
    assert of_run.out.split(": ")[-1] == of_model.out.split(": ")[-1]


def test_finetuning_another_ticket_in_the_same_folder_is_refused(
    finished: tuple[Path, Outcome], encoder: Path, reviews: Path, tmp_path: Path
) -> None:
    folder, _ = finished
    ticket = Ticket.from_pretrained(folder / "ticket")
    ticket.save_pretrained(tmp_path / "ticket")
    command = ("finetune", "--ticket", tmp_path / "ticket", "--model", encoder, "--train-file", reviews)
    options = ("--epochs", "0.2", "--output", tmp_path / "run")
    assert call(*command, *options).code == 0
    other = replace(
        ticket, neurons=ticket.neurons[::-1].copy(), head_scores=None, neuron_scores=None, trace=None
    )
    other.save_pretrained(tmp_path / "ticket")
    assert ticket.fingerprint != Ticket.from_pretrained(tmp_path / "ticket").fingerprint
    again = call(*command, *options)
    assert again.code == 2
    assert "holds another run" in again.err


def test_an_output_folder_with_brackets_is_no_markup(encoder: Path, tmp_path: Path) -> None:
    reviews = write_reviews(tmp_path / "few.csv", 40)
    folder = tmp_path / "[/red] [bold]x"
    outcome = call("run", "--model", encoder, "--train-file", reviews, "--output", folder, *QUICK)
    assert outcome.code == 0
    assert f"The classifier is in {folder}/model" in outcome.out


def test_ratios_that_nearly_empty_every_layer_work(encoder: Path, tmp_path: Path) -> None:
    reviews = write_reviews(tmp_path / "few.csv", 60)
    options = ("--model", encoder, "--train-file", reviews, "--heads", "0.75", "--neurons", "0.98")
    outcome = call("run", *options, "--output", tmp_path / "run", *QUICK)
    assert outcome.code == 0
    ticket = Ticket.from_pretrained(tmp_path / "run" / "model")
    assert ticket.heads_per_layer == [1, 1, 1]
    assert sum(ticket.neurons_per_layer) == LAYERS * NEURONS - round(0.98 * LAYERS * NEURONS)


def test_interrupted_by_the_user(encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from earlyrobust.cli.display import Display

    class Interrupt(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            raise KeyboardInterrupt

    folder = tmp_path / "run"
    reviews = write_reviews(tmp_path / "few.csv", 40)
    arguments = ("run", "--model", encoder, "--train-file", reviews, "--output", folder, *QUICK)
    with monkeypatch.context() as patch:
        patch.setattr(Display, "callbacks", lambda self: [Interrupt()])
        outcome = call(*arguments)
    assert outcome.code == 130
    assert f"Interrupted. The finished work is kept in {folder}; the same command continues." in outcome.out
    assert outcome.err == ""
    assert call(*arguments).code == 0


def test_interrupted_before_anything_is_on_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    from earlyrobust.options.run import RunConfig

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RunConfig, "build", interrupted)
    outcome = call("run")
    assert (outcome.code, outcome.out, outcome.err) == (130, "", "Interrupted.\n")


# --- search and finetune -----------------------------------------------------------------------------------


def test_search_then_finetune(encoder: Path, reviews: Path, tmp_path: Path) -> None:
    own = ("--model", encoder, "--train-file", reviews)
    quick_search = [value for value in QUICK if value not in ("--epochs", "1")]
    searched = tmp_path / "searched"
    outcome = call("search", *own, "--output", searched, *quick_search)
    assert outcome.code == 0
    assert f"earlyrobust finetune --ticket {searched}" in outcome.out
    ticket = Ticket.from_pretrained(searched / "ticket")
    assert ticket.trace is not None
    assert {path.name for path in searched.iterdir()} == {"ticket", "config.yaml", "progress.json"}
    assert call("search", *own, "--output", searched, *quick_search).code == 0  # finished before

    other = write_reviews(tmp_path / "other.csv", 60, seed=5)
    quick = ("--epochs", "0.5", "--learning-rate", "1e-3")
    trained = []
    for name, source, data, seed in (
        ("ticket-folder", searched / "ticket", reviews, 0),
        ("run-folder", searched, reviews, 7),
        ("cut-model", tmp_path / "ticket-folder" / "model", other, 0),
    ):
        folder = tmp_path / name
        options = ("--model", encoder, "--train-file", data, "--seed", seed, *quick)
        assert call("finetune", "--ticket", source, "--output", folder, *options).code == 0
        record = RunRecord.load(folder)
        assert (record.method, record.dense, record.config["seed"]) == ("finetune-ticket", None, seed)
        assert record.data.name == data.stem
        model = AutoModelForSequenceClassification.from_pretrained(folder / "model")
        assert np.array_equal(model.ticket.heads, ticket.heads)
        assert np.array_equal(model.ticket.neurons, ticket.neurons)
        trained.append(model.classifier.weight)
    assert not torch.equal(trained[0], trained[1])  # another seed


# --- evaluate ----------------------------------------------------------------------------------------------


def rewritten(names: Callable[[str], object], path: Path, texts: list[str], labels: list[str]) -> Path:
    return write_csv(path, {"text": list(texts), "label": [names(label) for label in labels]})


@pytest.mark.parametrize(
    ("outputs", "names"),
    [
        (("negative", "positive"), str),
        (("negative", "positive"), str.upper),
        (("NEGATIVE", "Positive"), str),
        (("LABEL_0", "LABEL_1"), ("negative", "positive").index),
    ],
    ids=lambda value: value if isinstance(value, tuple) else getattr(value, "__name__", None),
)
def test_evaluate_on_ones_own_file(
    outputs: tuple[str, str], names: Callable[[str], object], tmp_path: Path, reviews: Path
) -> None:
    model = write_encoder(tmp_path / "model", outputs)
    data = load_files(reviews, None, text_column="text", pair_column=None, label_column="label")
    texts, labels = data.test["text"][:], [data.label_names[label] for label in data.test["label"]]
    predicted = direct_predictions(model, texts)
    wanted = ["negative", "positive"] if outputs[0].startswith("LABEL") else [o.casefold() for o in outputs]
    right = sum(wanted[index] == label for index, label in zip(predicted, labels, strict=True))
    assert 0 < right < len(texts)

    file = rewritten(names, tmp_path / "test.csv", texts, labels)
    outcome = call("evaluate", model, "--test-file", file)
    assert outcome.code == 0
    assert f"({right} of {len(texts)} right)" in outcome.out


def direct_predictions(folder: Path, texts: list[str], pairs: list[str] | None = None) -> list[int]:
    """One text at a time, by transformers alone."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.inference_mode():
        return [
            int(model(**tokenizer(text, pair, truncation=True, return_tensors="pt")).logits.argmax())
            for text, pair in zip(texts, pairs or [None] * len(texts), strict=True)
        ]


def test_evaluate_pairs_in_named_columns(tmp_path: Path) -> None:
    classifier = write_encoder(tmp_path / "classifier")
    texts, pairs = ["a warm film", "dull", "great fun"] * 4, ["is it warm", "why", "no"] * 4
    labels = ["positive", "negative", "positive", "negative"] * 3
    file = write_csv(tmp_path / "pairs.csv", {"gold": [*labels], "first": [*texts], "second": [*pairs]})
    columns = ("--text-column", "first", "--pair-column", "second", "--label-column", "gold")
    predicted = direct_predictions(classifier, texts, pairs)
    right = sum(("negative", "positive")[p] == label for p, label in zip(predicted, labels, strict=True))
    outcome = call("evaluate", classifier, "--test-file", file, *columns)
    assert outcome.code == 0
    assert f"({right} of 12 right)" in outcome.out


def test_evaluate_a_cut_model_on_the_builtin_task(finished: tuple[Path, Outcome]) -> None:
    outcome = call("evaluate", finished[0] / "model", "--task", "builtin")
    assert outcome.code == 0
    assert "of 800 right)" in outcome.out


def test_evaluate_a_run_on_the_test_data_that_it_cut_itself(finished: tuple[Path, Outcome]) -> None:
    folder, _ = finished
    record = RunRecord.load(folder)
    for place, model in (
        (folder, record.model),
        (folder / "model", record.model),
        (folder / "dense", record.dense),
    ):
        outcome = call("evaluate", place)
        assert outcome.code == 0, outcome
        assert f"({model.test.correct} of {record.data.sizes['test']} right)" in outcome.out


def test_evaluate_a_run_on_the_part_of_a_task_that_it_was_tested_on(encoder: Path, tmp_path: Path) -> None:
    samples = ("--train-samples", 100, "--test-samples", 60, "--seed", 3)
    arguments = (*samples, "--no-dense", "--no-attack", *QUICK)
    assert call("run", "--model", encoder, *arguments, "--output", tmp_path / "run").code == 0
    record = RunRecord.load(tmp_path / "run")
    own = call("evaluate", tmp_path / "run")
    assert f"({record.model.test.correct} of 60 right)" in own.out
    assert "of 800 right)" in call("evaluate", tmp_path / "run", "--task", "builtin").out


def test_evaluate_a_run_whose_file_has_other_labels_now(encoder: Path, tmp_path: Path) -> None:
    file = write_reviews(tmp_path / "reviews.csv", 60)
    assert (
        call("run", "--model", encoder, "--train-file", file, "--output", tmp_path / "run", *QUICK).code == 0
    )
    texts = [f"text {row}" for row in range(40)]
    write_csv(file, {"text": list(texts), "label": ["yes", "no"] * 20})
    outcome = call("evaluate", tmp_path / "run")
    assert outcome.code == 2
    assert "give --test-file" in outcome.err


# --- list, version, help -----------------------------------------------------------------------------------


def test_list_and_version() -> None:
    everything = call("list").out
    for kind, table in (("methods", METHODS), ("attacks", ATTACKS), ("tasks", TASKS), ("families", FAMILIES)):
        listed = call("list", kind)
        assert listed.code == 0
        for name in table:
            assert name in listed.out
            assert name in everything
    assert call("--version") == Outcome(0, f"earlyrobust {__version__}\n", "")


def test_help_is_asked_for_in_two_ways() -> None:
    for command in ([], ["run"], ["ticket"], ["ticket", "show"]):
        assert call(*command, "-h") == call(*command, "--help")


@pytest.mark.parametrize(
    ("words", "completed"), [("ev", "evaluate"), ("run --neigh", "--neighbours"), ("ticket sh", "show")]
)
def test_a_shell_completes_commands_and_options(words: str, completed: str) -> None:
    asked = {"COMP_WORDS": f"earlyrobust {words}", "COMP_CWORD": str(len(words.split()))}
    answer = subprocess.run(
        [Path(sys.executable).with_name("earlyrobust")],
        env=os.environ | asked | {"_EARLYROBUST_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.split() == [completed]


@pytest.mark.parametrize("command", ACCEPTED)
def test_a_command_takes_and_helps_with_its_options(command: str) -> None:
    assert set(parameters(command)) & OPTIONS == ACCEPTED[command]
    for name in ("json", "fail_under"):
        assert (name in parameters(command)) == (command in ("attack", "evaluate"))
    assert ("scrutiny" in parameters(command)) == (command == "attack")
    outcome = call(command, "--help")
    assert outcome.code == 0
    for name in ACCEPTED[command] - {"model" if command in ("attack", "evaluate") else ""}:
        assert f"--{name.replace('_', '-')} " in outcome.out


def test_help_names_the_defaults_that_hold() -> None:
    for name, parameter in parameters("run").items():
        default = RunConfig.model_fields[name].default if name in OPTIONS else None
        if isinstance(default, bool):
            assert parameter.show_default == {False: "no", True: "yes"}[default]
        elif isinstance(default, int | float):
            assert float(parameter.show_default) == default, name
        elif isinstance(default, tuple):
            assert parameter.show_default == ",".join(default)
        elif default is not None:
            assert parameter.show_default == default, name
    assert parameters("run")["heads"].show_default == "1/6"
    assert all(task.heads == 1 / 6 for task in TASKS.values())


@pytest.mark.parametrize(
    ("arguments", "code_expected"),
    [
        (["--help"], 0),
        (["run", "--help"], 0),
        (["evaluate", "--help"], 0),
        (["list", "methods"], 0),
        (["list", "tasks"], 0),
        (["run", "--task", "nope"], 2),
        (["search", "--gamma", "-1"], 2),
        (["finetune", "--ticket", "t", "--config", "missing.yaml"], 2),
    ],
)
def test_what_needs_no_model_imports_no_heavy_library(arguments: list[str], code_expected: int) -> None:
    code = (
        "import sys\n"
        "from earlyrobust.cli import main\n"
        f"sys.argv = ['earlyrobust', *{arguments!r}]\n"
        "try: main()\n"
        f"except SystemExit as end: assert (end.code or 0) == {code_expected}\n"
        "heavy = {'torch', 'transformers', 'datasets', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'imports {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "earlyrobust", "run", "--heads", "2"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: --heads is 2.0, but it should be less than 1.\n"


def test_the_process_ends_without_being_taken_apart() -> None:
    # Python destroys what modules hold when it takes them apart; what libraries register is called before.
    code = (
        "import atexit, sys\n"
        "from earlyrobust import cli\n"
        "from earlyrobust.__main__ import start\n"
        "class Left:\n"
        "    def __del__(self): print('taken apart', flush=True)\n"
        "left = Left()\n"
        "run = cli.main\n"
        "def main():\n"
        "    atexit.register(print, 'registered')\n"
        "    run()\n"
        "cli.main = main\n"
        "sys.argv = ['earlyrobust', *sys.argv[1:]]\n"
        "start()\n"
    )
    for arguments, expected in ((["--version"], 0), (["run", "--heads", "2"], 2)):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == expected
        assert done.stdout.splitlines()[-1] == "registered"
        assert ("earlyrobust" in done.stdout) == (expected == 0)
        assert ("--heads" in done.stderr) == (expected == 2)


def test_a_reader_that_has_gone_is_no_success() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "earlyrobust", "list", "methods"],
        stdout=write,
        check=False,
    )
    os.close(write)
    assert done.returncode != 0


def test_predicting_is_possible_with_a_data_set_made_by_hand(encoder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    tokens = tokenizer(["a film", "a dull film"])
    rows = Dataset.from_dict({**tokens, "length": [len(ids) for ids in tokens["input_ids"]]})
    model = AutoModelForSequenceClassification.from_pretrained(encoder)
    assert predict(model, tokenizer, rows).shape == (2, 2)
