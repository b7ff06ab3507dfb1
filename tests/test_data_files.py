"""Reading user files: what is accepted, and one clear sentence for what is not."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from earlyrobust.data.chunks import Chunk
from earlyrobust.data.files import read_chunks
from earlyrobust.data.textformat import USUAL_FORMAT, TextFormat, parse_delimiter
from earlyrobust.errors import DataError

COLUMNS = ["text", "label"]


def read_table(path: Path, columns: list[str], form: TextFormat = USUAL_FORMAT) -> Chunk:
    """All of a file, from chunks of two rows."""
    chunks = list(read_chunks(path, columns, 2, form))
    assert all(0 < len(chunk.numbers) <= 2 for chunk in chunks)
    values = {column: [value for chunk in chunks for value in chunk.columns[column]] for column in columns}
    return Chunk(path, values, chunks[0].unit, [number for chunk in chunks for number in chunk.numbers])


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
        ("blanks.csv", "  \ntext,label\nfine,1\npoor,0\n   \n"),
        ("blanks.tsv", "text\tlabel\nfine\t1\n  \npoor\t0\n \n"),
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
    pytest.param(
        "a.tsv", "text\tlabel\nb\n", ["Line 2 of", "1 field(s)", "has 2", "fill in", "tab"], id="too few"
    ),
    pytest.param(
        "a.csv", 'text,label\n"a\nb",1\nc\n', ["Line 4 of", "1 field(s)"], id="line numbers count all lines"
    ),
    pytest.param("a.csv", 'text,label\na,1\n"b,0\nc,1\n', ["line 3 of", "quote"], id="open quote"),
    pytest.param("a.csv", 'text,label\n"a" b,1\n', ["line 2 of", "quote"], id="text after a quote"),
    pytest.param("a.jsonl", '{"text": "a", "label": 1}\n{"text": \n', ["Line 2 of", "JSON"], id="bad json"),
    pytest.param(
        "a.jsonl",
        '{"text": "a", "label": 1, "label": 0}\n',
        ["Line 1 of", "the name 'label' occurs twice"],
        id="a name twice",
    ),
    pytest.param("a.jsonl", "[" * 100_000, ["Line 1 of", "JSON"], id="bottomless json"),
    pytest.param("a.jsonl", '\n["a", 1]\n', ["Line 2 of", "array", "object"], id="json array"),
    pytest.param("a.jsonl", "null\n", ["Line 1 of", "null", "object"], id="json null"),
    pytest.param(
        "a.csv",
        "Text,label\na,1\n",
        ["no column 'text'", "'Text', 'label'", "mean 'Text'?"],
        id="near column",
    ),
    pytest.param(
        "a.csv",
        "q,z\na,1\n",
        ["no column 'text'", "'q', 'z'", "name the right one by --text-column"],
        id="far column",
    ),
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


# --- quotes, delimiters and encodings -----------------------------------------------------------------------

PLAIN, TRUSTED = TextFormat(quotes=False), TextFormat(quotes=True)
# Name, content after the header `text,label`, format, and the texts that are right.
QUOTES = [
    pytest.param(
        "a.tsv", '"open\t1\nb\t0\nc"\t1\nd\t0\n', USUAL_FORMAT, ['"open', "b", 'c"', "d"], id="tsv open"
    ),
    pytest.param("a.tsv", '"a" b\t1\n', USUAL_FORMAT, ['"a" b'], id="tsv closed too early"),
    pytest.param("a.tsv", '"all of it"\t1\n', USUAL_FORMAT, ["all of it"], id="tsv closed"),
    pytest.param("a.tsv", '"say ""hi"""\t1\n', USUAL_FORMAT, ['say "hi"'], id="tsv doubled"),
    pytest.param("a.tsv", '"\t1\n""\t1\n"""\t0\n', USUAL_FORMAT, ['"', "", '"""'], id="tsv nothing else"),
    pytest.param("a.tsv", '15" tv\t1\n', USUAL_FORMAT, ['15" tv'], id="tsv within"),
    pytest.param("a.tsv", '"one\ttwo"\t1\nb\t0\n', USUAL_FORMAT, ["one\ttwo", "b"], id="tsv quoted tab"),
    pytest.param("a.tsv", '"one\ntwo"\t1\nb\t0\n', USUAL_FORMAT, ["one\ntwo", "b"], id="tsv quoted line end"),
    pytest.param("a.tsv", '"o\t1\nb"\t1\n', TRUSTED, ["o\t1\nb"], id="tsv trusted"),
    pytest.param("a.tsv", '"all"\t1\r\n"o\t1\r\n', PLAIN, ['"all"', '"o'], id="tsv plain"),
    pytest.param("a.csv", '"open,1\nb,0\n"c",1\n', PLAIN, ['"open', "b", '"c"'], id="csv plain"),
    pytest.param("a.csv", '"a,1\nb"" c,0\nd",1\n', TRUSTED, ['a,1\nb" c,0\nd'], id="csv trusted"),
    pytest.param(
        "a.csv", '"I did, mostly\nnot",1\nb,0\n', USUAL_FORMAT, ["I did, mostly\nnot", "b"], id="csv lines"
    ),
    pytest.param(
        "a.csv", '"a, b\n\nc, d\ne, 1",1\n', USUAL_FORMAT, ["a, b\n\nc, d\ne, 1"], id="csv paragraphs"
    ),
    pytest.param(
        "a.csv", '"x\ry",1\r\n"z\r\n\r\n",0\r\n', USUAL_FORMAT, ["x\ry", "z\r\n\r\n"], id="csv returns"
    ),
    pytest.param("a.csv", "a,1\rb,0\r", USUAL_FORMAT, ["a", "b"], id="csv lone returns"),
    pytest.param("a.csv", 'a"b,1\n15",0', USUAL_FORMAT, ['a"b', '15"'], id="csv within"),
    pytest.param("a.csv", "a\0b,1\n", USUAL_FORMAT, ["a\0b"], id="csv zero byte"),
]


