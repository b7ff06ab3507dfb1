"""Robust early-bird tickets: text classifiers that are robust and small, cheaply.

Importing this package makes transformers' auto classes and pipelines know cut models. The names below are
loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earlyrobust.autoload import register_after_import
from earlyrobust.lazy import lazily

if TYPE_CHECKING:
    from earlyrobust.adversarial import FAT, PGD, SMART, YOPO, Flooding, FreeAT, FreeLB, InfoBERT
    from earlyrobust.attacks import (
        PWWS,
        BertAttack,
        BertAttackEarlyRobust,
        BoundAttack,
        DeepWordBug,
        Evasion,
        EvasionNormalised,
        Resources,
        TextBugger,
        TextFooler,
        WordSwapAttack,
    )
    from earlyrobust.errors import EarlyRobustError
    from earlyrobust.evaluation import evaluate_clean, evaluate_under_attack
    from earlyrobust.journal import AttackedExample
    from earlyrobust.pruning import ImportanceCoefficients, masked, prune, refill, uncut, zero
    from earlyrobust.search import (
        EarlyBERTConfig,
        EarlyBERTSearch,
        EarlyRobustSearch,
        RobustTicketConfig,
        RobustTicketSearch,
        SearchConfig,
    )
    from earlyrobust.textattack import TextAttackWrapper, read_textattack_csv
    from earlyrobust.ticket import Ticket, draw, mask_distance
    from earlyrobust.ticket_study import Overlap, merge, overlap, redraw
    from earlyrobust.trainer import AdversarialTrainer
    from earlyrobust.weight_ticket import WeightTicket

__version__ = "0.1.0"

__all__ = [
    "FAT",
    "PGD",
    "PWWS",
    "SMART",
    "YOPO",
    "AdversarialTrainer",
    "AttackedExample",
    "BertAttack",
    "BertAttackEarlyRobust",
    "BoundAttack",
    "DeepWordBug",
    "EarlyBERTConfig",
    "EarlyBERTSearch",
    "EarlyRobustError",
    "EarlyRobustSearch",
    "Evasion",
    "EvasionNormalised",
    "Flooding",
    "FreeAT",
    "FreeLB",
    "ImportanceCoefficients",
    "InfoBERT",
    "Overlap",
    "Resources",
    "RobustTicketConfig",
    "RobustTicketSearch",
    "SearchConfig",
    "TextAttackWrapper",
    "TextBugger",
    "TextFooler",
    "Ticket",
    "WeightTicket",
    "WordSwapAttack",
    "draw",
    "evaluate_clean",
    "evaluate_under_attack",
    "mask_distance",
    "masked",
    "merge",
    "overlap",
    "prune",
    "read_textattack_csv",
    "redraw",
    "refill",
    "uncut",
    "zero",
]

_HOME = {
    "DeepWordBug": "attacks",
    "Evasion": "attacks",
    "EvasionNormalised": "attacks",
    "FAT": "adversarial",
    "PGD": "adversarial",
    "PWWS": "attacks",
    "SMART": "adversarial",
    "YOPO": "adversarial",
    "AdversarialTrainer": "trainer",
    "AttackedExample": "journal",
    "BertAttack": "attacks",
    "BertAttackEarlyRobust": "attacks",
    "BoundAttack": "attacks",
    "EarlyBERTConfig": "search",
    "EarlyBERTSearch": "search",
    "EarlyRobustError": "errors",
    "EarlyRobustSearch": "search",
    "Flooding": "adversarial",
    "FreeAT": "adversarial",
    "FreeLB": "adversarial",
    "ImportanceCoefficients": "pruning",
    "InfoBERT": "adversarial",
    "Overlap": "ticket_study",
    "Resources": "attacks",
    "RobustTicketConfig": "search",
    "RobustTicketSearch": "search",
    "SearchConfig": "search",
    "TextAttackWrapper": "textattack",
    "TextBugger": "attacks",
    "TextFooler": "attacks",
    "Ticket": "ticket",
    "WeightTicket": "weight_ticket",
    "WordSwapAttack": "attacks",
    "draw": "ticket",
    "evaluate_clean": "evaluation",
    "evaluate_under_attack": "evaluation",
    "mask_distance": "ticket",
    "masked": "pruning",
    "merge": "ticket_study",
    "overlap": "ticket_study",
    "prune": "pruning",
    "read_textattack_csv": "textattack",
    "redraw": "ticket_study",
    "refill": "pruning",
    "uncut": "pruning",
    "zero": "pruning",
}

__getattr__ = lazily(__name__, _HOME)


register_after_import()
