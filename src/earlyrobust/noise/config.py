"""Settings of text noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from earlyrobust.errors import ConfigError

Choice = Literal["random", "learned", "gradient"]
_SHARES = (
    *("rate", "ramp", "exchanges", "misspells", "misspells_others", "guided", "clean", "keeps", "memory"),
)


@dataclass(frozen=True, kw_only=True)
class NoiseConfig:
    """Settings of text noise. All default values are our choice.

    Attributes:
        choice: Rule that chooses a neighbour: "random" for any neighbour; "learned" for the neighbour with
            the greatest mean gain in the batches so far; "gradient" for the neighbour with the greatest gain
            in the text at hand, which takes an ascent in each step.
        rate: Largest share of the words of a text that are chosen for a change. Each text draws its share
            uniformly between 0 and this rate.
        ramp: Share of the training in which the rate can rise linearly from 0 to `rate`. 0
            for a rate that never changes, whatever `keeps` is.
        exchanges: Probability that a chosen word with neighbours is exchanged for a neighbour.
        misspells: Probability that a chosen word with neighbours is misspelt instead.
        misspells_others: Probability that a chosen word without neighbours is misspelt.
        guided: Probability that an exchange takes the neighbour with the greatest gain, if this gain is
            positive. All other exchanges take a random neighbour. The choice "random" ignores this setting.
        clean: Probability that a text is left as it is.
        keeps: Share of the model's knowledge of clean texts that the model must keep on texts with noise. The
            rate rises while the model keeps it, and falls otherwise (see `FittedRate`). 0 for a rate that
            only rises.
        candidates: K, the largest number of neighbours of a word.
        memory: Share of a mean gain that remains when a batch updates it.
    """

    choice: Choice = "learned"
    rate: float = 1.0
    ramp: float = 1 / 3
    exchanges: float = 0.7
    misspells: float = 0.15
    misspells_others: float = 0.5
    guided: float = 0.7
    clean: float = 0.05
    keeps: float = 0.5
    candidates: int = 8
    memory: float = 0.9

    def __post_init__(self) -> None:
        *others, last = get_args(Choice)
        if self.choice not in (*others, last):
            raise ConfigError(
                f"The noise has no choice '{self.choice}': choose {', '.join(others)} or {last}."
            )
        for name in _SHARES:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ConfigError(f"The noise's {name} is {value!r}: choose a number from 0 to 1.")
        if self.exchanges + self.misspells > 1 + 1e-9:
            raise ConfigError(
                f"The noise's exchanges and misspells add up to {self.exchanges + self.misspells:g}: choose "
                "probabilities that add up to at most 1."
            )
        if self.keeps > 0 and self.clean == 0:
            raise ConfigError(
                "The noise's keeps compares texts with noise and clean ones, but clean=0 leaves none: "
                "choose clean above 0, or keeps=0."
            )
        if isinstance(self.candidates, bool) or not isinstance(self.candidates, int) or self.candidates < 1:
            raise ConfigError(f"The noise's candidates is {self.candidates!r}: choose at least 1.")
