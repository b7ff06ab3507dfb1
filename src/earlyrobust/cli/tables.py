"""Lays out tables for a terminal, which may be too narrow for all columns."""

from __future__ import annotations

from collections.abc import Iterator

import rich.table
from rich.cells import cell_len

from earlyrobust.reports.tables import Number, Table

# Longer names of rows are broken into lines.
_LONGEST_NAME = 24
# Width of a column besides its content: a space on either side, and a border.
_AROUND = 3


def terminal_tables(content: Table, width: int) -> Iterator[rich.table.Table]:
    """Lay out a table without cutting off any number.

    Args:
        content: The table.
        width: Width of the terminal, in characters.

    Yields:
        One table if it fits; else several tables, each with the names of the rows and as many columns as fit.
    """
    title = content.title
    for places in _blocks(content, width):
        table = rich.table.Table(title=title, title_justify="left")
        for place in (0, *places):
            needed = _needed(content, place)
            has_numbers = any(isinstance(row[place], Number) for row in content.rows)
            table.add_column(
                content.columns[place],
                justify="right" if place else "left",
                overflow="fold",
                min_width=needed,
                width=needed if has_numbers else None,  # the heading is broken into lines, not the numbers
            )
        for row in content.rows:
            table.add_row(*(str(row[place]) for place in (0, *places)))
        title = ""
        yield table


def fits(content: Table, width: int) -> bool:
    """Return whether a table fits on a terminal in one piece."""
    return len(list(_blocks(content, width))) == 1


def _blocks(content: Table, width: int) -> Iterator[list[int]]:
    """Yield the indices of columns that fit side by side after the column with the names of the rows."""
    empty = width - 1 - _needed(content, 0) - _AROUND
    left, block = empty, list[int]()
    for place in range(1, len(content.columns)):
        needed = _needed(content, place) + _AROUND
        if block and needed > left:
            yield block
            left, block = empty, []
        block.append(place)
        left -= needed
    yield block


def _needed(content: Table, place: int) -> int:
    """Return the least width of a column: numbers stay in one piece, texts can be broken between words."""
    cells = [row[place] for row in content.rows]
    words = [word for text in (content.columns[place], *map(str, cells)) for word in text.split()]
    longest_word = max(map(cell_len, words), default=0)
    if place == 0:
        longest_word = min(longest_word, _LONGEST_NAME)
        whole = [cell_len(str(cell)) for cell in cells if cell_len(str(cell)) <= _LONGEST_NAME]
    else:
        whole = [cell_len(str(cell)) for cell in cells if isinstance(cell, Number)]
    return max([longest_word, *whole])
