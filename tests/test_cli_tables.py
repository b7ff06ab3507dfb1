"""Tables on a terminal: however narrow it is, no number and no name is cut off."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.analysis.summary import summarise
from earlyrobust.cli.tables import fits, terminal_tables
from earlyrobust.reports.comparisons import RATIOS, comparison_tables
from earlyrobust.reports.tables import Number, Table
from earlyrobust.statistics.measures import Mean

SST2 = Path(__file__).parents[1] / "evidence" / "records" / "sst2"


def shown(content: Table, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    for table in terminal_tables(content, width):
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def numbers(columns: int, rows: int = 3) -> Table:
    """A table of distinct numbers with intervals."""
    cells = [
        [Number(Mean(100 * row + column, 0.0, 1000.0, 1), 2) for column in range(columns)]
        for row in range(rows)
    ]
    names = [f"an arm called {row}" for row in range(rows)]
    return Table(
        "What it is",
        ["method", *(f"measure {column}" for column in range(columns))],
        [[name, *row] for name, row in zip(names, cells, strict=True)],
    )


@pytest.mark.parametrize("width", [60, 80, 100, 140, 250])
def test_the_tables_of_a_real_comparison_are_shown_whole(width: int) -> None:
    comparison = Comparison.load(SST2)
    for content in comparison_tables(comparison, summarise(comparison)):
        lines = shown(content, width)
        assert max(map(len, lines)) <= width, content.title
        text = "\n".join(lines)
        for row in content.rows:
            assert all(str(cell) in text for cell in row), (content.title, row[0])
        assert "…" not in text


@pytest.mark.parametrize("width", range(50, 121, 5))
def test_every_number_has_its_row_and_its_heading(width: int) -> None:
    content = numbers(columns=7)
    blocks = "\n".join(shown(content, width)).split("measure 0")[0].count("What it is")
    assert blocks == 1  # the title stands once, above all parts
    lines = shown(content, width)
    for row in content.rows:
        of_row = " ".join(line for line in lines if str(row[0]) in line)
        assert all(str(cell) in of_row for cell in row[1:])


def test_what_fits_stays_in_one_piece() -> None:
    content = numbers(columns=3)
    needed = max(map(len, shown(content, 200)))
    assert fits(content, needed)
    assert not fits(content, needed - 1)
    assert len(list(terminal_tables(content, needed))) == 1
    assert len(list(terminal_tables(content, needed - 1))) == 2


def test_texts_are_broken_between_words() -> None:
    reason = "the loss is not a number after step 12: lower the learning rate or the step size"
    content = Table("Failed", ["method", "seed", "reason"], [["pgd", "0", reason], ["freelb", "1", "no"]])
    lines = shown(content, 40)
    assert max(map(len, lines)) <= 40
    cells = [line.split("│")[3].strip() for line in lines if "│" in line]
    assert " ".join(cells[:-1]) == reason


def test_long_names_are_broken_into_lines() -> None:
    name = "a" * 60
    lines = shown(Table("", ["method", "x"], [[name, Number(Mean(1.5, 1.5, 1.5, 1), 1)]]), 40)
    assert max(map(len, lines)) <= 40
    assert "".join(line.split("│")[1].strip() for line in lines if "│" in line) == name


def test_a_narrow_terminal_is_spared_a_column_for_each_arm() -> None:
    comparison = Comparison.load(SST2)
    (ratios,) = [
        table for table in comparison_tables(comparison, summarise(comparison)) if table.name == RATIOS
    ]
    assert not fits(ratios, 80)
    assert fits(ratios, 400)
