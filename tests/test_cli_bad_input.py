"""What a user can get wrong: one sentence that names the culprit, exit code 2, and nothing written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Outcome, call, write_csv
from safetensors.torch import load_file, save_file
from tiny_encoder import HEADS, LAYERS, NEURONS, tokenizer, write_encoder
from transformers import (
    BertModel,
    GPT2Config,
    GPT2ForSequenceClassification,
    MPNetConfig,
    MPNetModel,
)

from earlyrobust import Ticket, WeightTicket


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory, encoder: Path, reviews: Path, finished: tuple[Path, Outcome]
) -> Iterator[Path]:
    """A folder, made the working directory, with everything that the commands below name."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copytree(encoder, "encoder")
        shutil.copytree(finished[0], "other-run")
        shutil.copy(reviews, "reviews.csv")
        write_csv(Path("one-class.csv"), {"text": ["fine"] * 20, "label": ["good"] * 20})
        write_csv(Path("unknown.csv"), {"text": ["fine", "so"], "label": ["negative", "meh"]})
        Path("empty.csv").touch()
        Path("bytes.csv").write_bytes(b"text,label\n\xff\xfe,negative\n")
        Path("broken.yaml").write_text("heads: [1\n")
        Path("list.yaml").write_text("- heads\n")
        Path("unknown.yaml").write_text("nurons: 0.3\n")
        Path("endless.yaml").write_text(f"{'x' * 1_000}: 0.3\n")
        Path("word.yaml").write_text("heads: many\n")
        Path("tag.yaml").write_text("output: !!python/object/apply:os.system ['touch executed']\n")
        lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
        lines += [
            f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ]
        Path("bomb.yaml").write_text("\n".join([*lines, "heads: *i\n"]))
        for name, line in UNREADABLE.items():
            Path(f"{name}.yaml").write_text(line)
        Path("long-number.jsonl").write_text('{"text": "fine", "label": ' + "9" * 5_000 + "}\n")
        Path("climbing.yaml").write_text("arms:\n  ../../out: {method: pgd}\n")
        Path("shared.yaml").write_text("arms:\n  one: {method: pgd, output: elsewhere}\n")
        Path("nul.csv").write_bytes(b'text,label\nfine\0,negative\n"')
        Path("huge.jsonl").write_text('{"text": "fine", "label": 1e999}\n')
        Path("deep.jsonl").write_text("[" * 100_000)
        write_ticket("ticket")
        write_ticket("wider-ticket", heads=HEADS * 2)
        write_ticket("roberta-ticket", model_type="roberta")
        write_ticket("damaged-ticket")
        write_ticket("odd-ticket")
        ticket = json.loads(Path("odd-ticket/ticket.json").read_text(encoding="utf-8"))
        Path("odd-ticket/ticket.json").write_text(json.dumps(ticket | {"origin": {"a": float("nan")}}))
        WeightTicket("bert", {}).save_pretrained("no-weights")
        Path("damaged-ticket/ticket.safetensors").write_bytes(b"x" * 40)
        Path("foreign").mkdir()
        Path("foreign/notes.txt").write_text("mine")
        Path("file").write_text("mine")
        write_encoder(Path("classifier"))
        write_encoder(Path("three-classes"), ("bad", "fair", "good"))
        BertModel.from_pretrained("encoder").save_pretrained("headless")
        sizes = {"vocab_size": 2_000, "n_embd": 16, "n_layer": 2, "n_head": 2}
        gpt2 = GPT2Config(**sizes, bos_token_id=1, eos_token_id=1)
        GPT2ForSequenceClassification(gpt2).save_pretrained("gpt2")
        sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
        mpnet = MPNetConfig(vocab_size=2_000, **sizes)
        MPNetModel(mpnet).save_pretrained("mpnet")
        for model in ("headless", "gpt2", "mpnet"):
            tokenizer().save_pretrained(model)
        write_hostile_models()
        shutil.copytree("other-run/dense", "no-number")
        weights = load_file("no-number/model.safetensors")
        weights["classifier.bias"][0] = float("nan")
        save_file(weights, "no-number/model.safetensors", {"format": "pt"})
        yield folder


