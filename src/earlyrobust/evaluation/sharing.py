"""Divides an attack among processes: each attacks some of the examples, and one journal holds all results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from earlyrobust import processes
from earlyrobust.journal import AttackedExample, Journal, example_from, part_of, parts_of, read_part


def put_together(
    journal: Path | None, header: dict[str, Any], fresh: Sequence[AttackedExample] = ()
) -> list[AttackedExample]:
    """Return the examples that all processes have attacked so far; every process gets all of them.

    Args:
        journal: The journal; None if there is none. The function adds the parts of the journal that the
            processes have written, also those of processes that were killed, and deletes the parts.
        header: The header of the journal: the settings of the attack and its target, as JSON types.
        fresh: The examples that this process has attacked, if there is no journal.

    Raises:
        OutputError: If the journal belongs to another attack, or cannot be read or written.
    """
    if journal is None:
        own = [asdict(example) for example in fresh]
        return [example_from(item) for items in processes.gathered(own) for item in items]
    processes.wait()  # until no process writes to its part any more
    parts = parts_of(journal)
    with processes.agreed():
        found = [asdict(example) for part in parts for example in read_part(part, header)]
    everything = [item for items in processes.gathered(found) for item in items]
    whole = processes.by_first(lambda: _add(journal, header, everything))
    for part in parts:
        part.unlink(missing_ok=True)
    processes.wait()  # no process begins a new part before the old ones are deleted
    return [example_from(item) for item in whole]


def own_journal(journal: Path) -> Path:
    """Return the file to which this process writes: the journal, or a part of it if there are several."""
    return journal if processes.is_alone() else part_of(journal, processes.rank())


def _add(journal: Path, header: dict[str, Any], items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add examples to the journal, except those that it already holds, and return all of its examples."""
    with Journal(journal, header) as book:
        known = {example.index for example in book.done}
        for item in items:
            if item["index"] not in known:  # processes on one machine read the same parts
                known.add(item["index"])
                book.add(example_from(item))
        return [asdict(example) for example in book.done]
