"""The base class of all attacks, and the examples that attacks take."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from earlyrobust.attacks.asks import Ask, Attacking
from earlyrobust.attacks.bound import BoundAttack, Texts
from earlyrobust.attacks.constraints import Candidate
from earlyrobust.attacks.example import Example
from earlyrobust.attacks.models import Victim
from earlyrobust.attacks.scores import PROBABILITY, Answer, Score
from earlyrobust.attacks.tally import Tally
from earlyrobust.attacks.text import Text
from earlyrobust.journal import AttackedExample, Status

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate text with the victim's answer to it.

    Attributes:
        candidate: The text.
        answer: The victim's answer, shape (classes,).
        label: Index of the right class.
        by: Turns the answer into the score that the attack raises.
    """

    candidate: Candidate
    answer: Answer
    label: int
    by: Score

    @property
    def score(self) -> float:
        """The closeness of the victim to an error, which the attack raises."""
        return self.by.of(self.answer, self.label)

    @property
    def probability(self) -> float:
        """The probability of the label."""
        return self.by.probability(self.answer, self.label)

    @property
    def predicted(self) -> int:
        """The index of the class that the victim gives to the text."""
        return int(self.answer.argmax())

    @property
    def is_wrong(self) -> bool:
        """Whether the victim errs on the text."""
        return self.predicted != self.label


class Attack(ABC):
    """Changes a text so that the victim errs on it, or tries to.

    Attributes:
        name: The attack's name in commands and results.
        score: The score that the attack raises. It also decides in which form the victim answers.
        victim_reads: A function that the victim applies to each text before it reads it; None for no change.
    """

    name: ClassVar[str]
    score: Score = PROBABILITY
    victim_reads: Callable[[str], str] | None = None

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return the settings and the names of resources that determine the result, as JSON types."""

    @abstractmethod
    def fingerprints(self) -> dict[str, str]:
        """Return hashes of the content of the resources that `describe` names."""

    def attack(self, example: Example, victim: Victim) -> Attacking[AttackedExample]:
        """Attack one example, unless the victim errs on it anyway.

        Args:
            example: The text and its label.
            victim: The classifier. The server computes its answers. They must have the form that the score
                expects.

        Returns:
            The example with the result of the attack.
        """
        original = Text.of(example.columns)
        tally = self._tally_of(original)
        start = (yield from self._ask(victim, [Candidate(original)], example.label))[0]
        if start.is_wrong:
            return self._ended(example, "skipped", 1, start, start, 0, None, tally)
        return (yield from self._search(example, victim, start, tally))

    @abstractmethod
    def _search(
        self, example: Example, victim: Victim, start: Scored, tally: Tally | None
    ) -> Attacking[AttackedExample]:
        """Look for a text on which the victim errs.

        Args:
            example: The text and its label.
            victim: The classifier.
            start: The original text, on which the victim does not err. It has taken one query.
            tally: The counts of the attack, as of `_tally_of`.

        Returns:
            The example with the result of the attack.
        """

    def _tally_of(self, original: Text) -> Tally | None:
        """Return the counts to begin with; None for an attack that does not count."""
        return None

    def scored_by(self, score: Score) -> Self:
        """Return a copy of the attack that raises another score."""
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
        """Bind the attack to a classifier. The bound attack takes lists of texts and single texts.

        Args:
            model: Any sequence classifier. Bind again if the model is trained further. The model is put into
                evaluation mode.
            tokenizer: The model's tokenizer.
            seed: Seed of the attack's random choices.
            max_length: Maximum number of tokens of a text that the model reads; the rest is cut off. None
                for the model's own limit.

        Raises:
            ConfigError: If the seed or `max_length` cannot be used.
        """
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
        """Attack a classifier on a list of texts: `against` and `BoundAttack.run` in one call.

        Args:
            model: Any sequence classifier. The model is put into evaluation mode.
            tokenizer: The model's tokenizer.
            texts: Strings, or pairs of strings.
            labels: The class of each text: the index of the model's output, or the exact name of the class in
                the model's configuration.
            seed: Seed of the attack's random choices.
            max_length: Maximum number of tokens of a text that the model reads; the rest is cut off. None
                for the model's own limit.
            watch: A function that is called whenever a text is done, with all results so far and the number
                of texts.

        Returns:
            The result for each text, in the order of the texts.

        Raises:
            ConfigError: If the seed or `max_length` cannot be used.
            DataError: If a text is neither a string nor a pair of strings, or a label is not a class of the
                model.
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
    def _ended(
        example: Example,
        status: Status,
        queries: int,
        start: Scored,
        end: Scored,
        changed: int,
        similarity: float | None,
        tally: Tally | None = None,
    ) -> AttackedExample:
        """Return an example with the result of the attack on it; see `AttackedExample`."""
        final = end.candidate.text
        return AttackedExample(
            index=example.index,
            label=example.label,
            texts=example.columns,
            status=status,
            queries=queries,
            final=final.columns,
            words=len(start.candidate.text.words),
            words_changed=changed,
            predicted=end.predicted,
            probability_before=start.probability,
            probability_after=end.probability,
            similarity=similarity,
            edits=None if changed and final.parent is None else final.edits(),
            **({} if tally is None else asdict(tally)),
        )
