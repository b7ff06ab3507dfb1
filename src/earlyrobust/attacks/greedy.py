"""Greedy word substitution: rank the words by importance, then replace one word after another.

The listed attacks of this package are all of this kind. They differ in four points: the transformation that
proposes replacements (`Swaps`), the constraints on candidates (`Constraint`), the words that they never
change, and the measure of importance.
"""

from __future__ import annotations

import hashlib
import reprlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch.nn.functional import cosine_similarity

from earlyrobust.attacks.asks import Ask, Attacking, NamedModel, fingerprint_as
from earlyrobust.attacks.base import Attack, Scored
from earlyrobust.attacks.constraints import Candidate, Constraint
from earlyrobust.attacks.example import Example
from earlyrobust.attacks.models import Victim
from earlyrobust.attacks.resources.folding import composed
from earlyrobust.attacks.swaps import Draws, Swaps
from earlyrobust.attacks.tally import Tally
from earlyrobust.attacks.text import Text
from earlyrobust.errors import ConfigError
from earlyrobust.journal import AttackedExample, Status

# The text that replaces a word while its importance is measured.
_PLACEHOLDERS = {"delete": "", "unk": "[UNK]", "weighted-saliency": "[UNK]"}
# Number of words whose importance is asked about at once.
_AT_ONCE = 256


