"""Adversaries: each one defines a training step that aims at a robust classifier, in a file of its own.

To add an adversary, write a file with a configuration and an `Adversary`, and add a line to `ADVERSARIES`.
"""

from __future__ import annotations

from earlyrobust.adversarial.base import Adversary, AdversaryConfig, Lexical, Objective, Passes
from earlyrobust.adversarial.fat import FAT, FATConfig
from earlyrobust.adversarial.flooding import Flooding, FloodingConfig
from earlyrobust.adversarial.freeat import FreeAT, FreeATConfig
from earlyrobust.adversarial.freelb import FreeLB, FreeLBConfig
from earlyrobust.adversarial.infobert import InfoBERT, InfoBERTConfig
from earlyrobust.adversarial.pgd import PGD, PGDConfig
from earlyrobust.adversarial.smart import SMART, SMARTConfig
from earlyrobust.adversarial.wordswap import WordSwap, WordSwapConfig
from earlyrobust.adversarial.yopo import YOPO, YOPOConfig

__all__ = [
    "ADVERSARIES",
    "FAT",
    "PGD",
    "SMART",
    "YOPO",
    "Adversary",
    "AdversaryConfig",
    "FATConfig",
    "Flooding",
    "FloodingConfig",
    "FreeAT",
    "FreeATConfig",
    "FreeLB",
    "FreeLBConfig",
    "InfoBERT",
    "InfoBERTConfig",
    "Lexical",
    "Objective",
    "PGDConfig",
    "Passes",
    "SMARTConfig",
    "WordSwap",
    "WordSwapConfig",
    "YOPOConfig",
]

ADVERSARIES: dict[str, type[Adversary]] = {
    "pgd": PGD,
    "freelb": FreeLB,
    "freeat": FreeAT,
    "yopo": YOPO,
    "smart": SMART,
    "infobert": InfoBERT,
    "fat": FAT,
    "flooding": Flooding,
    "wordswap": WordSwap,
}