@pytest.mark.parametrize(("name", "content", "form", "texts"), QUOTES)
def test_which_quotes_are_text(
    tmp_path: Path, name: str, content: str, form: TextFormat, texts: list[str]
) -> None:
    header = "text\tlabel\n" if name.endswith("tsv") else "text,label\n"
    table = read_table(write(tmp_path / name, header + content), COLUMNS, form)
    assert table.columns["text"] == texts
    assert set(table.columns["label"]) <= {"0", "1"}


def test_rows_between_stray_quotes_of_a_tsv_are_all_there(tmp_path: Path) -> None:
    quotes = ['"', "", "", ""]
    rows = "".join(f"{quotes[i % 4]}text {i}\t{i % 2}\n" for i in range(40))
    table = read_table(write(tmp_path / "a.tsv", "text\tlabel\n" + rows), COLUMNS)
    assert list(table.numbers) == list(range(2, 42))
    assert table.columns["label"] == ["0", "1"] * 20


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        pytest.param("a.csv", 'text,label\na,0\n"b,1\nc,0\n15",1\n', (3, 5), id="label last"),
        pytest.param("a.csv", 'label,text\n0,a\n1,"b\n0,c\n1,15"\n', (3, 5), id="label first"),
        pytest.param("a.csv", 'text,label\na,0\n"b,0\n15",1\n', (3, 4), id="two rows"),
        pytest.param("a.csv", 'text,label\n"b,neg\n15",pos\nx,neg\n', (2, 3), id="seen before its label"),
        pytest.param("a.csv", 'text,label\na,0\n"b, c,1\nd,0\ne, 15",1\n', (3, 5), id="commas besides"),
        pytest.param("a.csv", 'id,text,label\n1,a,0\n2,"b,1\n3,c,0\n4,15",1\n', (3, 5), id="three columns"),
        pytest.param("a.csv", 'label,text,x\n0,a,y\n1,"b,y\n0,c,y\n1,15",y\n', (3, 5), id="label before"),
        pytest.param("a.csv", 'text,label\r\na,0\r\n"b,1\r\nc,0\r\n15",1\r\n', (3, 5), id="returns"),
        pytest.param("a.tsv", 'text\tlabel\n"a\nb\t1\nc"\t0\n', (2, 4), id="tsv"),
    ],
)
def test_a_quote_that_swallows_rows_is_refused(
    tmp_path: Path, name: str, content: str, lines: tuple[int, int]
) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(DataError) as error:
        read_table(path, COLUMNS)
    message = message_of(error)
    assert f"opens in line {lines[0]} of {path} closes in line {lines[1]}" in message
    assert "--no-quotes" in message
    assert "--quotes" in message


