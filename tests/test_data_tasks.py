"""The table of tasks, and loading each of them from its real files or from stand-ins."""

from __future__ import annotations

import csv
import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from earlyrobust.data import TASKS, TextData, corpus, load_task
from earlyrobust.errors import DataError

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
ON_HUB = [name for name, task in TASKS.items() if task.hub is not None]


@pytest.fixture(scope="module")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"the real data sets are not in {SHARED}")
    return SHARED


def message_of(error: pytest.ExceptionInfo[DataError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert not re.search(r"[.?!] [A-Z]", message), f"more than one sentence: {message}"
    return message


def write_qnli(folder: Path, labels: list[int | None], **columns: list[str]) -> None:
    """Write a local QNLI whose validation file has two good rows."""
    rows = {
        "question": [f"question {i}" for i in range(len(labels))],
        "sentence": [f"sentence {i}" for i in range(len(labels))],
        **columns,
        "label": labels,
    }
    good = {"question": ["a", "b"], "sentence": ["c", "d"], "label": [0, 1]}
    (folder / "qnli").mkdir()
    pq.write_table(pa.table(rows), folder / "qnli" / "train_subset.parquet")
    pq.write_table(pa.table(good), folder / "qnli" / "validation.parquet")


def test_the_table_is_consistent() -> None:
    assert list(TASKS) == ["sst2", "imdb", "ag_news", "qnli", "qqp", "builtin"]
    for name, task in TASKS.items():
        assert task.name == name
        assert len(set(task.label_names)) == len(task.label_names) >= 2
        assert task.heads == pytest.approx(1 / 6)
        assert (task.hub is None) == (task.local is None) == (name == "builtin")
    assert TASKS["builtin"].label_names == corpus.LABEL_NAMES


@pytest.mark.parametrize(
    ("name", "max_length", "epochs", "neurons"),
    [
        ("sst2", 128, 10, 0.3),
        ("imdb", 256, 10, 0.4),
        ("ag_news", 256, 10, 0.2),
        ("qnli", 128, 10, 0.3),
        ("qqp", 128, 10, 0.3),
        ("builtin", 64, 1, 0.3),
    ],
)
def test_settings_of_the_paper(name: str, max_length: int, epochs: int, neurons: float) -> None:
    task = TASKS[name]
    assert (task.max_length, task.epochs, task.neurons) == (max_length, epochs, neurons)


def test_the_table_can_be_read_without_the_heavy_libraries() -> None:
    code = (
        "import sys; from earlyrobust.data.tasks import TASKS; import earlyrobust.data\n"
        "assert earlyrobust.data.TASKS is TASKS\n"
        "assert not {'torch', 'datasets', 'transformers', 'pyarrow', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_names_are_attribute_errors() -> None:
    import earlyrobust.data

    with pytest.raises(AttributeError, match="load_nothing"):
        _ = earlyrobust.data.load_nothing
    assert all(hasattr(earlyrobust.data, name) for name in earlyrobust.data.__all__)


# What the first two sizes must be follows from the number of rows in the files.
@pytest.mark.parametrize(
    ("name", "rows", "test_rows"),
    [
        ("sst2", 67_349, 872),
        ("imdb", 25_000, 25_000),
        ("ag_news", 54_172, 7_600),
        ("qnli", 19_441, 5_463),
        ("qqp", 8_999, 1_000),
    ],
)
def test_real_files(shared: Path, name: str, rows: int, test_rows: int) -> None:
    task = TASKS[name]
    data = load_task(task, data_dir=shared)
    selection = min(2_000, round(rows / 10))
    assert data.sizes == {"train": rows - selection, "selection": selection, "test": test_rows}
    assert data.name == name
    assert data.is_pair == (task.pair_column is not None)
    columns = ["text", "pair", "label"] if data.is_pair else ["text", "label"]
    for split in (data.train, data.selection, data.test):
        assert set(split["label"]) == set(range(len(task.label_names)))
        assert split.column_names == columns


def test_training_rows_of_imdb_are_shuffled(shared: Path) -> None:
    labels = load_task(TASKS["imdb"], data_dir=shared, train_samples=2_000).train["label"][:]
    assert sum(labels) == 1_000
    # All negatives first would put none here.
    assert 400 < sum(labels[:1_000]) < 600


def test_csv_quotes_of_qqp_are_undone(shared: Path) -> None:
    test = load_task(TASKS["qqp"], data_dir=shared).test
    raw = pq.read_table(shared / "qqp" / "validation_subset.parquet")
    for column, name in (("text", "question1"), ("pair", "question2")):
        questions = raw[name].to_pylist()
        quoted = [row for row, question in enumerate(questions) if question.startswith('"')]
        assert quoted
        assert [test[column][row] for row in quoted] == [
            next(csv.reader([questions[row]]))[0] for row in quoted
        ]
        assert all(test[column][row] == questions[row] for row in set(range(len(questions))) - set(quoted))


def test_text_of_other_tasks_is_left_as_it_is(tmp_path: Path) -> None:
    quoted = ['"a ""b"" c"'] * 20
    write_qnli(tmp_path, [0, 1] * 10, question=quoted)
    assert set(load_task(TASKS["qnli"], data_dir=tmp_path).train["text"]) == {quoted[0]}


def test_the_complete_file_is_preferred_to_a_subset(tmp_path: Path) -> None:
    write_qnli(tmp_path, [0, 1] * 10)
    whole = pq.read_table(tmp_path / "qnli" / "train_subset.parquet")
    pq.write_table(pa.concat_tables([whole] * 2), tmp_path / "qnli" / "train.parquet")
    assert load_task(TASKS["qnli"], data_dir=tmp_path).sizes == {"train": 36, "selection": 4, "test": 2}


def test_data_dir_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        load_task(TASKS["qnli"], data_dir=tmp_path / "none")
    assert str(tmp_path / "none") in message_of(error)


def test_data_dir_without_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        load_task(TASKS["qnli"], data_dir=tmp_path)
    message = message_of(error)
    assert str(tmp_path) in message
    assert "qnli/train.parquet or qnli/train_subset.parquet" in message


@pytest.mark.parametrize(
    ("labels", "parts"),
    [
        ([0, 1, 2], ["label 2", "row 3 of", "train_subset.parquet", "from 0 to 1"]),
        ([0, -1, 1], ["label -1", "row 2 of", "train_subset.parquet"]),
        ([0, None, 1], ["label", "missing", "row 2 of", "train_subset.parquet"]),
        ([1, 1, 1], ["training split of 'qnli'", "'not_entailment'", "two classes"]),
        ([1, 0, 1], ["'entailment'", "1 row(s)", "training split of 'qnli'"]),
    ],
)
def test_bad_labels_in_a_local_file(tmp_path: Path, labels: list[int | None], parts: list[str]) -> None:
    write_qnli(tmp_path, labels)
    with pytest.raises(DataError) as error:
        load_task(TASKS["qnli"], data_dir=tmp_path)
    message = message_of(error)
    assert all(part in message for part in parts), message


@pytest.mark.parametrize("name", ON_HUB)
def test_hub_splits_are_read(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    task = TASKS[name]
    labels = list(range(len(task.label_names))) * 10

    def load_dataset(repo: str, config: str | None, split: list[str]) -> list[datasets.Dataset]:
        assert task.hub is not None
        assert (repo, config, split) == (task.hub.repo, task.hub.config, [task.hub.train, task.hub.test])
        columns: dict[str, list[str] | list[int]] = {"idx": labels, "label": labels}
        columns[task.text_column] = [f"text {i}" for i in range(len(labels))]
        if task.pair_column is not None:
            columns[task.pair_column] = [f"pair {i}" for i in range(len(labels))]
        return [datasets.Dataset.from_dict(columns)] * 2

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    data = load_task(task)
    assert data.sizes["train"] + data.sizes["selection"] == data.sizes["test"] == len(labels)
    assert data.test["text"][1] == "text 1"
    assert data.is_pair == (task.pair_column is not None)


@pytest.mark.parametrize(
    "cause", [ConnectionError("no route.\nRetry later."), ValueError("Couldn't find cache for glue.")]
)
def test_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch, cause: Exception) -> None:
    def load_dataset(*_: object, **__: object) -> None:
        raise cause

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    with pytest.raises(DataError) as error:
        load_task(TASKS["sst2"])
    message = str(error.value)
    assert "\n" not in message
    for part in [
        "nyu-mll/glue",
        "could not be fetched from the Hugging Face hub",
        "--data-dir",
        "--train-file",
    ]:
        assert part in message
    assert error.value.__cause__ is cause


def test_builtin_is_the_same_for_every_seed() -> None:
    first, second = (load_task(TASKS["builtin"], seed=seed) for seed in (0, 1))
    assert first.fingerprint == second.fingerprint
    texts, labels = corpus.generate(seed=0)["train"]
    assert (first.train["text"][:], first.train["label"][:]) == (texts, labels)
    assert not first.is_pair


def test_builtin_can_be_sampled() -> None:
    whole = load_task(TASKS["builtin"])
    few = load_task(TASKS["builtin"], train_samples=50)
    assert few.sizes == {**whole.sizes, "train": 50, "selection": 50}
    assert sum(few.train["label"]) == 25
    assert set(few.train["text"]) <= set(whole.train["text"])
    assert few.fingerprint != whole.fingerprint


def test_data_is_frozen() -> None:
    data = load_task(TASKS["builtin"], train_samples=10)
    assert isinstance(data, TextData)
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.name = "other"  # type: ignore[misc]
