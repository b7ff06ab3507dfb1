"""Text noise: changes training texts by exchanging words for neighbours and by misspelling words."""

from __future__ import annotations

from earlyrobust.noise.collator import TEXT_COLUMNS, NoiseCollator, take_texts
from earlyrobust.noise.config import NoiseConfig
from earlyrobust.noise.gains import GainTable, Occurrences
from earlyrobust.noise.lexicon import Lexicon
from earlyrobust.noise.noisy import Noisy, NoisyBatch
from earlyrobust.noise.rate import FittedRate
from earlyrobust.noise.text_noise import STATE_NAME, Aim, TextNoise

__all__ = [
    "STATE_NAME",
    "TEXT_COLUMNS",
    "Aim",
    "FittedRate",
    "GainTable",
    "Lexicon",
    "NoiseCollator",
    "NoiseConfig",
    "Noisy",
    "NoisyBatch",
    "Occurrences",
    "TextNoise",
    "take_texts",
]
