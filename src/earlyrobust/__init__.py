"""Robust early-bird tickets: text classifiers that are robust and small, cheaply.

Importing this package makes transformers' auto classes and pipelines know cut models. The names below are
loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from earlyrobust.autoload import register_after_import

if TYPE_CHECKING:
    from earlyrobust.adversarial import FreeLB
    from earlyrobust.errors import EarlyRobustError
    from earlyrobust.evaluation import evaluate_clean
    from earlyrobust.pruning import ImportanceCoefficients, masked, prune
    from earlyrobust.search import EarlyRobustSearch, SearchConfig
    from earlyrobust.ticket import Ticket, draw, mask_distance
    from earlyrobust.trainer import AdversarialTrainer

__version__ = "0.1.0"

__all__ = [
    "AdversarialTrainer",
    "EarlyRobustError",
    "EarlyRobustSearch",
    "FreeLB",
    "ImportanceCoefficients",
    "SearchConfig",
    "Ticket",
    "draw",
    "evaluate_clean",
    "mask_distance",
    "masked",
    "prune",
]

_HOME = {
    "AdversarialTrainer": "trainer",
    "EarlyRobustError": "errors",
    "EarlyRobustSearch": "search",
    "FreeLB": "adversarial",
    "ImportanceCoefficients": "pruning",
    "SearchConfig": "search",
    "Ticket": "ticket",
    "draw": "ticket",
    "evaluate_clean": "evaluation",
    "mask_distance": "ticket",
    "masked": "pruning",
    "prune": "pruning",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


register_after_import()
