"""Loads named tasks and users' files, makes three splits of them, and tokenises the splits.

`tasks` is the table of known data sets, `files` reads users' files, `prepare` makes the splits, and `tokens`
tokenises a split once and keeps the token ids on disk. Of the rest of earlyrobust, this package imports only
`errors`, `storage` and `lazy`.

The names below are loaded when they are first used, so that the table of tasks can be read in milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earlyrobust.lazy import lazily

if TYPE_CHECKING:
    from earlyrobust.data.duplicates import count_overlap
    from earlyrobust.data.judged import TestRows, load_task_test, load_test_file, renumber
    from earlyrobust.data.prepare import TextData, load_files, load_task
    from earlyrobust.data.tasks import TASKS, Task
    from earlyrobust.data.textformat import TextFormat
    from earlyrobust.data.tokens import tokenize

__all__ = [
    "TASKS",
    "Task",
    "TestRows",
    "TextData",
    "TextFormat",
    "count_overlap",
    "load_files",
    "load_task",
    "load_task_test",
    "load_test_file",
    "renumber",
    "tokenize",
]

_HOMES = {
    "TASKS": "tasks",
    "Task": "tasks",
    "TestRows": "judged",
    "TextData": "prepare",
    "TextFormat": "textformat",
    "count_overlap": "duplicates",
    "load_files": "prepare",
    "load_task": "prepare",
    "load_task_test": "judged",
    "load_test_file": "judged",
    "renumber": "judged",
    "tokenize": "tokens",
}

__getattr__ = lazily(__name__, _HOMES)
