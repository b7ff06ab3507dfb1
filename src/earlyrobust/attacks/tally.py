"""Counts of what an attack could try on one example, so that a failed attempt is told from none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """Counts what an attack tries on one example.

    An attack stops when it succeeds. So all counts but the first concern only the positions that it came to.

    Attributes:
        touchable: Words that the attack may touch at all: neither stop words nor protected.
        tried: Positions for which it looked for replacements.
        known: How many of their words the source of neighbours holds; None for an attack without one.
        answered: At how many of them at least one candidate was offered to the victim.
        proposed: Candidates that the transformation made for them, all different from the text as it was.
        offered: How many of the candidates passed the constraints and were offered to the victim.
    """

    touchable: int
    tried: int = 0
    known: int | None = None
    answered: int = 0
    proposed: int = 0
    offered: int = 0

    def add(self, known: bool | None, proposed: int, offered: int) -> None:
        """Count one position.

        Args:
            known: Whether the source of neighbours holds its word; None without such a source.
            proposed: Candidates that the transformation made.
            offered: Candidates that passed the constraints.
        """
        self.tried += 1
        if known is not None:
            self.known = (self.known or 0) + known
        self.answered += offered > 0
        self.proposed += proposed
        self.offered += offered
