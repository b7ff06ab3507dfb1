"""Reading user files: what is accepted, and one clear sentence for what is not."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from earlyrobust.data.files import Table, read_chunks
from earlyrobust.errors import DataError

COLUMNS = ["text", "label"]


def read_table(path: Path, columns: list[str]) -> Table:
    """All of a file, from chunks of two rows."""
    chunks = list(read_chunks(path, columns, rows=2))
    assert all(0 < len(chunk.numbers) <= 2 for chunk in chunks)
    values = {column: [value for chunk in chunks for value in chunk.columns[column]] for column in columns}
    return Table(path, values, chunks[0].unit, [number for chunk in chunks for number in chunk.numbers])


def message_of(error: pytest.ExceptionInfo[DataError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert message.endswith((".", "?"))
    assert not re.search(r"[.?!] [A-Z]", message), f"more than one sentence: {message}"
    return message


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text,label,extra\nfine,1,x\npoor,0,y\n"),
        ("a.CSV", "text,label\r\nfine,1\r\npoor,0\r\n"),
        ("bom.csv", b"\xef\xbb\xbftext,label\nfine,1\npoor,0\n"),
        ("a.tsv", "label\ttext\n1\tfine\n0\tpoor"),
        ("blank-lines.csv", "\ntext,label\n\nfine,1\n\npoor,0\n\n"),
        ("a.jsonl", '{"text": "fine", "label": "1"}\n\n{"label": "0", "text": "poor", "extra": [1]}\n'),
        ("bom.jsonl", b'\xef\xbb\xbf{"text": "fine", "label": "1"}\r\n{"text": "poor", "label": "0"}\r\n'),
    ],
)
def test_reads_text_formats(tmp_path: Path, name: str, content: str | bytes) -> None:
    table = read_table(write(tmp_path / name, content), COLUMNS)
    assert table.columns == {"text": ["fine", "poor"], "label": ["1", "0"]}


def test_reads_parquet_of_any_string_type(tmp_path: Path) -> None:
    texts = pa.array(["fine", "poor"], pa.large_string()).dictionary_encode()
    pq.write_table(pa.table({"label": pa.array([1, 0], pa.int8()), "text": texts}), tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet", COLUMNS)
    assert table.texts("text") == ["fine", "poor"]
    assert table.labels("label") == [1, 0]


def test_quoted_fields_keep_newlines_quotes_and_line_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'text,label\n"two\nlines, ""quoted""",1\nnext,0\n')
    table = read_table(path, COLUMNS)
    assert table.columns["text"] == ['two\nlines, "quoted"', "next"]
    assert [table.place(0), table.place(1)] == [f"line 2 of {path}", f"line 4 of {path}"]


def test_fields_may_be_very_long_and_the_csv_limit_is_put_back(tmp_path: Path) -> None:
    limit = csv.field_size_limit()
    text = "long " * 100_000
    table = read_table(write(tmp_path / "a.csv", f"text,label\n{text},1\n"), COLUMNS)
    assert table.columns["text"] == [text]
    assert csv.field_size_limit() == limit


def test_json_strings_keep_unicode_line_separators(tmp_path: Path) -> None:
    row = {"text": "one\u2028line\x85still", "label": 1}
    path = write(tmp_path / "a.jsonl", json.dumps(row, ensure_ascii=False) + "\n")
    assert read_table(path, COLUMNS).columns == {"text": [row["text"]], "label": [1]}


BAD_FILES = [
    pytest.param("a.txt", "text", ["a.txt", ".csv, .tsv, .jsonl or .parquet"], id="unknown ending"),
    pytest.param("a.csv", "", ["a.csv", "empty"], id="empty csv"),
    pytest.param("a.csv", "\n\n", ["a.csv", "empty"], id="blank csv"),
    pytest.param("a.csv", "text,label\n", ["a.csv", "no rows"], id="header only"),
    pytest.param("a.jsonl", "", ["a.jsonl", "no rows"], id="empty jsonl"),
    pytest.param("a.parquet", "", ["a.parquet", "Parquet"], id="empty parquet"),
    pytest.param("a.parquet", b"PAR1garbagePAR1", ["a.parquet", "complete"], id="corrupt parquet"),
    pytest.param(
        "a.csv",
        b"text,label\nfine,1\ncaf\xe9,0\n",
        ["Line 3 of", "a.csv", "0xe9", "21", "UTF-8"],
        id="latin-1",
    ),
    pytest.param(
        "a.tsv", b"\xef\xbb\xbftext\tlabel\n\xff\t0\n", ["Line 2 of", "offset 14"], id="bytes after a BOM"
    ),
    pytest.param("a.jsonl", '{"text": "x"}'.encode("utf-16"), ["Line 1 of", "offset 0"], id="utf-16"),
    pytest.param(
        "a.csv",
        "text,label\na,1\nb, c,0\n",
        ["Line 3 of", "a.csv", "3 field(s)", "has 2", "comma"],
        id="too many",
    ),
    pytest.param("a.tsv", "text\tlabel\nb\n", ["Line 2 of", "1 field(s)", "has 2", "tab"], id="too few"),
    pytest.param(
        "a.csv", 'text,label\n"a\nb",1\nc\n', ["Line 4 of", "1 field(s)"], id="line numbers count all lines"
    ),
    pytest.param("a.csv", 'text,label\na,1\n"b,0\nc,1\n', ["line 3 of", "quote"], id="open quote"),
    pytest.param("a.csv", 'text,label\n"a" b,1\n', ["line 2 of", "quote"], id="text after a quote"),
    pytest.param("a.jsonl", '{"text": "a", "label": 1}\n{"text": \n', ["Line 2 of", "JSON"], id="bad json"),
    pytest.param("a.jsonl", "[" * 100_000, ["Line 1 of", "JSON"], id="bottomless json"),
    pytest.param("a.jsonl", '\n["a", 1]\n', ["Line 2 of", "array", "object"], id="json array"),
    pytest.param("a.jsonl", "null\n", ["Line 1 of", "null", "object"], id="json null"),
    pytest.param(
        "a.csv",
        "Text,label\na,1\n",
        ["no column 'text'", "'Text', 'label'", "mean 'Text'?"],
        id="near column",
    ),
    pytest.param("a.csv", "q,z\na,1\n", ["no column 'text'", "'q', 'z'", "name one"], id="far column"),
    pytest.param("a.jsonl", '{"body": "a", "label": 1}', ["no column 'text'", "'body'"], id="jsonl column"),
    pytest.param("a.csv", "text,text,label\na,b,1\n", ["more than one column 'text'"], id="double column"),
]