def write_ticket(folder: str, heads: int = HEADS, model_type: str = "bert") -> None:
    masks = np.ones((LAYERS, heads), np.bool_), np.ones((LAYERS, NEURONS), np.bool_)
    masks[0][0, 0] = masks[1][0, 0] = False
    Ticket(model_type, *masks).save_pretrained(folder)


class Payload:
    """What a pickle may do that is read without care."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed",)


HOSTILE = ("pickled", "own-code", "endless", "negative", "headcount", "narrow", "half", "no-tokenizer")


def write_hostile_models() -> None:
    """Folders of models that would run code of their own, or ask for more memory than there is."""
    for name in HOSTILE:
        shutil.copytree("encoder", name)
    Path("pickled/model.safetensors").unlink()
    torch.save(Payload(), "pickled/pytorch_model.bin")
    code = "import os\nos.system('touch executed')\nfrom transformers import BertConfig as C\n"
    Path("own-code/own.py").write_text(code)
    change("own-code", model_type="unheard-of", auto_map={"AutoConfig": "own.C"})
    change("endless", intermediate_size=10**18)
    change("negative", num_hidden_layers=-3)
    change("headcount", num_attention_heads=0)
    change("narrow", intermediate_size=0)
    weights = Path("half/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    for file in Path("no-tokenizer").glob("tok*"):
        file.unlink()


def change(model: str, **facts: Any) -> None:
    path = Path(model, "config.json")
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | facts), encoding="utf-8")


def snapshot(folder: Path) -> dict[Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


# YAML that is not what it is marked as, or takes more than Python gives.
UNREADABLE = {
    "date": "epochs: 2024-99-99\n",
    "integer": "seed: !!int abc\n",
    "number": "heads: !!float x\n",
    "truth": "bf16: !!bool maybe\n",
    "time": "seed: !!timestamp x\n",
    "digits": f"seed: {'9' * 5_000}\n",
    "nested": f"attack: {'[' * 50_000}\n",
}

OWN = {"--model": "encoder", "--train-file": "reviews.csv", "--output": "out"}
OUT = {"--output": "out"}
ATTACKED = {"--test-file": "reviews.csv", **OUT}
OFFLINE_TASK = {"--model": "encoder", "--task": "sst2", **OUT}

# Command, its options, and what the message must name.
CASES: list[tuple[list[str], dict[str, str], str]] = [
    # Data
    (["run"], OWN | {"--train-file": "missing.csv"}, "missing.csv"),
    (["run"], OWN | {"--train-file": "foreign"}, "foreign"),
    (["run"], OWN | {"--train-file": "file"}, "file"),
    (["run"], OWN | {"--train-file": "one-class.csv"}, "'good'"),
    (["run"], OWN | {"--train-file": "empty.csv"}, "empty.csv"),
    (["run"], OWN | {"--train-file": "bytes.csv"}, "Line 2 of bytes.csv"),
    (["run"], OWN | {"--text-column": "txt"}, "'txt'"),
    (["run"], OWN | {"--label-column": "lbl"}, "'lbl'"),
    (["run"], OWN | {"--pair-column": "second"}, "'second'"),
    (["run"], OWN | {"--test-file": "unknown.csv"}, "'meh'"),
    (["run"], OWN | {"--test-file": "missing.csv"}, "missing.csv"),
    (["run"], OWN | {"--train-samples": "100000"}, "100000"),
    (["run"], OUT | {"--model": "encoder", "--test-file": "reviews.csv"}, "--train-file"),
    (["run"], OUT | {"--model": "encoder", "--pair-column": "second"}, "--train-file"),
    (["run"], OWN | {"--task": "sst2"}, "--task"),
    (["run"], OUT | {"--task": "nope"}, "'nope'"),
    (["run"], OFFLINE_TASK, "nyu-mll/glue"),
    (["run"], OFFLINE_TASK | {"--data-dir": "foreign"}, "foreign"),
    (["run"], OFFLINE_TASK | {"--data-dir": "missing"}, "missing"),
    (["run"], OUT | {"--model": "encoder", "--data-dir": "foreign"}, "--data-dir"),
    # Numbers
    *(
        (["run"], OWN | {option: value}, option)
        for options, values in (
            (("--heads", "--neurons"), ("1", "1.5", "-0.1", "nan", "inf")),
            (("--head-penalty", "--neuron-penalty", "--gamma"), ("-1", "nan", "inf")),
            (("--epochs", "--search-epochs", "--learning-rate", "--miniepoch"), ("0", "-1", "nan", "inf")),
            (("--batch-size", "--patience", "--miniepoch-min-steps", "--gradient-accumulation"), ("0", "-2")),
            (("--train-samples", "--max-length"), ("0", "-2")),
            (("--seed",), ("-1",)),
        )
        for option in options
        for value in values
    ),
    (["run"], OWN | {"--heads": "0.99"}, "0.99"),
    (["search"], OWN | {"--neurons": "0.999"}, "0.999"),
    (["run"], OWN | {"--max-length": "1000"}, "1000"),
    # Tickets
    (["finetune"], OWN | {"--ticket": "wider-ticket"}, "8"),
    (["finetune"], OWN | {"--ticket": "roberta-ticket"}, "roberta"),
    (["finetune"], OWN | {"--ticket": "damaged-ticket"}, "damaged-ticket"),
    (["finetune"], OWN | {"--ticket": "missing"}, "missing"),
    (["finetune"], OWN | {"--ticket": "foreign"}, "foreign"),
    (["finetune"], OWN | {"--ticket": "odd-ticket"}, "odd-ticket"),
    (["finetune"], OWN | {"--ticket": "no-weights"}, "no-weights"),
    (["ticket", "show", "no-weights"], {}, "no-weights"),
    # Output folders
    *(
        ([command], OWN | {"--output": output, **ticket}, output)
        for command, ticket in (("run", {}), ("search", {}), ("finetune", {"--ticket": "ticket"}))
        for output in ("other-run", "foreign", "file", "file/inside")
    ),
    # Models
    (["run"], OWN | {"--model": "gpt2"}, "gpt2"),
    (["run"], OWN | {"--model": "foreign"}, "foreign"),
    (["run"], OWN | {"--model": "other-run/model"}, "other-run/model"),
    (["run"], OWN | {"--model": "missing"}, "missing"),
    (["run"], OWN | {"--model": "nobody/nothing"}, "nobody/nothing"),
    (["search"], OWN | {"--model": "gpt2"}, "gpt2"),
    (["finetune"], OWN | {"--model": "gpt2", "--ticket": "ticket"}, "gpt2"),
    # Configuration files
    (["run"], OWN | {"--config": "broken.yaml"}, "broken.yaml"),
    (["run"], OWN | {"--config": "list.yaml"}, "list.yaml"),
    (["run"], OWN | {"--config": "unknown.yaml"}, "'nurons'"),
    (["run"], OWN | {"--config": "word.yaml"}, "--heads"),
    (["run"], OWN | {"--config": "endless.yaml"}, "There is no option"),
    (["run"], OWN | {"--config": "missing.yaml"}, "missing.yaml"),
    (["run"], OWN | {"--config": "foreign"}, "foreign"),
    (["run"], OWN | {"--config": "bytes.csv"}, "bytes.csv"),
    (["run"], OWN | {"--config": "tag.yaml"}, "tag.yaml"),
    (["run"], OWN | {"--config": "bomb.yaml"}, "bomb.yaml"),
    *((["run"], OWN | {"--config": f"{name}.yaml"}, f"{name}.yaml") for name in UNREADABLE),
    (["compare"], OWN | {"--config": "climbing.yaml"}, "'../../out'"),
    (["compare"], OWN | {"--config": "shared.yaml"}, "'output'"),
    # Hostile files
    (["run"], OWN | {"--train-file": "nul.csv"}, "nul.csv"),
    (["run"], OWN | {"--train-file": "huge.jsonl"}, "huge.jsonl"),
    (["run"], OWN | {"--train-file": "deep.jsonl"}, "deep.jsonl"),
    (["run"], OWN | {"--train-file": "long-number.jsonl"}, "long-number.jsonl"),
    *(
        (command, options, model)
        for model in HOSTILE
        for command, options in (
            (["run"], OWN | {"--model": model}),
            (["evaluate", model], {"--test-file": "reviews.csv"}),
            (["attack", model], ATTACKED),
        )
    ),
    (["run"], OWN | {"--batch-size": "16", "--gradient-accumulation": "3"}, "--gradient-accumulation: 3"),
    (["run", "--gradient-checkpointing"], OWN | {"--model": "mpnet"}, "'mpnet'"),
    (["evaluate", "no-number"], {"--task": "builtin"}, "not a number"),
    # More than anybody means
    (["run"], OWN | {"--epochs": "1e300"}, "--epochs"),
    (["run"], OWN | {"--batch-size": "99999999999999999999"}, "--batch-size"),
    (["run"], OWN | {"--search-epochs": "1e300"}, "--search-epochs"),
    (["run"], OWN | {"--draw-after": "1e300"}, "--draw-after"),
    (["run"], OWN | {"--max-length": "99999999999999999999"}, "99999999999999999999"),
    (["run"], OWN | {"--train-samples": "99999999999999999999"}, "99999999999999999999"),
    (["run"], OWN | {"--search-adversary": "freelb,steps=1e300"}, "steps"),
    (["run"], OWN | {"--adversary": "freelb,step_size=nan"}, "step_size"),
    (["run"], OWN | {"--adversary": "__import__('os')"}, "__import__"),
    # Evaluating
    (["evaluate", "headless"], {"--test-file": "reviews.csv"}, "headless"),
    (["evaluate", "three-classes"], {"--test-file": "reviews.csv"}, "'fair'"),
    (["evaluate", "three-classes"], {"--task": "builtin"}, "'fair'"),
    (["evaluate", "three-classes"], {}, "--task"),
    (["attack", "three-classes"], OUT, "--task"),
    (["evaluate", "classifier"], {"--test-file": "unknown.csv"}, "'meh'"),
    (["evaluate", "classifier"], {"--test-file": "missing.csv"}, "missing.csv"),
    (["evaluate", "classifier"], {"--task": "ag_news"}, "'Sports'"),
    (["evaluate", "classifier"], {"--task": "nope"}, "'nope'"),
    (["evaluate", "classifier"], {"--task": "sst2", "--test-file": "reviews.csv"}, "--task"),
    (["evaluate", "classifier"], {"--pair-column": "second"}, "--pair-column"),
    (["evaluate", "classifier"], {"--task": "builtin", "--data-dir": "foreign"}, "--data-dir"),
    (["evaluate", "classifier"], {"--task": "builtin", "--max-length": "0"}, "--max-length"),
    (["evaluate", "classifier"], {"--task": "builtin", "--max-length": "1000"}, "1000"),
    (["evaluate", "missing"], {"--test-file": "reviews.csv"}, "missing"),
    # Attacking: the data and the model
    (["attack", "headless"], ATTACKED, "headless"),
    (["attack", "three-classes"], ATTACKED, "'fair'"),
    (["attack", "missing"], ATTACKED, "missing"),
    (["attack", "classifier"], ATTACKED | {"--test-file": "unknown.csv"}, "'meh'"),
    (["attack", "classifier"], ATTACKED | {"--test-file": "missing.csv"}, "missing.csv"),
    (["attack", "classifier"], ATTACKED | {"--task": "sst2"}, "--task"),
    (["attack", "classifier"], OUT | {"--pair-column": "second"}, "--pair-column"),
    (["attack", "classifier"], ATTACKED | {"--max-length": "1000"}, "1000"),
    *(
        (["attack", "classifier"], ATTACKED | {"--output": output}, output)
        for output in ("file", "file/inside")
    ),
    # Attacking: its options, which a run has too
    *(
        (command, own | options, culprit)
        for command, own in ((["attack", "classifier"], ATTACKED), (["run"], OWN))
        for options, culprit in (
            ({"--attack": "nope"}, "'nope'"),
            ({"--attack": "textfooler,nope"}, "'nope'"),
            ({"--attack": "textfooler", "--word-limit": "0.2"}, "--word-limit"),
            ({"--attack": "textfooler,textbugger", "--word-limit": "0.2"}, "--word-limit"),
            ({"--attack": "bert-attack", "--min-word-cosine": "0.5"}, "--min-word-cosine"),
            ({"--neighbours": "missing.txt"}, "missing.txt"),
            ({"--neighbours": "missing.parquet"}, "missing.parquet"),
            ({"--neighbours": "nobody/nothing"}, "nobody/nothing"),
            ({"--attack": "bert-attack", "--masked-lm": "nobody/nothing"}, "nobody/nothing"),
            ({"--attack": "bert-attack", "--masked-lm": "encoder"}, "'encoder'"),
            ({"--sentence-encoder": "nobody/nothing"}, "nobody/nothing"),
            ({"--nltk-data": "foreign"}, "foreign"),
            ({"--nltk-data": "missing"}, "missing"),
        )
    ),
    *(
        (command, own | {option: value}, option)
        for command, own in ((["attack", "classifier"], ATTACKED), (["run"], OWN))
        for options, values in (
            (("--examples", "--token-budget", "--in-flight", "--candidates"), ("0", "-1")),
            (("--min-similarity", "--min-word-cosine"), ("1.5", "-2", "nan")),
            (("--word-limit",), ("0", "1.1", "nan")),
        )
        for option in options
        for value in values
    ),
    (["attack", "classifier"], ATTACKED | {"--seed": "-1"}, "--seed"),
    (["attack", "classifier"], ATTACKED | {"--seed": "4294967296"}, "--seed"),
    (["attack", "classifier"], ATTACKED | {"--examples": "1"}, "1 examples"),
    (["run", "--no-attack"], OWN | {"--attack": "textfooler"}, "--no-attack"),
    (["run", "--no-attack"], OWN | {"--examples": "20"}, "--no-attack leaves them out"),
    (["finetune", "--no-attack"], OWN | {"--ticket": "ticket", "--attack": "textbugger"}, "--no-attack"),
]


def name_of(case: tuple[list[str], dict[str, str], str]) -> str:
    command, options, _ = case
    changed = {option: value for option, value in options.items() if OWN.get(option) != value}
    return " ".join([*command, *(word for pair in changed.items() for word in pair)])


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_mistake_is_named_and_leaves_no_trace(
    case: tuple[list[str], dict[str, str], str], place: Path
) -> None:
    command, options, culprit = case
    before = snapshot(place)
    outcome = call(*command, *(word for pair in options.items() for word in pair))
    assert outcome.code == 2
    assert outcome.err.startswith("Error: ")
    assert outcome.err.count("\n") == 1
    assert outcome.err.endswith((".\n", "?\n"))
    assert culprit in outcome.err
    assert len(outcome.err) < 2_000
    assert "Traceback" not in outcome.out + outcome.err
    assert snapshot(place) == before
    assert not Path("executed").exists()


def test_a_victim_whose_weights_are_no_numbers_ends_an_attack_with_a_sentence(
    place: Path, tmp_path: Path
) -> None:
    options = ATTACKED | {"--output": str(tmp_path / "out")}
    outcome = call("attack", "no-number", *(word for pair in options.items() for word in pair))
    assert outcome.code == 2
    assert outcome.err.startswith("Error: A weight of 'no-number' is not a number")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "culprit"),
    [
        (["run", "--epochs", "many"], "--epochs"),
        (["run", "--nurons", "0.3"], "--nurons"),
        (["finetune", "--train-file", "reviews.csv"], "--ticket"),
        (["evaluate"], "MODEL"),
        (["list", "models"], "models"),
        (["train"], "train"),
    ],
)
def test_a_misspelt_command_is_explained_by_its_usage(
    arguments: list[str], culprit: str, place: Path
) -> None:
    before = snapshot(place)
    outcome = call(*arguments)
    assert outcome.code == 2
    assert outcome.err.startswith("Usage: ")
    assert culprit.casefold() in outcome.err.casefold()
    assert "Traceback" not in outcome.err
    assert snapshot(place) == before