SWALLOWED = "id,text\n" + "".join(f"{number},some words\n" for number in range(30))


@pytest.mark.parametrize(
    ("content", "keys", "swallows"),
    [
        pytest.param(SWALLOWED + '30,"so bad\n31,good film\n32,a 6""\n', ["id"], True, id="numbers of rows"),
        pytest.param(SWALLOWED + '30,"Dear all,\nthanks, bye\n"\n', ["id"], False, id="a text with a comma"),
        pytest.param(SWALLOWED + '30,"so bad\n31,good film\n32,a 6""\n', [], False, id="without keys"),
        pytest.param('x,text\n0,a\n1,"b\n0,c\n1,6""\n', ["x"], True, id="labels in front"),
        pytest.param('x,text\n0,a\n1,"b\n7,c\n8,6""\n', ["x"], False, id="no label of the file"),
        pytest.param('x,y,text\n0,p,a\n1,q,"b\n0,q,c\n1,p,6""\n', ["x", "y"], True, id="two keys"),
        pytest.param('x,y,text\n0,p,a\n1,q,"b\n0,z,c\n1,z,6""\n', ["x", "y"], False, id="one of two keys"),
        pytest.param('x,text,y\n0,a,p\n1,"b,q\n0,c,q\n1,6",p\n', ["x", "y"], True, id="keys on both sides"),
        pytest.param('x,text,y\n0,a,p\n1,"b\n0,c\nsix",p\n', ["x", "y"], False, id="lines too short"),
    ],
)
def test_columns_without_a_label_tell_swallowed_rows_from_lines(
    tmp_path: Path, content: str, keys: list[str], swallows: bool
) -> None:
    path = write(tmp_path / "a.csv", content.replace('""\n', '"\n'))
    if swallows:
        with pytest.raises(DataError, match="look like rows of their own"):
            list(read_chunks(path, ["text"], keys=keys))
    else:
        (table,) = read_chunks(path, ["text"], keys=keys)
        assert any("\n" in text for text in table.columns["text"])


@pytest.mark.parametrize(
    ("name", "header", "option"),
    [
        ("a.csv", "text;label", "--delimiter ';'"),
        ("a.csv", "text\tlabel", "--delimiter tab"),
        ("a.csv", "text|label", "--delimiter '|'"),
        ("a.csv", "review;sentiment", "--delimiter ';'"),
        ("a.csv", '"text";"label"', "--delimiter ';'"),
        ("a.csv", '"text"\t"label"', "--delimiter tab"),
        ("a.csv", '"text" | "label"', "--delimiter '|'"),
        ("a.tsv", '"text","label"', "--delimiter ','"),
        ("a.tsv", "text,label", "--delimiter ','"),
        ("a.tsv", "text;label", "--delimiter ';'"),
        ("a.csv", "t\0e\0x\0t\0,\0l\0", "--encoding utf-16-le"),
        ("a.csv", "sep=;", "--delimiter"),
        ("a.csv", "sep=,", "--delimiter"),
    ],
)
def test_a_header_of_another_delimiter_is_recognised(
    tmp_path: Path, name: str, header: str, option: str
) -> None:
    with pytest.raises(DataError) as error:
        read_table(write(tmp_path / name, f"{header}\n"), COLUMNS)
    assert f"give {option}" in message_of(error)


