"""Attacks: algorithms that edit a text, word by word, until a classifier errs.

`engine` runs many attacks side by side, and `server` answers their questions to models in batches. `greedy`
holds the search that they share. `swaps`, `characters` and `constraints` hold their parts. To add an attack,
write a file that puts parts together, and add a line to `ATTACKS`.
"""

from __future__ import annotations

from earlyrobust.attacks.base import Attack, Example, Outcome
from earlyrobust.attacks.bert_attack import BertAttack
from earlyrobust.attacks.bert_attack_earlyrobust import BertAttackEarlyRobust
from earlyrobust.attacks.bound import BoundAttack
from earlyrobust.attacks.deepwordbug import DeepWordBug
from earlyrobust.attacks.engine import run_attacks
from earlyrobust.attacks.evasion import Evasion, EvasionNormalised
from earlyrobust.attacks.greedy import WordSwapAttack
from earlyrobust.attacks.models import Victim
from earlyrobust.attacks.pwws import PWWS
from earlyrobust.attacks.resources import Resources
from earlyrobust.attacks.server import Server
from earlyrobust.attacks.textbugger import TextBugger
from earlyrobust.attacks.textfooler import TextFooler

__all__ = [
    "ATTACKS",
    "PWWS",
    "Attack",
    "BertAttack",
    "BertAttackEarlyRobust",
    "BoundAttack",
    "DeepWordBug",
    "Evasion",
    "EvasionNormalised",
    "Example",
    "Outcome",
    "Resources",
    "Server",
    "TextBugger",
    "TextFooler",
    "Victim",
    "WordSwapAttack",
    "run_attacks",
]

ATTACKS: dict[str, type[WordSwapAttack]] = {
    TextFooler.name: TextFooler,
    TextBugger.name: TextBugger,
    BertAttack.name: BertAttack,
    BertAttackEarlyRobust.name: BertAttackEarlyRobust,
    PWWS.name: PWWS,
    DeepWordBug.name: DeepWordBug,
    Evasion.name: Evasion,
    EvasionNormalised.name: EvasionNormalised,
}