@pytest.mark.parametrize(("name", "content", "parts"), BAD_FILES)
def test_bad_file(tmp_path: Path, name: str, content: str | bytes, parts: list[str]) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(DataError) as error:
        read_table(path, COLUMNS)
    message = message_of(error)
    assert all(part in message for part in [str(path), *parts]), message


def test_parquet_without_the_column(tmp_path: Path) -> None:
    pq.write_table(pa.table({"texts": ["a"], "label": [1]}), tmp_path / "a.parquet")
    with pytest.raises(DataError) as error:
        read_table(tmp_path / "a.parquet", COLUMNS)
    assert "did you mean 'texts'?" in message_of(error)


def test_parquet_without_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([], pa.string()), "label": [0][:0]}), tmp_path / "a.parquet")
    with pytest.raises(DataError) as error:
        read_table(tmp_path / "a.parquet", COLUMNS)
    assert "no rows" in message_of(error)


def test_parquet_with_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    texts = pa.array([b"caf\xe9"]).view(pa.string())
    pq.write_table(pa.table({"text": texts, "label": [1]}), tmp_path / "a.parquet")
    with pytest.raises(DataError) as error:
        read_table(tmp_path / "a.parquet", COLUMNS)
    assert str(tmp_path / "a.parquet") in message_of(error)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read_table(tmp_path / "none.csv", COLUMNS)
    assert f"{tmp_path / 'none.csv'} does not exist" in message_of(error)


@pytest.mark.parametrize("name", ["folder", "folder.csv"])
def test_folder_instead_of_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(DataError) as error:
        read_table(tmp_path / name, COLUMNS)
    assert f"{tmp_path / name} is a folder" in message_of(error)


@pytest.mark.parametrize(
    ("row", "parts"),
    [
        ({"text": None, "label": 1}, ["text", "'text'", "missing", "line 2"]),
        ({"label": 1}, ["text", "'text'", "missing", "line 2"]),
        ({"text": 3.5, "label": 1}, ["'text'", "float", "line 2"]),
        ({"text": ["a"], "label": 1}, ["'text'", "list", "line 2"]),
        ({"text": "\ud83d", "label": 1}, ["'text'", "surrogate", "line 2"]),
        ({"text": "a", "label": None}, ["label", "'label'", "missing", "line 2"]),
        ({"text": "a", "label": ""}, ["label", "'label'", "missing", "line 2"]),
        ({"text": "a"}, ["label", "'label'", "missing", "line 2"]),
    ],
)
def test_bad_value_in_jsonl(tmp_path: Path, row: dict[str, object], parts: list[str]) -> None:
    path = write(tmp_path / "a.jsonl", f'{{"text": "fine", "label": 1}}\n{json.dumps(row)}\n')
    table = read_table(path, COLUMNS)
    with pytest.raises(DataError) as error:
        (table.texts("text"), table.labels("label"))
    message = message_of(error)
    assert all(part in message for part in [str(path), *parts]), message


def test_missing_label_in_csv_and_parquet(tmp_path: Path) -> None:
    separated = read_table(write(tmp_path / "a.csv", "text,label\na,1\nb,\n"), COLUMNS)
    with pytest.raises(DataError) as error:
        separated.labels("label")
    assert "line 3" in message_of(error)
    pq.write_table(pa.table({"text": ["a", "b"], "label": [1, None]}), tmp_path / "a.parquet")
    with pytest.raises(DataError) as error:
        read_table(tmp_path / "a.parquet", COLUMNS).labels("label")
    assert "row 2" in message_of(error)


def test_text_column_of_numbers_in_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [1, 2], "label": [1, 0]}), tmp_path / "a.parquet")
    with pytest.raises(DataError) as error:
        read_table(tmp_path / "a.parquet", COLUMNS).texts("text")
    message = message_of(error)
    assert "'text' holds int instead of text" in message
    assert "row 1" in message