@pytest.mark.parametrize("option", [";", "|", "tab", "\\t", ",", "comma", "semicolon", "\x1f", "~", "¦"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_delimiters(tmp_path: Path, name: str, option: str) -> None:
    mark = parse_delimiter(option)
    path = write(tmp_path / name, f"text{mark}label\na b{mark}1\nc{mark}0\n")
    table = read_table(path, COLUMNS, TextFormat(delimiter=mark))
    assert table.columns == {"text": ["a b", "c"], "label": ["1", "0"]}


@pytest.mark.parametrize(
    "encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "mac-roman", "utf-8-sig"]
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_encodings(tmp_path: Path, name: str, encoding: str) -> None:
    rows = {
        "a.csv": 'text,label\r\ncafé,1\r\n"ü\nÄ, é",0',
        "a.jsonl": '{"text": "café", "label": "1"}\n{"text": "ü\\nÄ, é", "label": "0"}\n',
    }
    path = write(tmp_path / name, rows[name].encode(encoding))
    table = read_table(path, COLUMNS, TextFormat(encoding=encoding))
    assert table.columns == {"text": ["café", "ü\nÄ, é"], "label": ["1", "0"]}


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("text,label\nÃ©,1\né,0\n".encode("cp1252"), "cp1252"),  # not all of it is UTF-8
        ("text,label\n谩,1\n".encode("gbk"), "gbk"),  # two bytes that are one character in both
        (b"text,label\nplain,1\n", "latin-1"),
        ("text,label\né,1\n".encode(), "UTF8"),
    ],
)
def test_what_may_be_another_encoding_is_read_as_the_user_says(
    tmp_path: Path, content: bytes, encoding: str
) -> None:
    table = read_table(write(tmp_path / "a.csv", content), COLUMNS, TextFormat(encoding=encoding))
    assert table.columns["text"][0] == content.decode(encoding).split("\n")[1].split(",")[0]


def test_line_feeds_that_are_half_of_another_character(tmp_path: Path) -> None:
    text = "\u0a0a\u0a41 Ċ"  # two have the byte of a line feed in both halves, or in one
    path = write(tmp_path / "a.csv", f"\ufefftext,label\n{text},1\n".encode("utf-16-be"))
    table = read_table(path, COLUMNS, TextFormat(encoding="utf-16-be"))
    assert table.columns["text"] == [text]
    assert list(table.numbers) == [2]


@pytest.mark.parametrize(
    ("content", "encoding", "parts"),
    [
        (b"text,label\ncaf\xe9,1\n", None, ["Line 2", "UTF-8", "0xe9 at offset 14", "--encoding cp1252"]),
        ("text,label\na,1\n".encode("utf-16"), None, ["Line 1", "--encoding utf-16"]),
        ("text,label\na,1\n".encode("utf-32"), None, ["Line 1", "--encoding utf-32"]),
        ("text,label\na,1\ncafé,0\n".encode(), "cp1252", ["is UTF-8 text and not cp1252", "--encoding"]),
        ("text,label\né,1\n“x”,0\n".encode(), "latin-1", ["is UTF-8 text and not latin-1", "--encoding"]),
        ("text,label\nдом,1\n".encode(), "koi8-r", ["is UTF-8 text and not koi8-r", "--encoding"]),
        (b"PK\x03\x04\x14\0\0\0", None, ["not text but a ZIP archive, the format of Excel workbooks"]),
        (b"\x1f\x8b\x08\0\0\n", "latin-1", ["not text but compressed by gzip"]),
        (b"\xd0\xcf\x11\xe0\xa1", "cp1252", ["a workbook of an old version of Excel"]),
        (b"PAR1\x15\0PAR1", None, ["not text but Parquet"]),
        (b"text,label\na,1\n\x81,0\n", "cp1252", ["Line 3", "cp1252", "0x81 at offset 15", "--encoding"]),
        (b"text,label\na,1\n", "utf-16", ["Line 1", "utf-16", "--encoding"]),
        ("text,label\né,1\n".encode(), "ascii", ["Line 2", "ascii", "0xc3 at offset 11"]),
        (b"text,label\nab\xe2\x82", None, ["Line 2", "0xe2 at offset 13"]),
    ],
)
def test_bytes_of_another_encoding(
    tmp_path: Path, content: bytes, encoding: str | None, parts: list[str]
) -> None:
    path = write(tmp_path / "a.csv", content)
    with pytest.raises(DataError) as error:
        read_table(path, COLUMNS, TextFormat(encoding=encoding))
    message = message_of(error)
    assert all(part in message for part in [str(path), *parts]), message


@pytest.mark.parametrize(
    ("form", "names", "option"),
    [
        (PLAIN, ["a.jsonl"], "--no-quotes"),
        (TRUSTED, ["a.parquet", "b.jsonl"], "--quotes"),
        (TextFormat(delimiter=";"), ["a.parquet"], "--delimiter"),
        (TextFormat(encoding="cp1252"), ["a.parquet"], "--encoding"),
    ],
)
def test_options_that_no_file_can_follow(form: TextFormat, names: list[str], option: str) -> None:
    with pytest.raises(DataError) as error:
        form.check_used(*map(Path, names))
    assert message_of(error).startswith(f"{option} is for CSV")
    form.check_used(*map(Path, names), Path("c.csv"))


def test_ragged_rows_without_quotes_say_so(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read_table(write(tmp_path / "a.csv", 'text,label\n"a, b",1\n'), COLUMNS, PLAIN)
    assert "leave out --no-quotes" in message_of(error)


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        pytest.param('1\t"one\ntwo"\n0\tb\n', ["one\ntwo", "b"], id="line end"),
        pytest.param('1\t"one\n\ntwo"\n0\tb\n', ["one\n\ntwo", "b"], id="blank line"),
        pytest.param('1\t"open\n0\tb\n1\tc"d\n', ['"open', "b", 'c"d'], id="stray quotes"),
        pytest.param('1\t"\n0\tb\n', ['"', "b"], id="a quote alone"),
        pytest.param('1\t"open\n' + "0\tb\n" * 3, ['"open', "b", "b", "b"], id="never closed"),
    ],
)
def test_a_text_in_the_last_field_of_a_tsv_may_have_line_ends(
    tmp_path: Path, content: str, texts: list[str]
) -> None:
    path = write(tmp_path / "a.tsv", "label\ttext\n" + content)
    table = read_table(path, ["text", "label"])
    assert table.columns["text"] == texts
    assert set(table.columns["label"]) <= {"0", "1"}


