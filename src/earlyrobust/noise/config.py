"""Settings of text noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from earlyrobust.errors import ConfigError

Choice = Literal["random", "learned"]
_SHARES = ("rate", "ramp", "exchanges", "misspells", "misspells_others", "guided", "clean", "memory")


@dataclass(frozen=True, kw_only=True)
class NoiseConfig:
    """Settings of text noise (all values are ours).

    Attributes:
        choice: How a neighbour is chosen: "random", or "learned" for the neighbour of greatest mean gain.
        rate: Largest share of the words of a text that are chosen for a change. Each text draws its share
            uniformly between 0 and this rate.
        ramp: Share of the training during which the rate rises linearly from 0 to `rate`.
        exchanges: Probability that a chosen word with neighbours is exchanged for a neighbour.
        misspells: Probability that a chosen word with neighbours is misspelt instead.
        misspells_others: Probability that a chosen word without neighbours is misspelt.
        guided: Probability that an exchange takes the neighbour of greatest mean gain, if that is positive;
            all others take a random neighbour. Only for the choice "learned".
        clean: Probability that a text is left as it is.
        candidates: K, neighbours of a word.
        memory: Share of a mean gain that stays when a batch adds to it.
    """

    choice: Choice = "learned"
    rate: float = 1.0
    ramp: float = 1 / 3
    exchanges: float = 0.7
    misspells: float = 0.15
    misspells_others: float = 0.5
    guided: float = 0.7
    clean: float = 0.0
    candidates: int = 8
    memory: float = 0.9

    def __post_init__(self) -> None:
        if self.choice not in get_args(Choice):
            raise ConfigError(
                f"The noise has no choice '{self.choice}': choose {' or '.join(get_args(Choice))}."
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
        if isinstance(self.candidates, bool) or not isinstance(self.candidates, int) or self.candidates < 1:
            raise ConfigError(f"The noise's candidates is {self.candidates!r}: choose at least 1.")

    def rate_at(self, progress: float) -> float:
        """Return the rate at a point of the training, from 0 for its beginning to 1 for its end."""
        return self.rate if self.ramp == 0 else self.rate * min(1.0, max(0.0, progress) / self.ramp)
