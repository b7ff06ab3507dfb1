"""The record of scrutiny: accuracy under variants of the attack against which a model seems robust.

Some published defences only seem robust. For example, an extreme temperature hides from the attack which
edits help. A recalibrated attack is as strong as before (Raina et al., "Extreme Miscalibration and the
Illusion of Adversarial Robustness", ACL 2024).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from earlyrobust.errors import OutputError
from earlyrobust.journal import AttackedExample
from earlyrobust.results.records import SCHEMA_VERSION, EnvironmentRecord, SavedRecord
from earlyrobust.statistics.measures import Accuracy, Mean
from earlyrobust.statistics.significance import SIGNIFICANT, breaks_more_p, holm
from earlyrobust.storage import check_can_be_made, content_of

SCRUTINY_NAME = "scrutiny.json"
REPLAY_NAME = "replay.json"


@dataclass(frozen=True)
class TemperatureRecord:
    """A temperature that was fitted on texts that are not attacked.

    Attributes:
        value: The temperature T, by which logits are divided; 1 if the probabilities fit as they are.
        texts: Number of texts.
        loss_before: Mean negative log-likelihood of the texts at T = 1.
        loss_after: Mean negative log-likelihood of the texts at the fitted T.
    """

    value: float
    texts: int
    loss_before: float
    loss_after: float


@dataclass(frozen=True)
class CurveRecord:
    """Number of examples that are still right after an attack, as a function of a limit on the attack.

    Attributes:
        allowed: The limits in rising order: queries, or candidates for each word.
        right: For each limit, the number of examples that are still right.
        total: Number of all examples.
    """

    allowed: list[int]
    right: list[int]
    total: int

    @classmethod
    def by_queries(cls, examples: Sequence[AttackedExample]) -> CurveRecord:
        """Make the curve over queries from the examples of a finished attack.

        An example is broken within q queries if the attack on it succeeded with q queries or fewer. The first
        query is about the original text, so the curve begins with clean accuracy.
        """
        took = sorted(example.queries for example in examples if example.status == "succeeded")
        right = sum(example.status != "skipped" for example in examples)
        allowed = sorted({1, *took})
        return cls(allowed, [right - sum(count <= most for count in took) for most in allowed], len(examples))

    def share(self, place: int) -> Accuracy:
        """Return the share of examples that are still right at a place of the curve, from 0."""
        return Accuracy.of(self.right[place], self.total)


@dataclass(frozen=True)
class VariantRecord:
    """A variant of an attack on the same examples, compared with the plain attack.

    Attributes:
        settings: Settings of the variant.
        under_attack: Accuracy under the variant.
        queries: Mean number of queries for an example that was right before the attack; None if no example
            was right.
        only_variant: Number of examples that the variant breaks and the plain attack does not.
        only_plain: Number of examples that the plain attack breaks and the variant does not.
        p: McNemar's exact one-sided p: the probability of at least this `only_variant` by chance.
        adjusted_p: The p after Holm's correction for the number of variants.
        journal: Name of the file that holds the examples.
    """

    settings: dict[str, Any]
    under_attack: Accuracy
    queries: Mean | None
    only_variant: int
    only_plain: int
    p: float
    adjusted_p: float
    journal: str

    @property
    def lowers(self) -> bool:
        """Whether accuracy is significantly lower under the variant than under the plain attack."""
        return self.adjusted_p < SIGNIFICANT


@dataclass(frozen=True)
class ScrutinyRecord:
    """The results of scrutiny for one attack.

    Attributes:
        under_scrutiny: Accuracy under the plain attack and all variants together: an example counts as right
            if none of them breaks it.
        variants: The variants by name: "margin", "temperature", "words", "replay", "random".
        left_out: For each variant that was left out, the reason in a sentence.
        temperature: The fitted temperature; None if there were too few texts to fit it on.
        by_queries: Curves over queries, by name: "plain", and each variant but "replay".
        by_candidates: Curve over candidates for each word, with the score "margin"; None if the attack has no
            such number.
        costs: Queries of everything that scrutiny added / queries of the plain attack.
        finding: A sentence on how the plain attack overstates robustness; None if it does not.
    """

    under_scrutiny: Accuracy
    variants: dict[str, VariantRecord]
    left_out: dict[str, str]
    temperature: TemperatureRecord | None
    by_queries: dict[str, CurveRecord]
    by_candidates: CurveRecord | None
    costs: float
    finding: str | None

    @classmethod
    def of(
        cls,
        plain: Sequence[AttackedExample],
        variants: Mapping[str, tuple[dict[str, Any], Sequence[AttackedExample], str]],
        *,
        left_out: dict[str, str],
        temperature: TemperatureRecord | None,
        by_candidates: CurveRecord | None,
        other_queries: int = 0,
    ) -> ScrutinyRecord:
        """Compare variants of an attack with the plain attack.

        Args:
            plain: The examples of the plain attack.
            variants: For each variant by name: its settings, the same examples, and the name of its journal.
            left_out: See the attribute of this name.
            temperature: See the attribute of this name.
            by_candidates: See the attribute of this name.
            other_queries: Number of queries that scrutiny used besides those of the variants.
        """
        safe = {example.index for example in plain if example.status == "failed"}
        counts = {name: _discordant(safe, examples) for name, (_, examples, _) in variants.items()}
        chances = {name: breaks_more_p(*pair) for name, pair in counts.items()}
        adjusted = holm(chances)
        records = {}
        for name, (settings, examples, journal) in variants.items():
            right = [example for example in examples if example.status != "skipped"]
            records[name] = VariantRecord(
                settings,
                Accuracy.of(sum(example.status == "failed" for example in examples), len(examples)),
                Mean.of([example.queries for example in right]),
                *counts[name],
                chances[name],
                adjusted[name],
                journal,
            )
        for _, examples, _ in variants.values():
            safe -= {example.index for example in examples if example.status != "failed"}
        added = other_queries + sum(item.queries for _, found, _ in variants.values() for item in found)
        searches = {name: found for name, (_, found, _) in variants.items() if name != "replay"}
        return cls(
            under_scrutiny=Accuracy.of(len(safe), len(plain)),
            variants=records,
            left_out=left_out,
            temperature=temperature,
            by_queries={
                name: CurveRecord.by_queries(found) for name, found in {"plain": plain, **searches}.items()
            },
            by_candidates=by_candidates,
            costs=added / sum(example.queries for example in plain),
            finding=_finding(sum(example.status == "failed" for example in plain) / len(plain), records),
        )

    def describe(self, plain: Accuracy) -> str:
        """Sum up the result of scrutiny in one or two sentences.

        Args:
            plain: Accuracy under the plain attack.
        """
        worst = self.under_scrutiny
        told = (
            f"Aua {100 * plain.value:.1f} under the plain attack is {100 * worst.value:.1f} "
            f"({100 * worst.low:.1f} to {100 * worst.high:.1f}) under scrutiny."
        )
        return told if self.finding is None else f"{self.finding} {told}"


@dataclass(frozen=True)
class ReplayReport(SavedRecord):
    """The settings and results of `earlyrobust replay`.

    Attributes:
        model: Name or folder of the classifier.
        fingerprint: Hash of the classifier's weights.
        journal: The journal whose texts were replayed.
        origin: The header of the journal: the model that the texts broke, and the attack.
        labels: For each class of the journal, the name of the model's output that stands for it.
        matched_by: The way in which the outputs were matched to the classes.
        max_length: Maximum number of tokens of a text that the model reads; None without a limit.
        texts: Number of texts that broke the other model.
        clean: Share of these texts that the model classifies right before the attack.
        transferred: Of the texts that are right before the attack, the share that is wrong after it; None if
            no text is right before it.
        under_replay: Share of all texts that the model classifies right before and after the attack.
        environment: Hardware and software of the replay.
        choices: The weights that were chosen where there was a choice, a sentence each.
        schema_version: Version of this layout.
    """

    FILE: ClassVar[str] = REPLAY_NAME
    MISSING: ClassVar[str] = "'{folder}' holds no replay: choose another --output."

    model: str
    fingerprint: str
    journal: str
    origin: dict[str, Any]
    labels: dict[str, str]
    matched_by: str
    max_length: int | None
    texts: int
    clean: Accuracy
    transferred: Accuracy | None
    under_replay: Accuracy
    environment: EnvironmentRecord
    choices: list[str] = field(default_factory=list)
    schema_version: int = field(default=SCHEMA_VERSION)

    @classmethod
    def check_folder(
        cls, folder: Path, fingerprint: str | None = None, origin: dict[str, Any] | None = None
    ) -> None:
        """Check that a record can be written into a folder without loss of other results.

        Args:
            folder: The folder; it need not exist.
            fingerprint: Hash of the classifier's weights; None if it is not known yet.
            origin: The header of the journal; None if it is not known yet.

        Raises:
            OutputError: If the folder cannot be written to, or holds other files or another replay.
        """
        check_can_be_made(folder)
        content = content_of(folder)
        if any(path.name != REPLAY_NAME for path in content):
            raise OutputError(f"'{folder}' holds other files: choose another --output, or empty it.")
        if not content or fingerprint is None:
            return
        found = cls.load(folder)
        if (found.fingerprint, found.origin) != (fingerprint, origin):
            raise OutputError(
                f"'{folder}' holds the replay of '{found.journal}' on '{found.model}': choose another "
                "--output, or empty it."
            )


_HOW = {
    "margin": "when the score is the logit margin",
    "temperature": "at a temperature fitted on other texts",
    "replay": "when texts that broke the other model of the run are replayed",
    "random": "when words are replaced at random",
}


def _finding(plain: float, variants: Mapping[str, VariantRecord]) -> str | None:
    """Return a sentence that names each variant with significantly lower accuracy; None if there is none."""
    falls = [
        f"to {100 * variant.under_attack.value:.1f} "
        + (_HOW.get(name) or f"with other words ({variant.settings['neighbours']})")
        for name, variant in variants.items()
        if variant.lowers
    ]
    if not falls:
        return None
    return f"The plain attack overstates robustness: Aua {100 * plain:.1f} falls {', '.join(falls)}."


def _discordant(safe: set[int], examples: Sequence[AttackedExample]) -> tuple[int, int]:
    """Count the examples that only the variant breaks, and those that only the plain attack breaks."""
    still = {example.index for example in examples if example.status == "failed"}
    return len(safe - still), len(still - safe)
