"""Readers on damaged input: whatever a file holds, it is read, or refused in a sentence of ours.

`--hypothesis-profile=long` looks for new damages, for minutes instead of seconds.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Outcome, write_csv
from hypothesis import given, settings
from hypothesis import strategies as st

from earlyrobust import WeightTicket
from earlyrobust.analysis.comparison import Comparison
from earlyrobust.attacks.resources.neighbours import load_neighbours
from earlyrobust.data import load_files
from earlyrobust.encoders import load_classifier
from earlyrobust.errors import EarlyRobustError
from earlyrobust.journal import read_journal
from earlyrobust.options.comparison import CompareConfig
from earlyrobust.options.run import RunConfig
from earlyrobust.reports.pages import render_report
from earlyrobust.results import (
    BenchmarkRecord,
    CheckRecord,
    Compared,
    ContenderRecord,
    ExportRecord,
    LatencyRecord,
    RunRecord,
)
from earlyrobust.workspace.finding import find_ticket
from earlyrobust.workspace.folder import RunFolder

# Values that are legal where they stand, and unlike what anybody expects there.
ODD: list[Any] = [
    *(None, True, -1, 0, 1, 2**31, 2**63, 10**30, -0.5, 1e308, float("nan"), float("inf"), "", "NaN", "-1"),
    *("../../../etc/passwd", "/", "a\u0000b", "\ud800", "<script>", "x" * 10_000, [], {}, [[]], [None] * 100),
    {"": {}},
]
BYTES = [
    b"",
    b"\0",
    b"\xff\xfe",
    b'"',
    b"\n",
    b"\r",
    b"{",
    b"[",
    b"]",
    b",",
    b": ",
    b"!!python/object",
    b"- ",
]
BYTES += [
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"9" * 400,
    b"1e999",
    b"NaN",
    b"-",
    b"&a [*a, *a]",
    b"\t",
    b"%",
    b"PK",
]


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes) -> bytes:
    """Some pieces cut out, put in, doubled or turned."""
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(content)))
        end = min(len(content), begin + draw(st.integers(0, 40)))
        piece = draw(
            st.one_of(
                st.sampled_from(BYTES),
                st.binary(max_size=12),
                st.just(content[begin:end] * 2),
                st.just(bytes(byte ^ 0x41 for byte in content[begin:end])),
            )
        )
        content = content[:begin] + piece + content[end:]
    return content[: draw(st.integers(0, len(content)))] if draw(st.integers(0, 9)) == 0 else content


@st.composite
def damaged_json(draw: st.DrawFn, content: Any) -> Any:
    """One value, however deep, that is odd, missing or another one."""
    if isinstance(content, dict | list) and content and draw(st.integers(0, 5)):
        copy = dict(content) if isinstance(content, dict) else list(content)
        key = draw(st.sampled_from(sorted(copy) if isinstance(copy, dict) else range(len(copy))))
        if draw(st.integers(0, 9)):
            copy[key] = draw(damaged_json(copy[key]))
        else:
            del copy[key]
        return copy
    return draw(st.sampled_from(ODD))


@st.composite
def damaged(draw: st.DrawFn, name: str, content: bytes) -> bytes:
    """A file with damages of either kind."""
    if name.endswith((".json", ".jsonl")) and draw(st.booleans()):
        lines = content.splitlines() if name.endswith(".jsonl") else [content]
        line = draw(st.integers(0, len(lines) - 1))
        value = draw(damaged_json(json.loads(lines[line])))
        lines[line] = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
        return b"\n".join(lines) + b"\n"
    return draw(damaged_bytes(content))


ENDINGS = ("csv", "tsv", "jsonl", "parquet")
Reader = Callable[[Path], object]


def _vectors(folder: Path) -> object:
    return load_neighbours(str(folder / "vectors.txt"))


def _journal(folder: Path) -> object:
    return read_journal(folder / "attacks" / "textfooler.jsonl")


def _model(folder: Path) -> object:
    return load_classifier(str(folder / "model"))


def _config(kind: type[RunConfig]) -> Reader:
    return lambda folder: kind.build({}, folder / "config.yaml")


def _begun(folder: Path) -> object:
    return RunFolder(folder, {"command": "run"}, {"seed": 0})


def _rows(ending: str) -> Reader:
    return lambda folder: load_files(
        folder / f"rows.{ending}", None, text_column="text", pair_column=None, label_column="label"
    )


def _lists(folder: Path) -> object:
    return load_neighbours(str(folder / "lists.parquet"))


# What is read, the folder that holds it, the files that are damaged in turn, and how it is read.
READERS: dict[str, tuple[str, list[str], Reader]] = {
    **{f"{ending} data": ("data", [f"rows.{ending}"], _rows(ending)) for ending in ENDINGS},
    "options": ("options", ["config.yaml"], _config(RunConfig)),
    "arms": ("options", ["config.yaml"], _config(CompareConfig)),
    "a run's folder": ("run", ["progress.json", "config.yaml"], _begun),
    "a run's record": ("run", ["result.json"], RunRecord.load),
    "a run's page": ("run", ["result.json"], render_report),
    "an export's record": ("records", ["export.json"], ExportRecord.load),
    "a benchmark": ("records", ["benchmark.json"], BenchmarkRecord.load),
    "a comparison": ("comparison", ["comparison.json"], Comparison.load),
    "a comparison's page": ("comparison", ["comparison.json"], render_report),
    "a journal": ("run", ["attacks/textfooler.jsonl"], _journal),
    "a ticket": ("run", ["ticket/ticket.json", "ticket/ticket.safetensors"], find_ticket),
    "a ticket over weights": ("weights", ["weight_ticket.json", "weight_ticket.safetensors"], find_ticket),
    "a cut model": ("run", ["model/config.json", "model/ticket.json"], _model),
    "word vectors": ("words", ["vectors.txt"], _vectors),
    "neighbours": ("words", ["lists.parquet"], _lists),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, finished: tuple[Path, Outcome]) -> Path:
    """All that is read, undamaged."""
    place, run = tmp_path_factory.mktemp("whole"), finished[0]
    for name in ("data", "options", "records", "words"):
        (place / name).mkdir()
    texts: list[object] = [f'text {number}, "quoted" ß' for number in range(40)]
    rows: dict[str, list[object]] = {"text": texts, "label": ["bad", "good"] * 20}
    write_csv(place / "data" / "rows.csv", rows)
    tabbed = [f"{text}\t{label}" for text, label in zip(*rows.values(), strict=True)]
    lines = "\n".join(["text\tlabel", *tabbed]).replace('"', "")
    (place / "data" / "rows.tsv").write_text(lines, encoding="utf-8")
    lines = "\n".join(json.dumps({"text": text, "label": "a"}) for text in texts)
    (place / "data" / "rows.jsonl").write_text(lines.replace('"a"', '"b"', 20), encoding="utf-8")
    pq.write_table(pa.table(rows), place / "data" / "rows.parquet")
    lists = pa.table({"word": ["a", "b"], "neighbors": [["b"], ["a"]]})
    pq.write_table(lists, place / "words" / "lists.parquet")
    (place / "words" / "vectors.txt").write_text("good 0.1 0.2\nbad 0.3 -0.4\n", encoding="utf-8")
    options = "seed: 0\nheads: 0.2\nmethods: [pgd, finetune]\narms:\n  two: {method: pgd, epochs: 2}\n"
    (place / "options" / "config.yaml").write_text(options, encoding="utf-8")
    shutil.copytree(run, place / "run")
    next((place / "run" / "attacks").glob("*.jsonl")).rename(place / "run" / "attacks" / "textfooler.jsonl")
    masks = {"a.weight": np.array([[True, False, True], [True, True, False]])}
    WeightTicket("bert", masks).save_pretrained(place / "weights")
    shutil.copytree(Path(__file__).parents[1] / "evidence" / "records" / "ag_news", place / "comparison")
    record = RunRecord.load(run)
    accuracy = record.model.test
    attacks = {name: (attack, attack) for name, attack in record.model.attacks.items()}
    check = CheckRecord("any", 9, 0.0, 0, Compared(accuracy, accuracy), attacks)
    ExportRecord("model", "f", "onnx", 9, {"seed": 0}, record.environment, check).save(place / "records")
    contender = ContenderRecord("dense", 9, None, [LatencyRecord(1, 16, 9, 0.1, 0.2)])
    BenchmarkRecord([contender], record.environment).save(place / "records")
    return place


QUICK_ONES = [name for name, (_, _, read) in READERS.items() if read not in (render_report, _model)]


@pytest.mark.parametrize("name", QUICK_ONES)
@given(data=st.data())
def test_whatever_a_file_holds_it_is_read_or_refused_in_a_sentence(
    name: str, whole: Path, data: st.DataObject
) -> None:
    read_damaged(name, whole, data)


@pytest.mark.parametrize("name", [name for name in READERS if name not in QUICK_ONES])
@settings(max_examples=settings().max_examples // 5)
@given(data=st.data())
def test_so_it_is_with_what_takes_longer_to_read(name: str, whole: Path, data: st.DataObject) -> None:
    read_damaged(name, whole, data)


def read_damaged(name: str, whole: Path, data: st.DataObject) -> None:
    topic, files, read = READERS[name]
    path = whole / topic / data.draw(st.sampled_from(files))
    content = path.read_bytes()
    told = "Fine"
    try:
        path.write_bytes(data.draw(damaged(path.name, content)))
        read(whole / topic)
    except EarlyRobustError as error:
        told = str(error)
    finally:
        path.write_bytes(content)
    assert re.fullmatch(r"\S.{0,1000}", told)
