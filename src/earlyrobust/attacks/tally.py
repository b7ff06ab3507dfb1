"""Counts of the words and candidates that an attack tries on one example.

The counts tell a failed attempt from an attack that had nothing to try.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Tally:
    """Counts the words and candidates that an attack tries on one example.

    An attack stops when it succeeds. So all counts but the first cover only the positions that it reached.

    Attributes:
        touchable: Number of words that the attack may change: neither stop words nor protected.
        tried: Number of positions for which the attack looked for replacements.
        known: Number of these positions whose word is in the source of neighbours; None for an attack without
            such a source.
        answered: Number of these positions at which the victim was asked about at least one candidate.
        proposed: Number of candidates that the transformation made, all different from the current text.
        offered: Number of candidates that passed the constraints; the victim was asked about them.
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
            known: Whether the source of neighbours holds the word; None without such a source.
            proposed: Number of candidates that the transformation made.
            offered: Number of candidates that passed the constraints.
        """
        self.tried += 1
        if known is not None:
            self.known = (self.known or 0) + known
        self.answered += offered > 0
        self.proposed += proposed
        self.offered += offered
