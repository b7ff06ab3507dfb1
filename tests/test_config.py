"""The options of a run: flags, YAML, and the defaults that a task fills in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import call

from earlyrobust import pipeline
from earlyrobust.data.tasks import TASKS
from earlyrobust.errors import ConfigError
from earlyrobust.options import CompareConfig, RunConfig
from earlyrobust.pipeline.recipe import Recipe

# A value other than the default for every option, and the options it needs beside it.
SAMPLES: dict[str, Any] = {
    "model": "some/encoder",
    "task": "qnli",
    "data_dir": "data",
    "train_samples": 70,
    "test_samples": 50,
    "train_file": "own.csv",
    "test_file": "test.csv",
    "text_column": "sentence",
    "pair_column": "question",
    "label_column": "gold",
    "quotes": False,
    "delimiter": ";",
    "encoding": "cp1252",
    "output": "there",
    "seed": 3,
    "epochs": 1.5,
    "batch_size": 4,
    "learning_rate": 3e-4,
    "max_length": 99,
    "bf16": True,
    "gradient_accumulation": 2,
    "gradient_checkpointing": True,
    "report_to": "tensorboard",
    "heads": 0.25,
    "neurons": 0.125,
    "head_penalty": 3e-5,
    "neuron_penalty": 3e-3,
    "gamma": 0.2,
    "patience": 2,
    "settling": "window",
    "miniepoch": 0.3,
    "miniepoch_min_steps": 7,
    "search_epochs": 2.5,
    "method": "infobert",
    "adversary": "pgd,steps=3,bound=0.5",
    "noise": "random,rate=0.5",
    "search": "earlybert",
    "search_adversary": "freelb,steps=3",
    "head_scope": "layerwise",
    "neuron_scope": "layerwise",
    "weights": 0.4,
    "draw_after": 0.25,
    "class_weights": "balanced",
    "neuron_multiple": 8,
    "early_stopping": 2,
    "labels": "yes,no",
    "start": "random",
    "dense": False,
    "attack_split": "selection",
    "attack": ["textbugger", "bert-attack"],
    "examples": 12,
    "neighbours": "counter-fitted",
    "sentence_encoder": "use",
    "masked_lm": "some/language-model",
    "nltk_data": "nltk",
    "candidates": 9,
    "min_similarity": 0.7,
    "min_word_cosine": 0.6,
    "word_limit": 0.3,
    "ranks_all_words": True,
    "precision": "bf16",
    "token_budget": 1000,
    "in_flight": 5,
}
COLUMNS = ("text_column", "pair_column", "label_column")
OF_OWN_FILES = ("train_file", "test_file", *COLUMNS, "quotes", "delimiter", "encoding")
COMPANIONS: dict[str, dict[str, Any]] = {
    **{name: {"train_file": "own.csv"} for name in OF_OWN_FILES[1:]},
    "data_dir": {"task": "qnli"},
}


class Called(BaseException):
    """Carries the configuration that a command arrived at."""


@pytest.fixture(autouse=True)
def _only_parse(monkeypatch: pytest.MonkeyPatch) -> None:
    def called(config: RunConfig, *_: Any) -> None:
        raise Called(config)

    for command in ("run", "search", "finetune"):
        monkeypatch.setattr(pipeline, command, called)


def parsed(*arguments: object) -> dict[str, Any]:
    with pytest.raises(Called) as called:
        call(*arguments)
    return called.value.args[0].to_dict()


def as_flags(options: dict[str, Any]) -> list[str]:
    flags: list[str] = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        words = ",".join(value) if isinstance(value, list) else str(value)
        if isinstance(value, bool):
            flags.append(flag if value else "--no-" + flag.removeprefix("--"))
        else:
            flags += [flag, words]
    return flags


def write_yaml(path: Path, options: dict[str, Any]) -> Path:
    path.write_text(yaml.safe_dump(options), encoding="utf-8")
    return path


def test_the_samples_cover_every_option_with_another_value() -> None:
    assert set(SAMPLES) == set(RunConfig.model_fields)
    for name, value in SAMPLES.items():
        assert value != RunConfig.model_fields[name].default


@pytest.mark.parametrize("option", SAMPLES)
def test_every_option_is_a_flag_and_a_line_of_yaml(option: str, tmp_path: Path) -> None:
    options = COMPANIONS.get(option, {}) | {option: SAMPLES[option]}
    by_flags = parsed("run", *as_flags(options))
    assert by_flags[option] == SAMPLES[option]
    unset = {"train_file": "own.csv"} if "train_file" in options else {"task": options.get("task")}
    base = RunConfig.build(unset).to_dict()
    moved = {name for name in base if by_flags[name] != base[name]} - set(options)
    # The default output folder is named after the task, and the task decides four defaults.
    assert moved <= ({"output", "epochs", "heads", "neurons", "max_length"} if option == "task" else set())

    for name in (str, lambda text: text.replace("_", "-")):
        file = write_yaml(tmp_path / "run.yaml", {name(key): value for key, value in options.items()})
        assert parsed("run", "--config", file) == by_flags


@pytest.mark.parametrize(
    "options",
    [
        {name: value for name, value in SAMPLES.items() if name not in ("task", "data_dir")},
        {name: value for name, value in SAMPLES.items() if name not in OF_OWN_FILES},
    ],
    ids=["own files", "task"],
)
def test_a_yaml_file_of_all_options(options: dict[str, Any], tmp_path: Path) -> None:
    file = write_yaml(tmp_path / "run.yaml", options)
    result = parsed("run", "--config", file)
    assert {name: result[name] for name in options} == options


def test_flags_win_over_yaml(tmp_path: Path) -> None:
    file = write_yaml(tmp_path / "run.yaml", {"seed": 1, "heads": 0.5, "bf16": True})
    result = parsed("run", "--config", file, "--seed", "0", "--no-bf16")
    assert (result["seed"], result["heads"], result["bf16"]) == (0, 0.5, False)


@pytest.mark.parametrize("content", ["heads: null\n", "learning-rate: 5e-5\n"])
def test_yaml_that_says_nothing_new(content: str, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(content, encoding="utf-8")
    assert parsed("run", "--config", file) == RunConfig.build({}).to_dict()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("seed: 1\nseed: 2\n", "it gives 'seed' twice"),
        ("task: sst2\narms:\n  one: {seed: 1, seed: 2}\n", "it gives 'seed' twice"),
        ("seed: true\n", "--seed is true, but must be a number"),
        ("epochs: no\n", "--epochs is false, but must be a number"),
        ("no_attack: true\n", "write 'attack: \\[\\]'"),
        ("no-dense: true\n", "write 'dense: false'"),
    ],
)
def test_yaml_that_would_be_read_in_another_way_is_refused(content: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        CompareConfig.parse({}, file)


@pytest.mark.parametrize("task", TASKS)
def test_a_task_decides_what_is_not_given(task: str) -> None:
    config = RunConfig.build({"task": task})
    for name in ("max_length", "epochs", "heads", "neurons"):
        assert getattr(config, name) == getattr(TASKS[task], name)
        assert getattr(RunConfig.build({"task": task, name: 8 if name == "max_length" else 0.5}), name) != (
            getattr(TASKS[task], name)
        )
    assert config.output_folder == Path("runs") / task


def test_zero_is_a_value_and_not_a_default() -> None:
    config = RunConfig.build({"heads": 0.0, "neurons": 0.0, "head_penalty": 0.0, "gamma": 0.0, "seed": 0})
    assert (config.heads, config.neurons, config.head_penalty, config.gamma) == (0, 0, 0, 0)


def test_commands_have_default_folders_of_their_own() -> None:
    own = ["--train-file", "data/own.csv"]
    folders = [
        parsed("run", *own)["output"],
        parsed("search", *own)["output"],
        parsed("finetune", "--ticket", "t", *own)["output"],
    ]
    assert folders[0] == "runs/own"
    assert len(set(folders)) == 3


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"task": "sst2", "train_file": "own.csv"}, "--task"),
        ({"data_dir": "data", "train_file": "own.csv"}, "--data-dir"),
        ({"data_dir": "data"}, "--data-dir"),
        ({"test_file": "own.csv"}, "--train-file"),
        ({"pair_column": "b"}, "--train-file"),
        ({"text_column": "nonsense"}, "--text-column"),
        ({"label_column": "nonsense", "task": "sst2"}, "--label-column"),
        ({"quotes": False}, "for your own data"),
        ({"delimiter": ";", "task": "sst2"}, "for your own data"),
        ({"encoding": "cp1252"}, "for your own data"),
        ({"train_file": "own.csv", "delimiter": ""}, "--delimiter"),
        ({"train_file": "own.csv", "delimiter": "||"}, "'tab'"),
        ({"train_file": "own.csv", "delimiter": '"'}, "--delimiter"),
        ({"train_file": "own.csv", "encoding": "utf-88"}, "cp1252"),
        ({"train_file": "own.csv", "encoding": "hex"}, "--encoding"),
        ({"task": "nope"}, "'nope'"),
        ({"nope": 1}, "'nope'"),
        ({"heads": 1}, "--heads"),
        ({"seed": 2**32}, "--seed"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], names: str) -> None:
    with pytest.raises(ConfigError) as error:
        RunConfig.build(options)
    assert names in str(error.value)


@pytest.mark.parametrize(
    "options", [{"method": "earlyrobust-noise"}, {"method": "earlyrobust", "start": "continued"}], ids=str
)
def test_a_critic_cannot_continue_from_a_search(options: dict[str, str]) -> None:
    def adversary_of(spec: str, **changes: str) -> object:
        return Recipe.of(RunConfig.build({**options, "adversary": spec, **changes})).adversary

    for other in ("infobert,anchor_weight=0", "freelb", "fat"):
        assert adversary_of(other) is not None
    assert adversary_of("infobert", start="pretrained") is not None
    with pytest.raises(ConfigError, match=r"^The fine-tuning cannot continue .* or --start pretrained\.$"):
        adversary_of("infobert")
