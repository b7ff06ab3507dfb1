"""Equal texts: what counts as equal, cuts that keep them together, and what is said and recorded of them."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Outcome, call, write_csv
from hypothesis import given
from hypothesis import strategies as st

from earlyrobust.data import TASKS, TextData, count_overlap, load_files, load_task
from earlyrobust.data.duplicates import table_keys
from earlyrobust.data.rows import make_rows
from earlyrobust.data.splitting import grouped_draw, stratified_draw
from earlyrobust.errors import DataError
from earlyrobust.pipeline.row_counts import describe_rows
from earlyrobust.results import RunRecord


def load(train_file: Path, test_file: Path | None = None, **options: Any) -> TextData:
    columns = {"text_column": "text", "pair_column": None, "label_column": "label"}
    return load_files(train_file, test_file, **{**columns, **options})


def write(path: Path, texts: list[str], labels: list[str] | None = None, **columns: list[object]) -> Path:
    marks = labels or ["no", "yes"] * (len(texts) // 2) + ["no"] * (len(texts) % 2)
    return write_csv(path, {"text": list(texts), "label": list(marks), **columns})


def texts_of(data: TextData) -> list[set[str]]:
    return [set(split["text"]) for split in (data.train, data.selection, data.test)]


# --- equality ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A fine film.", "a FINE film."),
        ("a fine film", "  a fine\tfilm \n"),
        ("a fine film", "a\u00a0fine\u3000film"),
        ("caf\u00e9", "cafe\u0301"),
        ("Straße", "STRASSE"),
        ("\u212bngström", "ångström"),
        ("", " \r\n"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
    ],
)
def test_equal_texts(one: str, other: str) -> None:
    keys = table_keys(make_rows([one, other], None, [0, 1]))
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a fine film", "a fine film."),
        ("cafe", "café"),
        ("afine film", "a fine film"),
        ("", "."),
        ("1", "１"),
        ("a\0", "a"),
    ],
)
def test_different_texts(one: str, other: str) -> None:
    keys = table_keys(make_rows([one, other], None, [0, 1]))
    assert keys[0] != keys[1]


def test_pairs_are_equal_if_both_texts_are() -> None:
    texts, pairs = ["a b", "A  b", "a b", "a", "c"], ["c", "C ", "d", "b c", "a b"]
    keys = table_keys(make_rows(texts, pairs, [0] * 5)).tolist()
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4


def test_keys_of_many_rows_do_not_depend_on_how_they_lie() -> None:
    table = make_rows([f"text {i % 12_000}" for i in range(25_000)], None, [0] * 25_000)
    keys = table_keys(pa.concat_tables([table.slice(0, 7), table.slice(7)]))
    assert keys.tolist() == table_keys(table).tolist()
    assert len(set(keys.tolist())) == 12_000


def test_overlap_counts_rows_in_their_own_order() -> None:
    rows = datasets.Dataset.from_dict({"text": ["A", "b", "a ", "z"], "label": [0, 1, 0, 1]})
    others = datasets.Dataset.from_dict({"text": ["a", "c", "Z"], "label": [1, 1, 1]})
    assert (count_overlap(rows, others), count_overlap(others, rows)) == (3, 2)
    assert count_overlap(rows.select([1]), others) == 0


# --- drawing -----------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 3), min_size=20, max_size=60), st.integers(0, 2**32 - 1))
def test_a_draw_of_texts_without_repeats_is_a_draw_of_rows(numbers: list[int], seed: int) -> None:
    labels, keys = np.array([*range(4), *numbers]), np.random.default_rng(seed).permutation(len(numbers) + 4)
    size = max(4, len(labels) // 10)
    ours = grouped_draw(labels, keys.astype(np.uint64), size, np.random.default_rng(seed))
    rows = stratified_draw(labels, size, np.random.default_rng(seed))
    assert [part.tolist() for part in ours] == [part.tolist() for part in rows]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 30)), min_size=3, max_size=40), st.integers(0, 9))
def test_a_draw_takes_all_of_a_text_or_nothing(texts: list[tuple[int, int]], seed: int) -> None:
    groups = [(number % 3, 1 + number) for number in range(9)] + texts  # three texts of each class at least
    labels = np.array([label for label, count in groups for _ in range(count)])
    keys = np.array([key for key, (_, count) in enumerate(groups) for _ in range(count)], dtype=np.uint64)
    size = max(3, len(labels) // 10)
    drawn, rest = grouped_draw(labels, keys, size, np.random.default_rng(seed), leave=2)
    assert sorted([*drawn, *rest]) == list(range(len(labels)))
    assert not set(keys[drawn]) & set(keys[rest])
    assert set(labels[drawn]) == {0, 1, 2}
    assert all(len(set(keys[rest][labels[rest] == label])) >= 2 for label in range(3))


def test_a_draw_of_texts_comes_as_near_to_its_size_as_they_allow() -> None:
    labels = np.repeat([0, 1], 500)
    keys = np.arange(1000, dtype=np.uint64) // 5  # two hundred texts, five rows each
    drawn, _ = grouped_draw(labels, keys, 100, np.random.default_rng(0))
    assert Counter(labels[drawn].tolist()) == {0: 50, 1: 50}
    keys[:250] = 0  # half of a class is one text, too large for its share
    drawn, rest = grouped_draw(labels, keys, 100, np.random.default_rng(0))
    assert Counter(labels[drawn].tolist()) == {0: 50, 1: 50}
    assert 0 in keys[rest]


def test_texts_that_cannot_be_cut() -> None:
    # Three classes share three texts: whichever two are drawn, a class is left without one.
    labels, keys = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 2, 1, 2], dtype=np.uint64)
    with pytest.raises(DataError, match="equal texts stay together"):
        grouped_draw(labels, keys, 3, np.random.default_rng(0))


# --- splits of the user's files ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_copies_of_a_text_stay_on_one_side(tmp_path: Path, seed: int) -> None:
    texts = [f"text number {i}" for i in range(36) for _ in range(10)]
    labels = [("no", "yes")[i * 7 % 11 % 2] for i in range(36) for _ in range(10)]
    data = load(write(tmp_path / "a.csv", texts, labels), seed=seed)
    train, selection, test = texts_of(data)
    assert not train & selection
    assert not (train | selection) & test
    assert sum(data.sizes.values()) == 360
    assert set(data.test["label"]) == set(data.selection["label"]) == {0, 1}
    assert data.duplicates == {
        **{name: size * 9 // 10 for name, size in data.sizes.items()},
        **dict.fromkeys(("selection_in_train", "test_in_train", "test_in_selection", "contradicted"), 0),
    }
    assert load(tmp_path / "a.csv", seed=seed).fingerprint == data.fingerprint


def test_spellings_of_a_text_stay_on_one_side(tmp_path: Path) -> None:
    texts = [f"Text {i}" for i in range(60)]
    spellings = [spell(text) for text in texts for spell in (str, str.upper, lambda text: f" {text}  ")]
    data = load(write(tmp_path / "a.csv", spellings, ["no", "yes"] * 90))
    train, selection, test = ({text.strip().lower() for text in split} for split in texts_of(data))
    assert not train & selection
    assert not (train | selection) & test
    assert data.duplicates["contradicted"] == 180


def test_pairs_with_one_text_in_common_are_not_repeats(tmp_path: Path) -> None:
    texts, pairs = ["same"] * 40, [f"pair {i}" for i in range(40)]
    data = load(write(tmp_path / "a.csv", texts, pair=list(pairs)), pair_column="pair")
    assert not any(data.duplicates.values())
    with pytest.raises(DataError, match=r"'no' has only 1 different text\(s\) in .* cut in 3"):
        load(tmp_path / "a.csv")


def test_a_test_file_that_is_trained_on_is_refused(tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(40)]
    train = write(tmp_path / "train.csv", texts)
    copy = Path(shutil.copy(train, tmp_path / "copy.csv"))
    link = tmp_path / "link.csv"
    link.symlink_to(train)
    part = write(tmp_path / "part.csv", [text.upper() for text in texts[:8]])
    most = write(tmp_path / "most.csv", texts[:11] + [f"new {i}" for i in range(9)])
    for test, words in (
        (train, "is the training file itself"),
        (link, "is the training file itself"),
        (copy, f"40 of the 40 rows of {copy}"),
        (part, f"8 of the 8 rows of {part}"),
        (most, f"11 of the 20 rows of {most}"),
    ):
        with pytest.raises(DataError) as error:
            load(train, test)
        assert words in str(error.value)
        assert "holds back a part of the training file" in str(error.value)


def test_a_test_file_with_some_known_texts_is_counted(tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(80)]
    train = write(tmp_path / "train.csv", texts)
    test = write(
        tmp_path / "test.csv", [text.upper() for text in texts[:8]] + [f"new {i}" for i in range(72)]
    )
    data = load(train, test)
    known = data.duplicates["test_in_train"], data.duplicates["test_in_selection"]
    assert sum(known) == 8
    assert known[0] == count_overlap(data.test, data.train)
    assert f"{known[0]} of the 80 rows to test on have a text that is also trained on" in " ".join(
        describe_rows(data)
    )


def test_named_tasks_are_cut_by_rows_and_counted(tmp_path: Path) -> None:
    (tmp_path / "sst2").mkdir()
    rows = {"sentence": [f"text {i // 2}" for i in range(200)], "label": [0, 0, 1, 1] * 50}
    pq.write_table(pa.table(rows), tmp_path / "sst2" / "train.parquet")
    test = {"sentence": ["text 1", "new", "text 1"], "label": [1, 0, 0]}
    pq.write_table(pa.table(test), tmp_path / "sst2" / "validation.parquet")
    data = load_task(TASKS["sst2"], data_dir=tmp_path)
    assert data.sizes == {"train": 180, "selection": 20, "test": 3}
    assert data.duplicates["selection_in_train"] == count_overlap(data.selection, data.train) > 0
    assert data.duplicates["test"] == 1
    assert data.duplicates["contradicted"] == 4


# --- what is said and recorded -----------------------------------------------------------------------------


def test_lines_at_the_start(tmp_path: Path) -> None:
    data = load(
        write(tmp_path / "reviews.csv", [f"text {i}" for i in range(400)], ["no"] * 300 + ["yes"] * 100)
    )
    assert data.classes == {
        "train": {"no": 243, "yes": 81},
        "selection": {"no": 27, "yes": 9},
        "test": {"no": 30, "yes": 10},
    }
    assert describe_rows(data) == [
        "Rows of reviews: 324 to train on, 36 to select on, 40 to test on.",
        "Rows of each class (train/selection/test): no 243/27/30, yes 81/9/10.",
        "No text is repeated.",
    ]


def test_lines_about_repeats(tmp_path: Path) -> None:
    texts = [f"text {i % 20}" for i in range(400)]
    lines = describe_rows(load(write(tmp_path / "a.csv", texts)))
    assert (
        lines[2]
        == "Rows that repeat the text of an earlier row: 304 to train on, 38 to select on, 38 to test on."
    )
    assert (
        "Beware: the 40 rows to test on are only 2 different texts, so their accuracy says little." in lines
    )
    flipped = [f"text {i // 2}" for i in range(400)]
    assert describe_rows(load(write(tmp_path / "b.csv", flipped)))[-1] == (
        "Beware: 400 rows have a text that also occurs with another label."
    )


def test_many_classes_are_abbreviated(tmp_path: Path) -> None:
    labels = [f"class {i:02}" for i in range(20) for _ in range(10 + i)]
    line = describe_rows(load(write(tmp_path / "a.csv", [f"text {i}" for i in range(len(labels))], labels)))[
        1
    ]
    assert line.count("/") == 2 + 8 * 2
    assert "class 19 " in line
    assert line.endswith("and 12 smaller classes, of at least 10 rows in all splits.")


def test_a_run_says_and_records_its_rows(finished: tuple[Path, Outcome]) -> None:
    folder, outcome = finished
    data = RunRecord.load(folder).data
    assert {name: sum(counts.values()) for name, counts in data.classes.items()} == data.sizes
    assert list(data.classes["test"]) == data.label_names
    assert data.duplicates["test_in_train"] == 0
    shown = outcome.out + outcome.err
    assert "Rows of reviews: 243 to train on, 27 to select on, 30 to test on." in shown
    assert "No text is repeated." in shown


def test_a_run_on_its_test_file_writes_nothing(tmp_path: Path, encoder: Path, reviews: Path) -> None:
    own = ("--model", encoder, "--train-file", reviews, "--output", tmp_path / "out")
    outcome = call("run", *own, "--test-file", reviews)
    assert outcome.code == 2
    assert "is the training file itself" in outcome.err
    assert not (tmp_path / "out").exists()
