"""The table of the attacks that the command line names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earlyrobust.lazy import Entry, LazyTable

if TYPE_CHECKING:
    from earlyrobust.attacks.greedy import WordSwapAttack

ATTACKS: LazyTable[type[WordSwapAttack]] = LazyTable(
    __package__,
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
