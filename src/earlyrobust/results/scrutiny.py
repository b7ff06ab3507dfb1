"""The record of scrutiny: accuracy under attacks that are not the one a model seems to be robust against.

Published defences turned out to be illusions: an extreme temperature, for one, hides from the attack's search
what it needs, and a recalibrated attack is as strong as before (Raina et al., "Extreme Miscalibration and the
Illusion of Adversarial Robustness", ACL 2024).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earlyrobust.errors import OutputError
from earlyrobust.journal import AttackedExample
from earlyrobust.results.files import SCHEMA_VERSION, EnvironmentRecord, read_record
from earlyrobust.results.measures import Accuracy, Mean
from earlyrobust.results.significance import SIGNIFICANT, breaks_more_p, holm
from earlyrobust.storage import check_can_be_made, content_of, write_json

SCRUTINY_NAME = "scrutiny.json"
REPLAY_NAME = "replay.json"


@dataclass(frozen=True)
class TemperatureRecord:
    """A temperature that was fitted on texts that are not attacked.

    Attributes:
        value: T, by which logits are divided; 1 where the probabilities fit as they are.
        texts: Number of texts.
        loss_before: Mean negative log-likelihood of the texts at T = 1.
        loss_after: At the fitted T.
    """

    value: float
    texts: int
    loss_before: float
    loss_after: float


@dataclass(frozen=True)
class CurveRecord:
    """Examples still right after an attack, as a function of what the attack is allowed.

    Attributes:
        allowed: Queries, or candidates for each word, in rising order.
        right: Examples still right with so many.
        total: Examples in all.
    """

    allowed: list[int]
    right: list[int]
    total: int

    @classmethod
    def by_queries(cls, examples: Sequence[AttackedExample]) -> CurveRecord:
        """Examples still right by queries, from a finished attack alone.

        An example is broken within q queries if the attack on it succeeded with q queries or fewer. The first
        query is about the text as it is, so the curve begins with clean accuracy.
        """
        took = sorted(example.queries for example in examples if example.status == "succeeded")
        right = sum(example.status != "skipped" for example in examples)
        allowed = sorted({1, *took})
        return cls(allowed, [right - sum(count <= most for count in took) for most in allowed], len(examples))

    def share(self, place: int) -> Accuracy:
        """The share that is still right at a place of the curve."""
        return Accuracy.of(self.right[place], self.total)


@dataclass(frozen=True)
class VariantRecord:
    """An attack in another way on the same examples, compared with the plain attack.

    Attributes:
        settings: Its settings.
        under_attack: Accuracy under it.
        queries: Queries per example that was right; None if none was.
        only_variant: Examples that it breaks and the plain attack does not.
        only_plain: Examples that the plain attack breaks and it does not.
        p: McNemar's exact one-sided p: how probable so many of the first kind are by chance.
        adjusted_p: The same after Holm's correction for the number of variants.
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
        """Whether accuracy under it is lower than under the plain attack by more than chance."""
        return self.adjusted_p < SIGNIFICANT


@dataclass(frozen=True)
class ScrutinyRecord:
    """An attack under scrutiny.

    Attributes:
        under_scrutiny: Accuracy under the plain attack and all variants: examples that none of them breaks.
        variants: By name: "margin", "temperature", "words", "replay", "random".
        left_out: Variants that were left out, and why, a sentence each.
        temperature: What was fitted; None where there was nothing to fit it on.
        by_queries: Curves over queries, "plain" and by variant.
        by_candidates: Curve over candidates for each word, with the score "margin"; None where the attack has
            no such number.
        costs: Queries of everything that scrutiny added / queries of the plain attack.
        finding: How the plain attack overstates robustness, in a sentence; None if it does not.
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
            variants: By name: settings, the same examples, and the name of the journal.
            left_out: As the attribute.
            temperature: As the attribute.
            by_candidates: As the attribute.
            other_queries: Queries that scrutiny took besides those of the variants.
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
        """What scrutiny comes to, in a sentence or two.

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
class ReplayReport:
    """What `earlyrobust replay` did and found.

    Attributes:
        model: Name or folder of the classifier.
        fingerprint: Hash over its weights.
        journal: The journal whose texts were replayed.
        origin: The header of the journal: the model that the texts broke, and by which attack.
        labels: The model's output that stands for each class: class of the journal → name of the output.
        matched_by: How the outputs were found.
        max_length: Most tokens of a text that the model reads.
        texts: Texts that broke the other model.
        clean: The texts before the attack that this model classifies right, of those.
        transferred: Of the texts that it classifies right before, those that the replay breaks.
        under_replay: Accuracy on the texts after the attack: right before and after, of all.
        environment: Where it ran.
        choices: Which weights were chosen where there was a choice, a sentence each.
        schema_version: Version of this layout.
    """

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

    def save(self, folder: Path) -> None:
        """Write the record into a folder as `replay.json`."""
        write_json(folder / REPLAY_NAME, dataclasses.asdict(self))

    @classmethod
    def load(cls, folder: Path) -> ReplayReport:
        """Read the record of a replay.

        Raises:
            OutputError: If there is none, it is damaged, or it was written by a newer version.
        """
        return read_record(folder / REPLAY_NAME, cls, f"'{folder}' holds no replay: choose another --output.")

    @classmethod
    def check_folder(
        cls, folder: Path, fingerprint: str | None = None, origin: dict[str, Any] | None = None
    ) -> None:
        """Check that a record can be written into a folder and that nothing is lost by it.

        Args:
            folder: The folder, which need not be there.
            fingerprint: Of the classifier whose record is to be written; None if it is not known yet.
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
    """How the plain attack overstates robustness: each variant that lowers accuracy by more than chance."""
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
    """Examples that only the variant breaks, and that only the plain attack breaks."""
    still = {example.index for example in examples if example.status == "failed"}
    return len(safe - still), len(still - safe)
