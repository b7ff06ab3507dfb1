"""Makes text classifiers smaller by robust early-bird tickets, trains them against attacks, and attacks them.

The import of this package registers cut models with transformers' auto classes and pipelines. The names below
are loaded on first use.
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
    from earlyrobust.families import register_family
    from earlyrobust.journal import AttackedExample
    from earlyrobust.pipeline import Fitted, fit
    from earlyrobust.pruning import (
        ImportanceCoefficients,
        masked,
        prune,
        reinitialize_pruned,
        to_dense,
        zero_weights,
    )
    from earlyrobust.reports.run_folder import render_run
    from earlyrobust.search import (
        EarlyBERTConfig,
        EarlyBERTSearch,
        EarlyRobustSearch,
        RobustTicketConfig,
        RobustTicketSearch,
        SearchConfig,
    )
    from earlyrobust.textattack import TextAttackWrapper, read_textattack_csv
    from earlyrobust.tickets import (
        Overlap,
        Ticket,
        WeightTicket,
        compare_tickets,
        draw_mask,
        mask_distance,
        merge_tickets,
        redraw_ticket,
    )
    from earlyrobust.trainer import AdversarialTrainer

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
    "Fitted",
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
    "compare_tickets",
    "draw_mask",
    "evaluate_clean",
    "evaluate_under_attack",
    "fit",
    "mask_distance",
    "masked",
    "merge_tickets",
    "prune",
    "read_textattack_csv",
    "redraw_ticket",
    "register_family",
    "reinitialize_pruned",
    "render_run",
    "to_dense",
    "zero_weights",
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
    "Fitted": "pipeline",
    "Flooding": "adversarial",
    "FreeAT": "adversarial",
    "FreeLB": "adversarial",
    "ImportanceCoefficients": "pruning",
    "InfoBERT": "adversarial",
    "Overlap": "tickets",
    "Resources": "attacks",
    "RobustTicketConfig": "search",
    "RobustTicketSearch": "search",
    "SearchConfig": "search",
    "TextAttackWrapper": "textattack",
    "TextBugger": "attacks",
    "TextFooler": "attacks",
    "Ticket": "tickets",
    "WeightTicket": "tickets",
    "WordSwapAttack": "attacks",
    "draw_mask": "tickets",
    "render_run": "reports.run_folder",
    "evaluate_clean": "evaluation",
    "evaluate_under_attack": "evaluation",
    "fit": "pipeline",
    "mask_distance": "tickets",
    "masked": "pruning",
    "merge_tickets": "tickets",
    "compare_tickets": "tickets",
    "prune": "pruning",
    "read_textattack_csv": "textattack",
    "redraw_ticket": "tickets",
    "register_family": "families",
    "reinitialize_pruned": "pruning",
    "to_dense": "pruning",
    "zero_weights": "pruning",
}

__getattr__ = lazily(__name__, _HOME)


def __dir__() -> list[str]:
    """Return the public names, so that editors can complete them before they are loaded."""
    return sorted({*globals(), *__all__})


register_after_import()
