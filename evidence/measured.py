"""The records of comparisons, and the tables and sentences that all parts of the evidence share."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from earlyrobust.analysis.comparison import Comparison
from earlyrobust.analysis.differences import Difference
from earlyrobust.analysis.summary import ArmSummary, summarise
from earlyrobust.reports.tables import Cell, Number, Table, to_markdown
from earlyrobust.statistics.measures import AUA, CLEAN, OVERALL, WEAKEST, Mean, of_attack
from earlyrobust.statistics.significance import holm

RECORDS = Path(__file__).with_name("records")
# Prefix of the records of training times, measured on an idle machine.
TIMES = "time-"
# The title of each comparison of the method under noise with its rivals, by the name of its record.
NOISE_COMPARISONS = {
    "method-sst2": "sst2, under noise",
    "method-ag_news": "ag_news, under noise",
    "method-qnli": "qnli, under noise",
    "method-imdb": "imdb, under noise",
    "method-base": "sst2, under noise, base size",
}
# The method of the paper, and the method under noise.
METHOD, NOISE = "earlyrobust", "earlyrobust-noise"
# The arm with random tickets, and the one whose noise takes its words from another list than the attacks.
CHANCE, OTHER_WORDS = "random ticket", "noise from WordNet"
# The rivals of the method under noise: fine-tuning, PGD with five steps and one, and other methods.
RIVALS = ("finetune", "pgd-5", "pgd-1", "fat", "flooding", METHOD)
MEAN_AUA = of_attack(AUA, OVERALL)

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, eq=False)
class Measured:
    """The records of one task.

    Attributes:
        task: Title of the task on the page.
        comparison: The comparison of all arms, with attacks.
        times: The comparison of training times on an idle machine; None if they were not measured.
    """

    task: str
    comparison: Comparison
    times: Comparison | None

    @classmethod
    def load(cls, task: str) -> Measured:
        times = RECORDS / f"{TIMES}{task}"
        return cls(task, Comparison.load(RECORDS / task), Comparison.load(times) if times.is_dir() else None)

    @cached_property
    def arms(self) -> dict[str, ArmSummary]:
        """The summary of each arm, by name."""
        return {summary.name: summary for summary in summarise(self.comparison)}

    @property
    def trained(self) -> dict[str, ArmSummary]:
        """The arms that are more accurate than always naming the largest class, under all seeds.

        The others are left out, because a classifier that always names one class withstands every attack.
        """
        return {name: summary for name, summary in self.arms.items() if not summary.is_guess}

    def told_guesses(self, arm: str) -> str:
        """Say under how many seeds an arm is no more accurate than always naming the largest class."""
        runs = self.comparison.runs[arm].values()
        return f"{arm} guesses under {sum(run.is_guess for run in runs)} of {len(runs)} seeds"

    def differences(self, arm: str, other: str) -> dict[str, Difference]:
        """Return the differences of one arm minus another, by measure; empty unless both were run."""
        pair = {name: runs for name in (arm, other) if (runs := self.comparison.runs.get(name))}
        if len(pair) < 2:
            return {}
        compared = replace(self.comparison, record=replace(self.comparison.record, baseline=other), runs=pair)
        return next(summary.differences for summary in summarise(compared) if summary.name == arm)

    def time_ratios(self, other: str) -> dict[str, Mean]:
        """Return the training time of each arm relative to one arm; empty if times were not measured."""
        arms = [] if self.times is None else summarise(self.times)
        return {arm.name: arm.time_ratios[other] for arm in arms}


def load(titles: Mapping[str, str]) -> list[Measured]:
    """Load the comparisons that have a record.

    Args:
        titles: The title of each comparison on the page, by the name of its record.
    """
    return [
        replace(Measured.load(name), task=title)
        for name, title in titles.items()
        if (RECORDS / name).is_dir()
    ]


def budget(comparison: Comparison) -> str:
    """Describe in a sentence the settings that all arms of a comparison share."""
    config = comparison.record.config
    samples = f"{config['train_samples']:,}" if config["train_samples"] else "all"
    precision = "bfloat16" if config["bf16"] else "float32"
    which = "seeds" if len(comparison.record.seeds) > 1 else "seed"
    attacked = f"; {config['examples']} test examples attacked under each seed" if comparison.attacks else ""
    places = (run.environment for runs in comparison.runs.values() for run in runs.values())
    devices = sorted({place.processor if place.device == "cpu" else place.device for place in places})
    return (
        f"{samples} training samples, {config['epochs']:g} epochs, batches of {config['batch_size']}, "
        f"{config['max_length']} tokens, {precision}, "
        f"{which} {', '.join(map(str, comparison.record.seeds))}{attacked}; on {' and '.join(devices)}."
    )


def markdown(columns: list[str], rows: list[list[Cell]]) -> str:
    """Write a table as Markdown without a heading."""
    return "\n".join(to_markdown([Table("", columns, rows)]).splitlines()[2:])


@dataclass(frozen=True)
class Gaps:
    """The paired differences of one arm minus others, on several tasks.

    Each measure is corrected for the number of its differences. The keys are pairs of a task's title and the
    other arm.

    Attributes:
        guesses: Which of the two arms of each pair are no more accurate than always naming the largest class.
        clean: The differences of Clean%.
        aua: The differences of the mean Aua%, of pairs without guesses.
        weakest: The differences of Aua% on the weakest class, of pairs without guesses that record it.
    """

    guesses: dict[tuple[str, str], list[str]]
    clean: dict[tuple[str, str], Difference]
    aua: dict[tuple[str, str], Difference]
    weakest: dict[tuple[str, str], Difference]

    @classmethod
    def of(cls, tasks: Sequence[Measured], arm: str, others: Sequence[str]) -> Gaps:
        found = {
            (measured.task, other): (measured, differences)
            for measured in tasks
            for other in others
            if (differences := measured.differences(arm, other))
        }
        guesses = {
            both: [name for name in (arm, both[1]) if name not in measured.trained]
            for both, (measured, _) in found.items()
        }
        sound = {both: found[both][1] for both, names in guesses.items() if not names}
        return cls(
            guesses,
            corrected({both: gaps[CLEAN] for both, (_, gaps) in found.items()}),
            corrected({both: gaps[MEAN_AUA] for both, gaps in sound.items()}),
            corrected({both: gaps[WEAKEST] for both, gaps in sound.items() if WEAKEST in gaps}),
        )


def corrected(differences: dict[Key, Difference]) -> dict[Key, Difference]:
    """Add to each difference its p after Holm's correction for the number of differences."""
    adjusted = holm({key: gap.p for key, gap in differences.items() if gap.p is not None})
    return {key: replace(gap, adjusted=adjusted.get(key)) for key, gap in differences.items()}


def tell(difference: Difference) -> Number:
    """Return a difference as a cell with its p, before and after the correction."""
    return Number(difference.mean, 1, signed=True, p=difference.p, adjusted=difference.adjusted)
