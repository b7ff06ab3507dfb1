from .adversarial import FAT, PGD, SMART, YOPO, Flooding, FreeAT, FreeLB, InfoBERT
from .attacks import (
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
from .errors import EarlyRobustError
from .evaluation import evaluate_clean, evaluate_under_attack
from .families import register_family
from .journal import AttackedExample
from .pipeline import Fitted, fit
from .pruning import ImportanceCoefficients, masked, prune, reinitialize_pruned, to_dense, zero_weights
from .reports.run_folder import render_run
from .search import (
    EarlyBERTConfig,
    EarlyBERTSearch,
    EarlyRobustSearch,
    RobustTicketConfig,
    RobustTicketSearch,
    SearchConfig,
)
from .textattack import TextAttackWrapper, read_textattack_csv
from .tickets import (
    Overlap,
    Ticket,
    WeightTicket,
    compare_tickets,
    draw_mask,
    mask_distance,
    merge_tickets,
    redraw_ticket,
)
from .trainer import AdversarialTrainer

__version__: str

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
