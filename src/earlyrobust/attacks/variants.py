"""Attacks that do not search greedily: random substitutions, and texts that broke another model.

A greedy attack depends on the score. These two attacks need only the class that the victim gives to a text.
So a victim with uninformative scores is not safe from these attacks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from earlyrobust.attacks.asks import Attacking
from earlyrobust.attacks.base import Attack, Scored
from earlyrobust.attacks.constraints import Candidate
from earlyrobust.attacks.example import Example
from earlyrobust.attacks.greedy import WordSwapAttack
from earlyrobust.attacks.models import Victim
from earlyrobust.attacks.scores import LOGIT_MARGIN, Score
from earlyrobust.attacks.swaps import Draws
from earlyrobust.attacks.tally import Tally
from earlyrobust.attacks.text import Text
from earlyrobust.journal import AttackedExample, Status

# A text and its class, which together identify an attacked example.
Labelled = tuple[tuple[str, ...], int]
# Queries allowed for an example even if the attack to compare with used fewer.
LEAST_QUERIES = 50


class RandomSubstitutions(Attack):
    """Replaces random words by random candidates of another attack, until the victim errs.

    The number of words, the words and their replacements are drawn at random. The replacements are those that
    the other attack finds for the original text. Each must pass the constraints of that attack.

    Args:
        attack: The other attack, which provides the replacements and the constraints.
        queries: Number of queries that the other attack used, for each example.
    """

    name = "random substitutions"

    def __init__(self, attack: WordSwapAttack, queries: Mapping[Labelled, int]) -> None:
        self.score, self.victim_reads = attack.score, attack.victim_reads
        self._other = attack
        self._queries = queries

    def describe(self) -> dict[str, Any]:
        """Return the settings of the other attack, its name, and the least number of queries allowed."""
        others = self._other.describe()
        own = {"attack": self.name, "substitutions_of": self._other.name, "least_queries": LEAST_QUERIES}
        return {**others, **own}

    def fingerprints(self) -> dict[str, str]:
        """Return the hashes of the other attack, and a hash of the numbers of queries."""
        return {**self._other.fingerprints(), "queries_fingerprint": _digest(self._queries)}

    def _search(
        self, example: Example, victim: Victim, start: Scored, tally: Tally | None
    ) -> Attacking[AttackedExample]:
        """Try random texts until the victim errs or the allowed queries are used up.

        The attack may use as many queries as the other attack used on the example, at least 50.
        """
        original = start.candidate.text
        random = Draws(example.seed)
        replacements = yield from self._replacements(original, random)
        end, changed, queries = start, 0, 1
        allowed = max(LEAST_QUERIES, self._queries.get((example.columns, example.label), 0))
        for _ in range(allowed - 1 if replacements else 0):
            drawn, words = yield from self._draw(original, replacements, random)
            if not words:
                continue
            queries += 1
            answered = (yield from self._ask(victim, [drawn], example.label))[0]
            if answered.is_wrong:
                end, changed = answered, words
                break
        status: Status = "succeeded" if end.is_wrong else "failed"
        similarity = yield from self._other.similarity(original, end.candidate.text)
        return self._ended(example, status, queries, start, end, changed, similarity)

    def _replacements(self, original: Text, random: Draws) -> Attacking[dict[int, list[str]]]:
        """Return the replacements for each word, by its position; words without any are left out."""
        found = {}
        for position in range(len(original.words)):
            if self._other.may_touch(original, position):
                found[position] = yield from self._other.propose(original, position, random)
        return {position: words for position, words in found.items() if words}

    def _draw(
        self, original: Text, replacements: Mapping[int, Sequence[str]], random: Draws
    ) -> Attacking[tuple[Candidate, int]]:
        """Return a random text, and the number of its replaced words."""
        # The number of words is log-uniform: each doubling of it is equally likely.
        count = min(len(replacements), int((len(replacements) + 1) ** random.random_sample()))
        chosen = random.choice(sorted(replacements), count, replace=False)
        drawn, words = Candidate(original), 0
        # From the end to the beginning, because an edit that splits a word shifts only the words behind it.
        for position in sorted(chosen.tolist(), reverse=True):
            for place in random.permutation(len(replacements[position])):
                edited = Candidate(drawn.text.replace(position, replacements[position][place]))
                kept = yield from self._other.allowed([edited], drawn.text, original)
                if kept and edited.text.full != drawn.text.full:
                    drawn, words = kept[0], words + 1
                    break
        return drawn, words


class Replay(Attack):
    """Tries the texts that broke another model on the victim, without any search.

    Args:
        broken: The texts that broke the other model, for each attacked text.
        origin: Origin of these texts, as JSON types; it becomes part of the settings.
        score: Decides in which form the victim answers.
        victim_reads: A function that the victim applies to each text before it reads it; None for no change.
    """

    name = "replay"

    def __init__(
        self,
        broken: Mapping[Labelled, Sequence[tuple[str, ...]]],
        origin: dict[str, Any],
        score: Score = LOGIT_MARGIN,
        victim_reads: Callable[[str], str] | None = None,
    ) -> None:
        self._broken = broken
        self._origin = origin
        self.score = score
        self.victim_reads = victim_reads

    def describe(self) -> dict[str, Any]:
        """Return the settings, with the origin of the replayed texts."""
        return {"attack": self.name, **self.score.describe(), **self._origin}

    def fingerprints(self) -> dict[str, str]:
        """Return a hash of the replayed texts."""
        return {"replayed_fingerprint": _digest(self._broken)}

    def _search(
        self, example: Example, victim: Victim, start: Scored, tally: Tally | None
    ) -> Attacking[AttackedExample]:
        """Try each text that broke the other model on this example, until the victim errs."""
        original = start.candidate.text
        queries = 1
        for columns in self._broken.get((example.columns, example.label), ()):
            text = Text.of(columns)
            answered = (yield from self._ask(victim, [Candidate(text)], example.label))[0]
            queries += 1
            if answered.is_wrong:
                changed = text.words_changed(original)
                return self._ended(example, "succeeded", queries, start, answered, changed, None)
        return self._ended(example, "failed", queries, start, start, 0, None)


def _digest(values: Mapping[Labelled, Any]) -> str:
    """Return a SHA-256 hash of a mapping, which does not depend on the order of its entries."""
    lines = sorted(json.dumps([*key, value]) for key, value in values.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
