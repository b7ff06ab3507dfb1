"""Tables of numbers with intervals, and writing them as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from earlyrobust.statistics.measures import Mean


@dataclass(frozen=True)
class Number:
    """A number with its 95 % interval.

    Attributes:
        mean: Value, interval, and how many values it is the mean of.
        digits: Digits after the point that are shown.
        signed: Whether a plus is shown, as for differences.
        best: Whether it is the best of its column, told from every other.
        p: Of a test of it against zero; None for none.
        adjusted: The p after a correction for the number of tests; without it, no p is shown.
        spread: Standard deviation between seeds, to be shown beside the interval; None for none.
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
        """The value alone."""
        return self._show(self.mean.value)

    @property
    def interval(self) -> str:
        """What is shown beside the value: the interval, the spread, and p before → after its correction.

        The interval is shown as ± if it is that of a mean over at least three values, and symmetric.
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
    """How the p of a test is shown."""
    return "p < 0.0001" if p < 0.0001 else f"p = {p:.2g}"


Cell = str | Number


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: What it shows.
        columns: Names; the first is that of the rows.
        rows: As many cells each as there are columns.
        note: What one must know to read it; empty for nothing.
        name: What its file is called; empty for one that has no file of its own.
    """

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    note: str = ""
    name: str = ""


def to_markdown(tables: Sequence[Table]) -> str:
    """Write tables as Markdown, a heading above each."""
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
    """Write a table as CSV, with a column each for a number and both ends of its interval.

    Numbers that were tested have three more: p, p after the correction for the number of tests, and the
    standard deviation between seeds.
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
