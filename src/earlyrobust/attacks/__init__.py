"""Attacks: algorithms that edit a text, word by word, until a classifier errs.

`engine` runs many attacks side by side, and `server` answers their questions to models in batches. `greedy`
holds the search that they share. `swaps`, `characters` and `constraints` hold their parts. To add an attack,
write a file that puts parts together, and add a line to `ATTACKS`.

The names below are loaded when they are first used, so that attacks are listed in milliseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earlyrobust.lazy import Entry, LazyTable, lazily

if TYPE_CHECKING:
    from earlyrobust.attacks.base import Attack
    from earlyrobust.attacks.bert_attack import BertAttack
    from earlyrobust.attacks.bert_attack_earlyrobust import BertAttackEarlyRobust
    from earlyrobust.attacks.bound import BoundAttack
    from earlyrobust.attacks.deepwordbug import DeepWordBug
    from earlyrobust.attacks.engine import run_attacks
    from earlyrobust.attacks.evasion import Evasion, EvasionNormalised
    from earlyrobust.attacks.example import Example
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
    "Resources",
    "Server",
    "TextBugger",
    "TextFooler",
    "Victim",
    "WordSwapAttack",
    "run_attacks",
]

_HOMES = {
    "PWWS": "pwws",
    "Attack": "base",
    "BertAttack": "bert_attack",
    "BertAttackEarlyRobust": "bert_attack_earlyrobust",
    "BoundAttack": "bound",
    "DeepWordBug": "deepwordbug",
    "Evasion": "evasion",
    "EvasionNormalised": "evasion",
    "Example": "example",
    "Resources": "resources",
    "Server": "server",
    "TextBugger": "textbugger",
    "TextFooler": "textfooler",
    "Victim": "models",
    "WordSwapAttack": "greedy",
    "run_attacks": "engine",
}

ATTACKS: LazyTable[type[WordSwapAttack]] = LazyTable(
    __name__,
    {
        "textfooler": Entry(
            "textfooler", "TextFooler", "replaces words by near neighbours of the same part of speech"
        ),
        "textbugger": Entry(
            "textbugger", "TextBugger", "misspells words or replaces them by near neighbours"
        ),
        "bert-attack": Entry(
            "bert_attack", "BertAttack", "replaces words by those that a masked language model predicts"
        ),
        "bert-attack-earlyrobust": Entry(
            "bert_attack_earlyrobust",
            "BertAttackEarlyRobust",
            "replaces words by any neighbours of the same part of speech; BERT-Attack in the paper's release",
        ),
        "pwws": Entry(
            "pwws",
            "PWWS",
            "replaces words by synonyms, ranked by saliency and by the effect of the best synonym",
        ),
        "deepwordbug": Entry("deepwordbug", "DeepWordBug", "mistypes words"),
        "evasion": Entry(
            "evasion",
            "Evasion",
            "disguises words as spam does: homoglyphs, invisible characters, spacing, leetspeak",
        ),
        "evasion-normalised": Entry(
            "evasion",
            "EvasionNormalised",
            "disguises words as evasion does, against a classifier that normalises Unicode first",
        ),
    },
)

__getattr__ = lazily(__name__, _HOMES)
