from .base import Attack
from .bert_attack import BertAttack
from .bert_attack_earlyrobust import BertAttackEarlyRobust
from .bound import BoundAttack
from .deepwordbug import DeepWordBug
from .engine import run_attacks
from .evasion import Evasion, EvasionNormalised
from .example import Example
from .greedy import WordSwapAttack
from .models import Victim
from .pwws import PWWS
from .resources import Resources
from .server import Server
from .table import ATTACKS
from .textbugger import TextBugger
from .textfooler import TextFooler

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
    "Resources",
    "Server",
    "TextBugger",
    "TextFooler",
    "Victim",
    "WordSwapAttack",
    "run_attacks",
]
