"""Tables of numbers with intervals, and their form in Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from earlyrobust.statistics.measures import Mean


@dataclass(frozen=True)
class Number:
    """A number of a table, with its 95 % interval.

    Attributes:
        mean: Value, interval, and number of averaged values.
        digits: Number of shown digits after the point.
        signed: Whether a plus sign is shown, as for differences.
        best: Whether the number is the best of its column, and a test distinguishes it from every other.
        p: The p of a test against zero; None without a test.
        adjusted: The p after the correction for the number of tests. If it is None, no p is shown.
        spread: Standard deviation between seeds, shown beside the interval; None if it is not shown.
    """

    mean: Mean
    digits: int = 1
    signed: bool = False
    best: bool = False
    p: float | None = None
    adjusted: float | None = None
    spread: float | None = None

    @property
    def value(self) -> str:
        """The value as text, without the interval."""
        return self._show(self.mean.value)

    @property
    def interval(self) -> str:
        """The text beside the value: the interval, the spread, and p before → after its correction.

        The interval is shown as ± if it is symmetric and belongs to a mean over at least three values.
        """
        mean = self.mean
        half = mean.high - mean.value
        parts = []
        if mean.low != mean.high or self.adjusted is not None:
            if mean.count > 2 and math.isclose(half, mean.value - mean.low, rel_tol=1e-6):
                parts.append(f"± {half:.{self.digits}f}")
            else:
                parts.append(f"({self._show(mean.low)} to {self._show(mean.high)})")
        if self.spread is not None:
            parts.append(f"SD {self.spread:.{self.digits}f}")
        if self.p is not None and self.adjusted is not None:
            before, after = probability(self.p), probability(self.adjusted)
            parts.append(
                before if before == after else f"{before} → {after.removeprefix('p ').removeprefix('= ')}"
            )
        return ", ".join(parts)

    def __str__(self) -> str:
        return f"{self.value} {self.interval}".strip()

    def _show(self, value: float) -> str:
        sign = "+" if self.signed else ""
        rounded = round(value, self.digits) + 0.0  # no minus before a zero
        return f"{rounded:{sign},.{self.digits}f}".replace("-", "−")


def probability(p: float) -> str:
    """Write the p of a test."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"


Cell = str | Number


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: Title of the table.
        columns: Names of the columns; the first column holds the names of the rows.
        rows: The rows, each with one cell for each column.
        note: Note for the reader; empty without a note.
        name: Name of the table's file; empty for a table without a file of its own.
    """

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    note: str = ""
    name: str = ""


def to_markdown(tables: Sequence[Table]) -> str:
    """Write tables as Markdown, with a heading above each table."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    lines = [
        f"### {_one_line(table.title)}",
        "",
        _line(table.columns),
        _line(["---", *["---:"] * (len(table.columns) - 1)]),
    ]
    for row in table.rows:
        lines.append(
            _line([f"**{cell}**" if isinstance(cell, Number) and cell.best else str(cell) for cell in row])
        )
    if table.note:
        lines += ["", _one_line(table.note)]
    return "\n".join([*lines, ""])


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_one_line(cell).replace("|", "\\|") for cell in cells) + " |"


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


def to_csv(table: Table) -> str:
    """Write a table as CSV, with three columns for each number: the value and both ends of its interval.

    A table with tested numbers has three more columns for each number: p, p after the correction for the
    number of tests, and the standard deviation between seeds.
    """
    stream = io.StringIO()
    numeric = [
        any(isinstance(row[place], Number) for row in table.rows) for place in range(len(table.columns))
    ]
    writer = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    tested = any(isinstance(cell, Number) and cell.p is not None for row in table.rows for cell in row)
    parts = ("", " low", " high", *((" p", " p adjusted", " SD between seeds") if tested else ()))
    writer.writerow(
        [
            name + part
            for name, is_number in zip(table.columns, numeric, strict=True)
            for part in (parts if is_number else ("",))
        ]
    )
    for row in table.rows:
        cells: list[str | float | None] = []
        for cell, is_number in zip(row, numeric, strict=True):
            if isinstance(cell, Number):
                mean = cell.mean
                cells += [mean.value, mean.low, mean.high, cell.p, cell.adjusted, cell.spread][: len(parts)]
            else:
                cells += [cell, *[""] * (len(parts) - 1 if is_number else 0)]
        writer.writerow(cells)
    return stream.getvalue()


_ESCAPES = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"→": r"$\to$", "<": "$<$", ">": "$>$", "±": r"$\pm$", "−": "$-$", "×": r"$\times$", "γ": r"$\gamma$"},
}


def to_latex(tables: Sequence[Table]) -> str:
    """Write tables as LaTeX, for the package booktabs."""
    return "\n".join(_latex(table) for table in tables)


def _latex(table: Table) -> str:
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escape(table.title)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
        r"\toprule",
        " & ".join(map(_escape, table.columns)) + r" \\",
        r"\midrule",
    ]
    for row in table.rows:
        cells = [_latex_cell(cell) for cell in row]
        lines.append(" & ".join(cells) + r" \\")
    note = [rf"\par\footnotesize {_escape(table.note)}"] if table.note else []
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", *note, r"\end{table}", ""])


def _latex_cell(cell: Cell) -> str:
    text = _escape(str(cell))
    return rf"\textbf{{{text}}}" if isinstance(cell, Number) and cell.best else text


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(letter, letter) for letter in text)
