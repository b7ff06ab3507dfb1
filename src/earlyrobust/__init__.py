"""Robust early-bird tickets: text classifiers that are robust and small, cheaply.

Importing this package makes transformers' auto classes and pipelines know cut models. The names below are
loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earlyrobust.autoload import register_after_import
from earlyrobust.lazy import lazily

if TYPE_CHECKING:
    from earlyrobust.adversarial import FreeLB
    from earlyrobust.attacks import (
        BertAttack,
        BertAttackEarlyRobust,
        Resources,
        TextBugger,
        TextFooler,
        WordSwapAttack,
    )
    from earlyrobust.errors import EarlyRobustError
    from earlyrobust.evaluation import evaluate_clean, evaluate_under_attack
    from earlyrobust.pruning import ImportanceCoefficients, masked, prune
    from earlyrobust.search import EarlyRobustSearch, SearchConfig
    from earlyrobust.ticket import Ticket, draw, mask_distance
    from earlyrobust.trainer import AdversarialTrainer

__version__ = "0.1.0"

__all__ = [
    "AdversarialTrainer",
    "BertAttack",
    "BertAttackEarlyRobust",
    "EarlyRobustError",
    "EarlyRobustSearch",
    "FreeLB",
    "ImportanceCoefficients",
    "Resources",
    "SearchConfig",
    "TextBugger",
    "TextFooler",
    "Ticket",
    "WordSwapAttack",
    "draw",
    "evaluate_clean",
    "evaluate_under_attack",
    "mask_distance",
    "masked",
    "prune",
]

_HOME = {
    "AdversarialTrainer": "trainer",
    "BertAttack": "attacks",
    "BertAttackEarlyRobust": "attacks",
    "EarlyRobustError": "errors",
    "EarlyRobustSearch": "search",
    "FreeLB": "adversarial",
    "ImportanceCoefficients": "pruning",
    "Resources": "attacks",
    "SearchConfig": "search",
    "TextBugger": "attacks",
    "TextFooler": "attacks",
    "Ticket": "ticket",
    "WordSwapAttack": "attacks",
    "draw": "ticket",
    "evaluate_clean": "evaluation",
    "evaluate_under_attack": "evaluation",
    "mask_distance": "ticket",
    "masked": "pruning",
    "prune": "pruning",
}

__getattr__ = lazily(__name__, _HOME)


register_after_import()
