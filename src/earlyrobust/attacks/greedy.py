"""Greedy word substitution: rank the words by importance, then replace one after the other.

All attacks of this package are of this kind. Each differs in what it proposes (`Swaps`), what it may offer
(`Constraint`), which words it leaves alone, and how importance is measured.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cosine_similarity

from earlyrobust.attacks.constraints import Candidate, Constraint
from earlyrobust.attacks.engine import Ask, Attacking, NamedModel, fingerprint_as
from earlyrobust.attacks.models import Victim
from earlyrobust.attacks.swaps import Draws, Swaps
from earlyrobust.attacks.tally import Tally
from earlyrobust.attacks.text import Text

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from earlyrobust.attacks.bound import BoundAttack, Texts
    from earlyrobust.journal import AttackedExample

Status = Literal["succeeded", "failed", "skipped"]
# What stands in a word's place while its importance is measured.
_PLACEHOLDERS = {"delete": "", "unk": "[UNK]", "weighted-saliency": "[UNK]"}


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled text to attack.

    Attributes:
        columns: The text, or the two texts of a pair.
        label: Index of its class.
        seed: Of the attack's random choices on it.
    """

    columns: tuple[str, ...]
    label: int
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attack on one example.

    Attributes:
        status: "succeeded": the victim was made to err; "failed": it was not; "skipped": it erred unattacked.
        queries: Texts that the victim was asked about, the untouched one included; a text that it was asked
            about twice counts twice.
        columns: The text as the attack left it.
        words: Words of the text.
        words_changed: How many of them were replaced.
        predicted: The class that the victim gives to the text as the attack left it.
        probability_before: Of the label, for the untouched text.
        probability_after: Of the label, for the text as the attack left it.
        similarity: Cosine of the embeddings of both texts; None without a change or without an encoder.
        touchable: Words that may be touched. This count and those below are explained at `Tally`.
        tried: Positions for which replacements were looked for.
        known: How many of their words the source of neighbours holds.
        answered: At how many of them a candidate was offered.
        proposed: Candidates that were made.
        offered: Candidates that were offered to the victim.
    """

    status: Status
    queries: int
    columns: tuple[str, ...]
    words: int
    words_changed: int
    predicted: int
    probability_before: float
    probability_after: float
    similarity: float | None = None
    touchable: int | None = None
    tried: int | None = None
    known: int | None = None
    answered: int | None = None
    proposed: int | None = None
    offered: int | None = None


@dataclass(frozen=True, slots=True)
class _Scored:
    """A text with what the victim says of it; the score is what the attack raises."""

    candidate: Candidate
    probabilities: NDArray[np.float32]
    label: int

    @property
    def score(self) -> float:
        """1 - probability of the label, with the precision of float32."""
        return float(1 - self.probabilities[self.label])

    @property
    def is_wrong(self) -> bool:
        """Whether the victim errs."""
        return int(self.probabilities.argmax()) != self.label


class WordSwapAttack:
    """An untargeted attack that replaces words greedily, the most important ones first.

    A replacement is kept only if it raises 1 - p(label). As soon as candidates make the victim err, the most
    similar of them wins.

    A subclass gives it the name and the description under which it is listed.

    Args:
        swaps: Proposes replacements.
        constraints: Which candidates may be offered, asked in this order.
        stop_words: Words never touched, compared as they are written.
        ranking: How a word's importance is measured. "delete": by the score of the text without the word.
            "unk": by that of the text with "[UNK]" in its place. "weighted-saliency": by the softmax of the
            latter over all words, times the score of the best replacement (PWWS).
        keeps_first_column: Whether the first text of a pair is left alone.
        ranks_all_words: Whether importance is measured for words that cannot be touched too, which costs
            queries and changes nothing else (TextAttack 0.3.4).
        follows_words: Whether an edit that makes several words of one leaves the attack on the words that it
            ranked. TextAttack keeps to their numbers, and so touches the words before them.
        victim_reads: How the classifier that is attacked changes a text before it reads it; None for not at
            all.
        sentence_encoder: Measures the similarity that outcomes report.
    """

    name: ClassVar[str] = "word swap"
    description: ClassVar[str] = "put together by hand"

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
        self._ranking = ranking
        self._keeps_first_column = keeps_first_column
        self._ranks_all_words = ranks_all_words
        self._follows_words = follows_words
        self._victim_reads = victim_reads
        self._encoder = sentence_encoder

    def describe(self) -> dict[str, Any]:
        """Everything that decides on the result, as JSON types: settings, and the names of resources."""
        return {
            "attack": self.name,
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
            # Said only where it is so: journals of earlier versions do not know of it.
            **({"follows_words": True} if self._follows_words else {}),
            **({"victim_reads": self._victim_reads.__name__} if self._victim_reads is not None else {}),
        }

    def fingerprints(self) -> dict[str, str]:
        """Hashes of what the resources hold that `describe` only names."""
        parts: list[Swaps | Constraint] = [self._swaps, *self._constraints]
        found = {name: value for part in parts for name, value in part.fingerprints().items()}
        if self._encoder is not None:
            found |= fingerprint_as("sentence_encoder", self._encoder)
        words = "\n".join(sorted(self._stop_words)).encode("utf-8", "surrogatepass")
        return {**found, "stop_words_fingerprint": hashlib.sha256(words).hexdigest()}

    def against(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        seed: int = 0,
        max_length: int | None = None,
    ) -> BoundAttack:
        """Bind the attack to a classifier, so that texts can be handed to it, many at once or one by one.

        Args:
            model: Any sequence classifier, as it is now: bind again after it is trained on. It is in
                evaluation mode afterwards.
            tokenizer: Its tokenizer.
            seed: Of the attack's random choices.
            max_length: Most tokens of a text that the model is to read; the rest is cut off. None for as many
                as it reads.

        Raises:
            ConfigError: If the seed or `max_length` cannot be used.
        """
        from earlyrobust.attacks.bound import BoundAttack  # which is made of this module's parts

        return BoundAttack(self, model, tokenizer, seed=seed, max_length=max_length)

    def run(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        texts: Texts,
        labels: Sequence[int | str],
        *,
        seed: int = 0,
        max_length: int | None = None,
        watch: Callable[[Sequence[AttackedExample], int], None] | None = None,
    ) -> list[AttackedExample]:
        """Attack a classifier on some texts: `against` and `BoundAttack.run` in one call.

        Args:
            model: As for `against`.
            tokenizer: As for `against`.
            texts: As for `BoundAttack.run`.
            labels: As for `BoundAttack.run`.
            seed: As for `against`.
            max_length: As for `against`.
            watch: As for `BoundAttack.run`.

        Returns:
            What came of the attack on each text, in the order of the texts.

        Raises:
            ConfigError: As for `against`.
            DataError: As for `BoundAttack.run`.
        """
        return self.against(model, tokenizer, seed=seed, max_length=max_length).run(
            texts, labels, watch=watch
        )

    def attack(self, example: Example, victim: Victim) -> Attacking[Outcome]:
        """Attack one example.

        Args:
            example: The text and its label.
            victim: The classifier; asked through the server.

        Returns:
            The outcome.
        """
        original = Text.of(example.columns)
        tally = Tally(sum(self._may_touch(original, place) for place in range(len(original.words))))
        start = (yield from self._ask(victim, [Candidate(original)], example.label))[0]
        if start.is_wrong:
            return self._outcome("skipped", 1, original, start, start, 0, None, tally)
        random = Draws(example.seed)
        order, queries = yield from self._rank(victim, original, example.label, random)
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
        similarity = yield from self._similarity(original, best.candidate.text)
        return self._outcome(status, queries, original, start, best, changed, similarity, tally)

    def _ask(self, victim: Victim, candidates: Sequence[Candidate], label: int) -> Attacking[list[_Scored]]:
        texts = [candidate.text.columns for candidate in candidates]
        if (reads := self._victim_reads) is not None:
            texts = [tuple(map(reads, columns)) for columns in texts]
        answers = yield Ask(victim, texts)
        return [_Scored(*pair, label) for pair in zip(candidates, answers, strict=True)]

    def _rank(
        self, victim: Victim, text: Text, label: int, random: Draws
    ) -> Attacking[tuple[list[int], int]]:
        """Positions to replace, the most important first, and the queries that finding this out took."""
        positions = [
            position
            for position in range(len(text.words))
            if self._ranks_all_words or self._may_touch(text, position)
        ]
        placeholder = _PLACEHOLDERS[self._ranking]
        without = [Candidate(text.replace(position, placeholder)) for position in positions]
        scores = [scored.score for scored in (yield from self._ask(victim, without, label))]
        queries = len(positions)
        if self._ranking == "weighted-saliency":
            best, more = yield from self._best_scores(victim, text, label, positions, random)
            saliency = torch.softmax(torch.tensor(scores, dtype=torch.float32), dim=0)
            scores = [weight * score for weight, score in zip(saliency.tolist(), best, strict=True)]
            queries += more
        ranked = sorted(range(len(positions)), key=lambda number: -scores[number])
        return [positions[number] for number in ranked], queries

    def _best_scores(
        self, victim: Victim, text: Text, label: int, positions: Sequence[int], random: Draws
    ) -> Attacking[tuple[list[float], int]]:
        """The score of the best replacement at each position, 0 without any; and the queries it took."""
        offered = []
        for position in positions:
            offered.append((yield from self._candidates(text, text, position, random)))
        answers = iter((yield from self._ask(victim, [each for own in offered for each in own], label)))
        best = [max((next(answers).score for _ in own), default=0.0) for own in offered]
        return best, sum(map(len, offered))

    def _may_touch(self, text: Text, position: int) -> bool:
        return (
            position < len(text.words)
            and position not in text.modified
            and text.words[position] not in self._stop_words
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
        """What may be offered to the victim for one position, in the order of the texts; the tally counts."""
        # Positions were ranked in the original; an edit that made two words of one has shifted the words
        # since. TextAttack does not follow them, and neither do we.
        if not self._may_touch(current, position):
            return []
        proposed = yield from self._swaps.propose(current, position, random)
        edited = [current.replace(position, new) for new in proposed if new != current.words[position]]
        candidates = [Candidate(text) for text in edited if text.full != current.full]
        made = len(candidates)
        for constraint in self._constraints:
            if candidates:
                candidates = yield from constraint.keep(candidates, current, original)
        if tally is not None:
            tally.add(self._swaps.knows(current.words[position]), made, len(candidates))
        return sorted(candidates, key=lambda candidate: candidate.text.full)

    def _similarity(self, original: Text, final: Text) -> Attacking[float | None]:
        if self._encoder is None or final.full == original.full:
            return None
        before, after = yield Ask(self._encoder, [original.full, final.full])
        return float(cosine_similarity(before, after, dim=0))

    @staticmethod
    def _outcome(
        status: Status,
        queries: int,
        original: Text,
        start: _Scored,
        end: _Scored,
        changed: int,
        similarity: float | None,
        tally: Tally,
    ) -> Outcome:
        return Outcome(
            status=status,
            queries=queries,
            columns=end.candidate.text.columns,
            words=len(original.words),
            words_changed=changed,
            predicted=int(end.probabilities.argmax()),
            probability_before=float(start.probabilities[start.label]),
            probability_after=float(end.probabilities[end.label]),
            similarity=similarity,
            **asdict(tally),
        )


def _most_similar(scored: Sequence[_Scored]) -> _Scored:
    """Of the candidates at the top that make the victim err, the most similar; the best one on a tie.

    Candidates behind the first that does not make it err are not looked at, though with more than two classes
    some of them may.
    """
    wrong = []
    for result in scored:
        if not result.is_wrong:
            break
        wrong.append(result)
    return max(
        wrong, key=lambda result: -1.0 if result.candidate.similarity is None else result.candidate.similarity
    )
