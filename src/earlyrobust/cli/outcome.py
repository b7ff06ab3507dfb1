"""The results of a command for a calling program: a record as JSON, and an exit code.

Exit code 3 means that an accuracy is below the threshold of `--fail-under`.
"""

from __future__ import annotations

import dataclasses
import json
import reprlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated

import typer

from earlyrobust import processes
from earlyrobust.errors import ConfigError

if TYPE_CHECKING:
    from earlyrobust.results import AttackReport, EvaluationReport, PredictionReport
    from earlyrobust.statistics.measures import Accuracy

BELOW = 3

AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Print the record as JSON on standard output, and all other output on standard error."
    ),
]


@dataclass(frozen=True)
class Threshold:
    """The smallest accuracy that is good enough.

    Attributes:
        told: The threshold in percent, as the user wrote it.
        share: The threshold as a fraction from 0 to 1.
    """

    told: str
    share: Fraction

    @classmethod
    def parse(cls, text: str) -> Threshold:
        """Read a threshold in percent.

        Raises:
            ConfigError: If the text is not 0 or a number from 1 to 100.
        """
        told = text.strip()
        try:
            number = Decimal(told)
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite() or not 0 <= number <= 100:
            raise ConfigError(
                f"--fail-under is {reprlib.repr(text)}, but a threshold must be a percentage: give 0, or a "
                "number from 1 to 100."
            )
        if 0 < number < 1:
            raise ConfigError(
                f"--fail-under is {told}, but thresholds are percentages: give "
                f"{(100 * number).normalize():f} for {told}."
            )
        return cls(told, Fraction(number) / 100)

    def is_missed_by(self, accuracy: Accuracy) -> bool:
        """Return whether an accuracy is below the threshold, in exact arithmetic; an equal one is not."""
        return Fraction(accuracy.correct, accuracy.total) < self.share


def parse_thresholds(given: Iterable[str], attacks: Sequence[str]) -> dict[str, Threshold]:
    """Read the thresholds of attacks.

    Args:
        given: Values of `--fail-under`. Each holds one threshold or several, separated by commas:
            `attack=percent` for one attack, or `percent` for all attacks without a threshold of their own.
        attacks: Names of the attacks that run.

    Returns:
        The threshold of each attack that has one.

    Raises:
        ConfigError: If a threshold is neither 0 nor a number from 1 to 100, is given twice, or is for an
            attack that does not run.
    """
    named: dict[str, Threshold] = {}
    for item in (item for value in given for item in value.split(",")):
        name, separator, number = item.rpartition("=")
        name = name.strip()
        if separator and name not in attacks:
            raise ConfigError(
                f"--fail-under names {reprlib.repr(name)}, which is none of the attacks that run "
                f"({', '.join(attacks)}): add it to --attack, or leave it out."
            )
        threshold = Threshold.parse(number)
        if name in named:
            of = f"for {name}" if name else "for all attacks"
            raise ConfigError(f"--fail-under gives two thresholds {of}: leave one of them out.")
        named[name] = threshold
    for_all = named.pop("", None)
    return named if for_all is None else {name: named.get(name, for_all) for name in attacks}


def print_record(report: AttackReport | EvaluationReport | PredictionReport) -> None:
    """Print a record as JSON on standard output, with the content of its file; only the first process prints.

    All characters are ASCII, so the encoding of standard output does not matter.
    """
    if processes.is_first():
        typer.echo(json.dumps(dataclasses.asdict(report), indent=2, allow_nan=False))


def end_if_below(judged: Iterable[tuple[str, Accuracy, Threshold | None]]) -> None:
    """End the command with exit code 3 if an accuracy is below its threshold; else do nothing.

    Args:
        judged: For each accuracy, its title, the accuracy, and its threshold or None.

    Raises:
        typer.Exit: If an accuracy is below its threshold. The first process reports this in one sentence on
            standard error.
    """
    misses = [
        f"{title} is {100 * accuracy.value:.2f} ({accuracy.correct} of {accuracy.total}), below the "
        f"threshold of {threshold.told}"
        for title, accuracy, threshold in judged
        if threshold is not None and threshold.is_missed_by(accuracy)
    ]
    if not misses:
        return
    if processes.is_first():
        sys.stderr.write(f"--fail-under: {'; '.join(misses)}.\n")
    processes.wait()  # A launcher ends the other processes as soon as one has ended.
    raise typer.Exit(BELOW)