def test_a_quote_in_the_last_field_that_swallows_rows_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tsv", 'label\ttext\n1\t"a\n0\tb"\n')
    with pytest.raises(DataError, match=r"opens in line 2 of .* closes in line 3"):
        read_table(path, ["text", "label"])


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("a.csv", 'text\nfirst\n""\nlast\n', ["first", "", "last"]),
        ("a.tsv", 'text\nfirst\n""\nlast\n', ["first", "", "last"]),
        ("a.csv", "text\nfirst\n\n  \nlast\n", ["first", "last"]),
        ("a.csv", 'text\n"Dear all\nThanks!\nBob"\nThanks!\n', ["Dear all\nThanks!\nBob", "Thanks!"]),
        ("a.tsv", 'text\n"line one\nline two"\nother\n', ["line one\nline two", "other"]),
    ],
)
def test_rows_of_one_column(tmp_path: Path, name: str, content: str, texts: list[str]) -> None:
    assert read_table(write(tmp_path / name, content), ["text"]).columns["text"] == texts


def test_a_name_that_first_occurs_late_stands_for_missing_values(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "a"}\n{"text": "b", "note": 1}\n')
    chunks = list(read_chunks(path, ["note", "text"], rows=1))
    assert [chunk.columns["note"] for chunk in chunks] == [[None], [1]]
