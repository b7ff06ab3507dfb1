"""Attacks that do not search greedily: random substitutions, and texts that broke another model.

A greedy attack sees only what the score shows. These two need nothing of the victim but the class that it
gives, so a victim that hides its score is not safe from them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from earlyrobust.attacks.base import Attack, Example, Outcome, Status
from earlyrobust.attacks.constraints import Candidate
from earlyrobust.attacks.engine import Attacking
from earlyrobust.attacks.greedy import WordSwapAttack
from earlyrobust.attacks.models import Victim
from earlyrobust.attacks.scores import LOGIT_MARGIN, Score
from earlyrobust.attacks.swaps import Draws
from earlyrobust.attacks.text import Text

# A text and the class that it has: what tells attacked examples apart.
Labelled = tuple[tuple[str, ...], int]
# So many texts are asked about at the least, if the attack that is compared with asked about fewer.
LEAST_QUERIES = 50


class RandomSubstitutions(WordSwapAttack):
    """Draws texts with several words replaced, from all that another attack may offer, and asks about each.

    A number of words, the words themselves and their replacements are drawn at random. Replacements are those
    that the other attack finds for the untouched text, and each must pass its constraints.

    Args:
        attack: The attack whose replacements and constraints these are.
        queries: How many texts that attack asked about, for each example.
    """

    name = "random substitutions"
    description = "replaces random words by what another attack may put in their place"

    def __init__(self, attack: WordSwapAttack, queries: Mapping[Labelled, int]) -> None:
        self.__dict__.update(vars(attack))  # all of its parts, to search otherwise
        self._of = attack.name
        self._queries = queries

    def describe(self) -> dict[str, Any]:
        """The other attack's settings, and the fewest texts that are asked about."""
        return {**super().describe(), "substitutions_of": self._of, "least_queries": LEAST_QUERIES}

    def fingerprints(self) -> dict[str, str]:
        """The other attack's, and a hash of the numbers of queries."""
        return {**super().fingerprints(), "queries_fingerprint": _digest(self._queries)}

    def attack(self, example: Example, victim: Victim) -> Attacking[Outcome]:
        """Ask about random texts until the victim errs, or about as many as the other attack asked about."""
        original = Text.of(example.columns)
        start = (yield from self._ask(victim, [Candidate(original)], example.label))[0]
        if start.is_wrong:
            return self._outcome("skipped", 1, original, start, start, 0, None)
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
        similarity = yield from self._similarity(original, end.candidate.text)
        return self._outcome(status, queries, original, start, end, changed, similarity)

    def _replacements(self, original: Text, random: Draws) -> Attacking[dict[int, list[str]]]:
        """What may stand in the place of each word, by its position; words without any are left out."""
        found = {}
        for position, word in enumerate(original.words):
            if self.may_touch(original, position):
                proposed = yield from self._swaps.propose(original, position, random)
                found[position] = [new for new in proposed if new != word]
        return {position: words for position, words in found.items() if words}

    def _draw(
        self, original: Text, replacements: Mapping[int, Sequence[str]], random: Draws
    ) -> Attacking[tuple[Candidate, int]]:
        """A random text, and how many of its words are replaced."""
        # Few words are drawn as often as many: each doubling of the number is equally likely.
        count = min(len(replacements), int((len(replacements) + 1) ** random.random_sample()))
        chosen = random.choice(sorted(replacements), count, replace=False)
        drawn, words = Candidate(original), 0
        # From the end to the beginning: an edit that makes two words of one moves only what is behind it.
        for position in sorted(chosen.tolist(), reverse=True):
            for place in random.permutation(len(replacements[position])):
                edited = Candidate(drawn.text.replace(position, replacements[position][place]))
                kept = yield from self.allowed([edited], drawn.text, original)
                if kept and edited.text.full != drawn.text.full:
                    drawn, words = kept[0], words + 1
                    break
        return drawn, words


class Replay(Attack):
    """Asks about the texts that broke another model, and searches for nothing.

    Args:
        broken: The texts that broke the other model, for each text that was attacked.
        origin: What they come from, as JSON types.
        score: How the victim answers.
        victim_reads: How it changes a text before it reads it; None for not at all.
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
        """What is replayed."""
        return {"attack": self.name, **self.score.describe(), **self._origin}

    def fingerprints(self) -> dict[str, str]:
        """A hash of the texts."""
        return {"replayed_fingerprint": _digest(self._broken)}

    def attack(self, example: Example, victim: Victim) -> Attacking[Outcome]:
        """Ask about each text that broke the other model on this example, until the victim errs."""
        original = Text.of(example.columns)
        start = (yield from self._ask(victim, [Candidate(original)], example.label))[0]
        if start.is_wrong:
            return self._outcome("skipped", 1, original, start, start, 0, None)
        queries = 1
        for columns in self._broken.get((example.columns, example.label), ()):
            text = Text.of(columns)
            answered = (yield from self._ask(victim, [Candidate(text)], example.label))[0]
            queries += 1
            if answered.is_wrong:
                changed = text.words_changed(original)
                return self._outcome("succeeded", queries, original, start, answered, changed, None)
        return self._outcome("failed", queries, original, start, start, 0, None)


def _digest(values: Mapping[Labelled, Any]) -> str:
    """SHA-256 of what belongs to each labelled text, in whatever order."""
    lines = sorted(json.dumps([*key, value]) for key, value in values.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
