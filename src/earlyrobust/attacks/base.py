"""Attacks: the examples that they are given, the outcomes that they leave, and their common base class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from earlyrobust.attacks.constraints import Candidate
from earlyrobust.attacks.engine import Ask, Attacking
from earlyrobust.attacks.models import Victim
from earlyrobust.attacks.scores import PROBABILITY, Answer, Score
from earlyrobust.attacks.tally import Tally
from earlyrobust.attacks.text import Text

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from earlyrobust.attacks.bound import BoundAttack, Texts
    from earlyrobust.journal import AttackedExample

Status = Literal["succeeded", "failed", "skipped"]


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
class Scored:
    """A text with what the victim says of it; the score is what the attack raises."""

    candidate: Candidate
    answer: Answer
    label: int
    by: Score

    @property
    def score(self) -> float:
        """How near the victim is to erring."""
        return self.by.of(self.answer, self.label)

    @property
    def probability(self) -> float:
        """Of the label."""
        return self.by.probability(self.answer, self.label)

    @property
    def predicted(self) -> int:
        """The class that the victim gives."""
        return int(self.answer.argmax())

    @property
    def is_wrong(self) -> bool:
        """Whether the victim errs."""
        return self.predicted != self.label


class Attack(ABC):
    """Changes a text so that the victim errs on it, or tries to.

    Attributes:
        name: How commands and results call it.
        score: What the attack raises; it says how the victim has to answer, too.
        victim_reads: How the victim changes a text before it reads it; None for not at all.
    """

    name: ClassVar[str]
    score: Score = PROBABILITY
    victim_reads: Callable[[str], str] | None = None

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Everything that decides on the result, as JSON types: settings, and the names of resources."""

    @abstractmethod
    def fingerprints(self) -> dict[str, str]:
        """Hashes of what the resources hold that `describe` only names."""

    @abstractmethod
    def attack(self, example: Example, victim: Victim) -> Attacking[Outcome]:
        """Attack one example.

        Args:
            example: The text and its label.
            victim: The classifier; asked through the server. It must answer as the score says.

        Returns:
            The outcome.
        """

    def scored_by(self, score: Score) -> Self:
        """Return the same attack, which raises another score."""
        made = copy(self)
        made.score = score
        return made

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

    def _ask(self, victim: Victim, candidates: Sequence[Candidate], label: int) -> Attacking[list[Scored]]:
        texts = [candidate.text.columns for candidate in candidates]
        if (reads := self.victim_reads) is not None:
            texts = [tuple(map(reads, columns)) for columns in texts]
        answers = yield Ask(victim, texts)
        return [Scored(*pair, label, self.score) for pair in zip(candidates, answers, strict=True)]

    @staticmethod
    def _outcome(
        status: Status,
        queries: int,
        original: Text,
        start: Scored,
        end: Scored,
        changed: int,
        similarity: float | None,
        tally: Tally | None = None,
    ) -> Outcome:
        return Outcome(
            status=status,
            queries=queries,
            columns=end.candidate.text.columns,
            words=len(original.words),
            words_changed=changed,
            predicted=end.predicted,
            probability_before=start.probability,
            probability_after=end.probability,
            similarity=similarity,
            **({} if tally is None else asdict(tally)),
        )
