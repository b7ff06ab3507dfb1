from .duplicates import count_overlap
from .judged import TestRows, load_task_test, load_test_file, renumber
from .prepare import TextData, load_files, load_task
from .tasks import TASKS, Task
from .textformat import TextFormat
from .tokens import tokenize

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
