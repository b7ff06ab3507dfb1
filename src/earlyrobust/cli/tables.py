"""Tables on a terminal, which may be too narrow for all of their columns."""

from __future__ import annotations

from collections.abc import Iterator

import rich.table
from rich.cells import cell_len

from earlyrobust.reports.tables import Number, Table

# The names of rows are broken into lines if they are longer.
_LONGEST_NAME = 24
# What a column takes besides its content: a space on either side, and a border.
_AROUND = 3


def terminal_tables(content: Table, width: int) -> Iterator[rich.table.Table]:
    """Lay a table out such that no number is cut off.

    Args:
        content: The table.
        width: Columns of the terminal, in characters.

    Yields:
        One table if it fits; else several, each with the names of the rows and as many columns as fit.
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
                width=needed if has_numbers else None,  # its heading gives way, not the numbers
            )
        for row in content.rows:
            table.add_row(*(str(row[place]) for place in (0, *places)))
        title = ""
        yield table


def fits(content: Table, width: int) -> bool:
    """Whether a table fits on a terminal in one piece."""
    return len(list(_blocks(content, width))) == 1


def _blocks(content: Table, width: int) -> Iterator[list[int]]:
    """The places of the columns that fit side by side, the names of the rows before them."""
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
    """The least width of a column: numbers stay in one piece, texts can be broken between words."""
    cells = [row[place] for row in content.rows]
    words = [word for text in (content.columns[place], *map(str, cells)) for word in text.split()]
    longest_word = max(map(cell_len, words), default=0)
    if place == 0:
        longest_word = min(longest_word, _LONGEST_NAME)
        whole = [cell_len(str(cell)) for cell in cells if cell_len(str(cell)) <= _LONGEST_NAME]
    else:
        whole = [cell_len(str(cell)) for cell in cells if isinstance(cell, Number)]
    return max([longest_word, *whole])
