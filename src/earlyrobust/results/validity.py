"""What an attack could try: an attack that could try nothing makes every classifier look robust."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from earlyrobust.journal import AttackedExample
from earlyrobust.results.language import LanguageRecord


@dataclass(frozen=True)
class ValidityRecord:
    """Counts of what an attack could try, and of what it was let loose on.

    Attributes:
        attacked: Examples that the classifier had right, so that they were attacked.
        counted: How many of these an attempt was counted for: all, unless an older version began the journal.
            The counts below, down to `offered`, are over these.
        never_offered: Examples for which the classifier was never asked about a single candidate.
        untouchable: How many of these had no word that may be touched.
        unanswered: For how many of these no replacement was proposed for any word. For the rest of them, the
            constraints let no candidate pass.
        words: Words of the examples.
        touchable: How many of them may be touched: they are neither stop words nor protected.
        tried: Positions that the attack came to before it ended, and looked for replacements for.
        known: How many of their words the source of neighbours holds; None for an attack without one.
        answered: At how many of the positions at least one candidate was offered.
        proposed: Candidates that were made for the positions.
        offered: How many of these passed the constraints and were offered to the classifier.
        classes: Number of classes among all examples of the sample, the skipped ones included.
        classes_named: Number of classes that the classifier named on them before the attack.
        largest_class: Examples of the largest class.
        language: Counts that tell whether the texts of the sample are English.
        never_offered_share: `never_offered` of `counted`; None for no example.
        touchable_share: `touchable` of `words`; None for no word.
        candidates_per_word: `offered` for each position of `tried`; None for no position.
    """

    attacked: int
    counted: int
    never_offered: int
    untouchable: int
    unanswered: int
    words: int
    touchable: int
    tried: int
    known: int | None
    answered: int
    proposed: int
    offered: int
    classes: int
    classes_named: int
    largest_class: int
    language: LanguageRecord
    never_offered_share: float | None = None
    touchable_share: float | None = None
    candidates_per_word: float | None = None

    @classmethod
    def of(cls, examples: Sequence[AttackedExample]) -> Self:
        """Count over the examples of an attack, the skipped ones included."""
        attacked = [example for example in examples if example.status != "skipped"]
        counted = [example for example in attacked if example.offered is not None]
        never = [example for example in counted if not example.offered]
        untouchable = sum(not example.touchable for example in never)
        known = [example.known for example in counted if example.known is not None]
        classes = Counter(example.label for example in examples)

        def total(count: str) -> int:
            return sum(getattr(example, count) for example in counted)

        return cls(
            attacked=len(attacked),
            counted=len(counted),
            never_offered=len(never),
            untouchable=untouchable,
            unanswered=sum(not example.proposed for example in never) - untouchable,
            words=total("words"),
            touchable=total("touchable"),
            tried=total("tried"),
            known=sum(known) if known else None,
            answered=total("answered"),
            proposed=total("proposed"),
            offered=total("offered"),
            classes=len(classes),
            classes_named=len({_before(example) for example in examples}),
            largest_class=max(classes.values(), default=0),
            language=LanguageRecord.of(text for example in examples for text in example.texts),
        )._with_shares()

    @classmethod
    def pooled(cls, records: Sequence[Self]) -> Self:
        """Add up the records of one attack on several classifiers.

        The counts of classes, which do not add up, are those of the first.

        Args:
            records: At least one.
        """
        first = records[0]
        counts = {
            field.name: sum(getattr(record, field.name) or 0 for record in records)
            for field in dataclasses.fields(cls)
            if isinstance(getattr(first, field.name), int) and field.name not in _OF_CLASSES
        }
        knowing = [record.known for record in records if record.known is not None]
        language = LanguageRecord.pooled([record.language for record in records])
        counts["known"] = sum(knowing) if knowing else None
        return dataclasses.replace(first, **counts, language=language)._with_shares()

    def _with_shares(self) -> Self:
        return dataclasses.replace(
            self,
            never_offered_share=_share(self.never_offered, self.counted),
            touchable_share=_share(self.touchable, self.words),
            candidates_per_word=_share(self.offered, self.tried),
        )


_OF_CLASSES = ("classes", "classes_named", "largest_class")


def _before(example: AttackedExample) -> int:
    """The class that the classifier named before the attack."""
    return example.predicted if example.status == "skipped" else example.label


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
