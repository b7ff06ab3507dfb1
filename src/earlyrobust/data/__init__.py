"""The data room: named tasks and user files in, three splits and their tokens out.

`tasks` is the table of known data sets, `files` reads what users bring, `prepare` makes the splits, and
`tokens` turns a split into token ids once and keeps them on disk. Of the rest of the package the room imports
`errors` and `storage` only.

The names below are looked up on first use, so that the table of tasks can be read in milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earlyrobust.data.prepare import TextData, load_files, load_task, load_task_test, load_test_file
    from earlyrobust.data.tasks import TASKS, Task
    from earlyrobust.data.tokens import tokenize

__all__ = [
    "TASKS",
    "Task",
    "TextData",
    "load_files",
    "load_task",
    "load_task_test",
    "load_test_file",
    "tokenize",
]

_HOMES = {
    "TASKS": "tasks",
    "Task": "tasks",
    "TextData": "prepare",
    "load_files": "prepare",
    "load_task": "prepare",
    "load_task_test": "prepare",
    "load_test_file": "prepare",
    "tokenize": "tokens",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
