"""Sharing an attack among processes: each attacks some of the examples, and one journal holds them all."""

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
    """What all processes have attacked so far, in all of them.

    Args:
        journal: The journal, into which go those parts of it that processes have written, now or before they
            were killed; None if there is none.
        header: As for `Journal`.
        fresh: Without a journal what this process has attacked.

    Raises:
        OutputError: If the journal is another attack's, or cannot be read or written.
    """
    if journal is None:
        own = [asdict(example) for example in fresh]
        return [example_from(item) for items in processes.gathered(own) for item in items]
    processes.wait()  # until none writes to its part any more
    parts = parts_of(journal)
    with processes.agreed():
        found = [asdict(example) for part in parts for example in read_part(part, header)]
    everything = [item for items in processes.gathered(found) for item in items]
    whole = processes.by_first(lambda: _add(journal, header, everything))
    for part in parts:
        part.unlink(missing_ok=True)
    processes.wait()  # none begins a new part before the old ones are gone
    return [example_from(item) for item in whole]


def own_journal(journal: Path) -> Path:
    """Where this process writes."""
    return journal if processes.is_alone() else part_of(journal, processes.rank())


def _add(journal: Path, header: dict[str, Any], items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add examples to the journal that it lacks, and return all that it then holds."""
    with Journal(journal, header) as book:
        known = {example.index for example in book.done}
        for item in items:
            if item["index"] not in known:  # a process on the same machine has found it, too
                known.add(item["index"])
                book.add(example_from(item))
        return [asdict(example) for example in book.done]
