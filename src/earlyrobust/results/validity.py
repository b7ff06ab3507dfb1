"""Counts of the words and candidates that an attack could try.

An attack that could try nothing makes every classifier look robust.
"""

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
    """Counts of the words and candidates that an attack could try, and of the texts that it attacked.

    Attributes:
        attacked: Number of attacked examples: those that the classifier classified right before the attack.
        counted: Number of attacked examples with counts: all, unless an older version began the journal. The
            counts below, down to `offered`, cover these examples.
        never_offered: Number of examples for which the classifier was not asked about any candidate.
        untouchable: Number of never offered examples without a word that the attack may change.
        unanswered: Number of never offered examples with such words, but without a replacement for any. For
            the other never offered examples, the constraints refused every candidate.
        words: Number of words in the examples.
        touchable: Number of words that the attack may change: neither stop words nor protected.
        tried: Number of positions for which the attack looked for replacements before it ended.
        known: Number of these positions whose word is in the source of neighbours; None for an attack without
            such a source.
        answered: Number of these positions at which the classifier was asked about at least one candidate.
        proposed: Number of candidates that the transformation made.
        offered: Number of candidates that passed the constraints; the classifier was asked about them.
        classes: Number of classes among all examples of the sample, the skipped ones included.
        classes_named: Number of classes that the classifier named on the sample before the attack.
        largest_class: Number of examples of the largest class.
        language: Counts that tell whether the texts of the sample are English.
        never_offered_share: `never_offered` / `counted`; None without examples.
        touchable_share: `touchable` / `words`; None without words.
        candidates_per_word: `offered` / `tried`; None without tried positions.
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
        """Add up the counts of all examples of an attack, the skipped ones included."""
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

        The counts of classes cannot be added up. They are those of the first record.

        Args:
            records: At least one record.
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
    """Return the class that the classifier named before the attack."""
    return example.predicted if example.status == "skipped" else example.label


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
