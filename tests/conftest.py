"""What tests share: no network, a token cache of their own, the command line, and one tiny finished run."""

from __future__ import annotations

import contextlib
import csv
import gc
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's client is imported

import hypothesis
import pytest
from matplotlib.figure import Figure

# The same examples every time, on every machine; `--hypothesis-profile=long` looks for new ones.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None)
hypothesis.settings.register_profile(
    "long", deadline=None, max_examples=3_000, suppress_health_check=[*hypothesis.HealthCheck]
)
hypothesis.settings.load_profile("repeatable")

# Small enough that a whole run takes seconds, long enough for some miniepochs.
QUICK = (
    *("--epochs", "1", "--batch-size", "8", "--learning-rate", "1e-3"),
    *("--search-adversary", "freelb,steps=2", "--miniepoch", "0.1", "--miniepoch-min-steps", "2"),
)


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


def call(*arguments: object) -> Outcome:
    """Run the command line in this process, as its entry point does."""
    from earlyrobust.cli import main

    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["earlyrobust", *map(str, arguments)])
        patch.setenv("COLUMNS", "200")
        try:
            main()
        except SystemExit as end:
            return Outcome(int(end.code or 0), out.getvalue(), err.getvalue())
    raise AssertionError("the command line does not end by itself")


def write_csv(path: Path, columns: dict[str, list[object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def write_reviews(path: Path, rows: int, seed: int = 1) -> Path:
    """Write reviews of the built-in corpus as a user's own file."""
    from earlyrobust.data.corpus import LABEL_NAMES, generate

    texts, labels = generate(seed=seed, train=rows, selection=2, test=2)["train"]
    return write_csv(path, {"text": list(texts), "label": [LABEL_NAMES[label] for label in labels]})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave families that differ by their name alone to the slow tests."""
    from models import KIN

    for item in items:
        parameters = getattr(item, "callspec", None)
        values = [] if parameters is None else parameters.params.values()
        if any(isinstance(value, str) and value in KIN for value in values):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _no_garbage_of_others() -> None:
    """Spare each test the objects of the tests before it.

    Every training collects garbage three times, and looks at all objects of the process each time.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _blank_pictures(request: pytest.FixtureRequest) -> Iterator[None]:
    """Save blank pictures in tests that look at none: drawing takes longer than a tiny run."""
    blank, save = Figure(figsize=(1, 1)), Figure.savefig
    with pytest.MonkeyPatch.context() as patch:
        if not request.node.get_closest_marker("pictures"):
            patch.setattr(Figure, "savefig", lambda _, *places, **options: save(blank, *places, **options))
        yield


@pytest.fixture(autouse=True, scope="session")
def _in_float32() -> Iterator[None]:
    """Keep the speed of the machine from choosing the precision of trainings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("earlyrobust.pipeline.precision.time_in_bf16", lambda: 1.0)
        yield


@pytest.fixture(autouse=True, scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EARLYROBUST_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def command() -> Callable[..., Outcome]:
    return call


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tiny_encoder import write_encoder

    return write_encoder(tmp_path_factory.mktemp("encoder"), head=False)


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory, encoder: Path) -> Path:
    """The same encoder without dropout, whose draws depend on how a batch is divided."""
    folder = tmp_path_factory.mktemp("calm") / "encoder"
    shutil.copytree(encoder, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reviews(tmp_path_factory.mktemp("reviews") / "reviews.csv", 300)


@pytest.fixture(scope="session")
def trained_on(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_reviews(tmp_path_factory.mktemp("reviews") / "reviews.csv", 160)


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory, trained_on: Path) -> Path:
    """A classifier that plain transformers has trained on `trained_on`; its first output is POSITIVE."""
    from datasets import Dataset
    from tiny_encoder import write_encoder
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

    folder = write_encoder(tmp_path_factory.mktemp("classifier") / "mine", ("POSITIVE", "NEGATIVE"), seed=3)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with trained_on.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    tokens = tokenizer([row["text"] for row in rows], truncation=True)
    data = Dataset.from_dict({**tokens, "labels": [int(row["label"] == "negative") for row in rows]})
    args = TrainingArguments(
        str(folder.parent / "training"),
        num_train_epochs=15,
        learning_rate=3e-3,
        per_device_train_batch_size=16,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    Trainer(model, args, train_dataset=data, processing_class=tokenizer).train()
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, encoder: Path, reviews: Path) -> tuple[Path, Outcome]:
    """The folder of a finished run of the main job, and how the command ended."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    outcome = call("run", "--model", encoder, "--train-file", reviews, "--output", folder, *QUICK)
    assert outcome.code == 0, outcome
    return folder, outcome