class WordSwapAttack(Attack):
    """An untargeted attack that replaces words greedily, the most important ones first.

    The attack keeps a replacement only if it raises the score. The score is 1 - p(label) unless another one
    is chosen. As soon as candidates make the victim err, the attack ends with the most similar of them.

    A subclass sets the name by which commands and records call the attack.

    Args:
        swaps: Proposes replacements.
        constraints: Decide which candidates the victim is asked about; applied in this order.
        stop_words: Words that the attack never changes. The comparison is case-sensitive; the Unicode form
            does not matter.
        ranking: The measure of a word's importance. "delete": the score of the text without the word. "unk":
            the score of the text with "[UNK]" in place of the word. "weighted-saliency": the softmax over
            all words of the scores as for "unk", times the score of the best replacement (PWWS).
        keeps_first_column: Whether the attack leaves the first text of a pair unchanged.
        ranks_all_words: Whether to measure also the importance of words that the attack may not change. This
            costs queries and changes nothing else (TextAttack 0.3.4).
        follows_words: Whether the attack corrects the positions of later words after an edit that splits a
            word in several. TextAttack does not correct them, so it changes the words before the ranked ones.
        victim_reads: A function that the classifier applies to each text before it reads it; None for no
            change.
        sentence_encoder: Measures the similarity that results report; None for no similarity.
    """

    name: ClassVar[str] = "word swap"

    def __init__(
        self,
        *,
        swaps: Swaps,
        constraints: Sequence[Constraint],
        stop_words: frozenset[str],
        ranking: Literal["delete", "unk", "weighted-saliency"],
        keeps_first_column: bool = False,
        ranks_all_words: bool = False,
        follows_words: bool = False,
        victim_reads: Callable[[str], str] | None = None,
        sentence_encoder: NamedModel | None = None,
    ) -> None:
        self._swaps = swaps
        self._constraints = tuple(constraints)
        self._stop_words = stop_words
        self._untouched = frozenset(map(composed, stop_words))
        self._ranking = ranking
        self._keeps_first_column = keeps_first_column
        self._ranks_all_words = ranks_all_words
        self._follows_words = follows_words
        self.victim_reads = victim_reads
        self._encoder = sentence_encoder

    def describe(self) -> dict[str, Any]:
        """Return the settings and the names of resources that determine the result, as JSON types."""
        return {
            "attack": self.name,
            **self.score.describe(),
            **self._swaps.describe(),
            **{
                name: value
                for constraint in self._constraints
                for name, value in constraint.describe().items()
            },
            "stop_words": len(self._stop_words),
            "ranking": self._ranking,
            "keeps_first_column": self._keeps_first_column,
            "ranks_all_words": self._ranks_all_words,
            # Only written if it is true, because journals of earlier versions lack this field.
            **({"follows_words": True} if self._follows_words else {}),
            **({"victim_reads": self.victim_reads.__name__} if self.victim_reads is not None else {}),
        }

    def fingerprints(self) -> dict[str, str]:
        """Return hashes of the content of the resources that `describe` names."""
        parts: list[Swaps | Constraint] = [self._swaps, *self._constraints]
        found = {name: value for part in parts for name, value in part.fingerprints().items()}
        if self._encoder is not None:
            found |= fingerprint_as("sentence_encoder", self._encoder)
        words = "\n".join(sorted(self._stop_words)).encode("utf-8", "surrogatepass")
        return {**found, "stop_words_fingerprint": hashlib.sha256(words).hexdigest()}

    def _tally_of(self, original: Text) -> Tally:
        """Return the counts to begin with: the number of words that the attack may change."""
        return Tally(sum(self.may_touch(original, place) for place in range(len(original.words))))

    def _search(
        self, example: Example, victim: Victim, start: Scored, tally: Tally | None
    ) -> Attacking[AttackedExample]:
        """Replace words greedily, the most important ones first, until the victim errs."""
        original = start.candidate.text
        random = Draws(example.seed)
        order, queries = yield from self._rank(victim, start, example.label, random)
        queries += 1
        best, changed = start, 0
        longer: dict[int, int] = {}
        for ranked in order:
            before = sum(more for place, more in longer.items() if place < ranked)
            position = ranked + before if self._follows_words else ranked
            candidates = yield from self._candidates(best.candidate.text, original, position, random, tally)
            if not candidates:
                continue
            queries += len(candidates)
            scored = yield from self._ask(victim, candidates, example.label)
            scored.sort(key=lambda result: -result.score)
            if scored[0].score <= best.score:
                continue
            longer[ranked] = len(scored[0].candidate.text.words) - len(best.candidate.text.words)
            best, changed = scored[0], changed + 1
            if best.is_wrong:
                best = _most_similar(scored)
                break
        status: Status = "succeeded" if best.is_wrong else "failed"
        similarity = yield from self.similarity(original, best.candidate.text)
        return self._ended(example, status, queries, start, best, changed, similarity, tally)

    def _rank(
        self, victim: Victim, start: Scored, label: int, random: Draws
    ) -> Attacking[tuple[list[int], int]]:
        """Return the positions to replace, the most important first, and the number of queries used."""
        text = start.candidate.text
        positions = [
            position
            for position in range(len(text.words))
            if self._ranks_all_words or self.may_touch(text, position)
        ]
        placeholder = _PLACEHOLDERS[self._ranking]
        scores: list[float] = []
        # In parts, because each changed text is a copy of the whole text.
        for part in _in_parts(positions):
            without = [Candidate(text.replace(position, placeholder)) for position in part]
            scores += [scored.score for scored in (yield from self._ask(victim, without, label))]
        queries = len(positions)
        if self._ranking == "weighted-saliency":
            best, more = yield from self._best_shares(victim, start, label, positions, random)
            shares = [self.score.share(score, start.score) for score in scores]
            saliency = torch.softmax(torch.tensor(shares, dtype=torch.float32), dim=0)
            scores = [weight * share for weight, share in zip(saliency.tolist(), best, strict=True)]
            queries += more
        ranked = sorted(range(len(positions)), key=lambda number: -scores[number])
        return [positions[number] for number in ranked], queries

    def _best_shares(
        self, victim: Victim, start: Scored, label: int, positions: Sequence[int], random: Draws
    ) -> Attacking[tuple[list[float], int]]:
        """Return the share of the best replacement at each position (0 if none), and the queries used."""
        text = start.candidate.text
        best: list[float] = []
        queries = 0
        for part in _in_parts(positions):
            offered = []
            for position in part:
                offered.append((yield from self._candidates(text, text, position, random)))
            answers = iter((yield from self._ask(victim, [each for own in offered for each in own], label)))
            scores = [[next(answers).score for _ in own] for own in offered]
            best += [self.score.share(max(own), start.score) if own else 0.0 for own in scores]
            queries += sum(map(len, offered))
        return best, queries

    def may_touch(self, text: Text, position: int) -> bool:
        """Return whether the attack may replace the word at a position."""
        return (
            position < len(text.words)
            and position not in text.modified
            and composed(text.words[position]) not in self._untouched
            and not (
                self._keeps_first_column and text.joint is not None and text.is_in_first_column(position)
            )
        )

    def _candidates(
        self,
        current: Text,
        original: Text,
        position: int,
        random: Draws,
        tally: Tally | None = None,
    ) -> Attacking[list[Candidate]]:
        """Return the candidates at a position that pass the constraints, sorted by text; tally them."""
        # The positions are those of the original text. An edit that split a word has shifted the words behind
        # it. Unless `follows_words` is set, the attack ignores this, as TextAttack does.
        if not self.may_touch(current, position):
            return []
        proposed = yield from self.propose(current, position, random)
        edited = [current.replace(position, new) for new in proposed]
        candidates = [Candidate(text) for text in edited if text.full != current.full]
        made = len(candidates)
        candidates = yield from self.allowed(candidates, current, original)
        if tally is not None:
            tally.add(self._swaps.knows(current.words[position]), made, len(candidates))
        return sorted(candidates, key=lambda candidate: candidate.text.full)

    def allowed(
        self, candidates: list[Candidate], current: Text, original: Text
    ) -> Attacking[list[Candidate]]:
        """Return the candidates that pass the constraints; each differs from `current` in one word."""
        for constraint in self._constraints:
            if candidates:
                candidates = yield from constraint.keep(candidates, current, original)
        return candidates

    def propose(self, text: Text, position: int, random: Draws) -> Attacking[list[str]]:
        """Return the words that the transformation proposes for the word at a position, without itself.

        Raises:
            ConfigError: If a transformation of the user's own proposes anything but a list of words.
        """
        proposed: Any = yield from self._swaps.propose(text, position, random)
        # The letters of a string would count as words.
        is_list = isinstance(proposed, Collection) and not isinstance(proposed, str)
        if not is_list or not all(isinstance(new, str) for new in proposed):
            kind = type(self._swaps)
            raise ConfigError(
                f"{kind.__module__}:{kind.__qualname__} proposed {reprlib.repr(proposed)} for a word, but "
                "must propose a list of words."
            )
        return [new for new in proposed if new != text.words[position]]

    def similarity(self, original: Text, final: Text) -> Attacking[float | None]:
        """Return the cosine of two texts' embeddings; None if they are equal, or without an encoder."""
        if self._encoder is None or final.full == original.full:
            return None
        before, after = yield Ask(self._encoder, [original.full, final.full])
        return float(cosine_similarity(before, after, dim=0))


def _most_similar(scored: Sequence[Scored]) -> Scored:
    """Return the most similar of the leading candidates that make the victim err; on a tie, the best one.

    The candidates are sorted by score. The search stops at the first one that does not make the victim err.
    With more than two classes, later candidates may make it err too, but they are ignored.
    """
    wrong = []
    for result in scored:
        if not result.is_wrong:
            break
        wrong.append(result)
    return max(
        wrong, key=lambda result: -1.0 if result.candidate.similarity is None else result.candidate.similarity
    )


def _in_parts(positions: Sequence[int]) -> Iterator[Sequence[int]]:
    return (positions[begin : begin + _AT_ONCE] for begin in range(0, len(positions), _AT_ONCE))
