from .fitting import Fitted, fit
from .jobs import finetune, run, search

__all__ = [
    "Fitted",
    "finetune",
    "fit",
    "run",
    "search",
]
