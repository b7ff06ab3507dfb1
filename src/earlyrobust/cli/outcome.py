"""How a command ends for a program that called it: a record to read, and an exit code that judges it.

Exit code 3 says that an accuracy is below the threshold of `--fail-under`.
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
    from earlyrobust.results import Accuracy, AttackReport, EvaluationReport

BELOW = 3

AsJson = Annotated[
    bool,
    typer.Option(
        "--json", help="Print the record as JSON on standard output, and all else on standard error."
    ),
]


@dataclass(frozen=True)
class Threshold:
    """The smallest accuracy that is good enough.

    Attributes:
        told: The threshold in percent, as it was given.
        share: The same as a share of 1.
    """

    told: str
    share: Fraction

    @classmethod
    def parse(cls, text: str) -> Threshold:
        """Read a threshold in percent.

        Raises:
            ConfigError: If it is no number from 0 to 100.
        """
        told = text.strip()
        try:
            number = Decimal(told)
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite() or not 0 <= number <= 100:
            raise ConfigError(
                f"--fail-under is {reprlib.repr(text)}, but a threshold must be a number from 0 to 100, the "
                "percentage."
            )
        return cls(told, Fraction(number) / 100)

    def is_above(self, accuracy: Accuracy) -> bool:
        """Whether an accuracy is below the threshold, by exact arithmetic: one that is equal is not."""
        return Fraction(accuracy.correct, accuracy.total) < self.share


def parse_thresholds(given: Iterable[str], attacks: Sequence[str]) -> dict[str, Threshold]:
    """Read the thresholds of attacks.

    Args:
        given: Values of `--fail-under`, each one threshold or several, separated by commas: `attack=percent`
            for one attack, or `percent` for all that have none of their own.
        attacks: Names of the attacks that run.

    Returns:
        The threshold of each attack that has one.

    Raises:
        ConfigError: If a threshold is no number from 0 to 100, is given twice, or is that of an attack that
            does not run.
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


def print_record(report: AttackReport | EvaluationReport) -> None:
    """Print a record on standard output as JSON, with the content of its file; the first process alone does.

    All characters are ASCII, so that it does not matter which encoding standard output has.
    """
    if processes.is_first():
        typer.echo(json.dumps(dataclasses.asdict(report), indent=2, allow_nan=False))


def end_if_below(judged: Iterable[tuple[str, Accuracy, Threshold | None]]) -> None:
    """End the command with exit code 3 if an accuracy is below its threshold; else do nothing.

    Args:
        judged: What each accuracy is called, the accuracy, and its threshold; None if it has none.

    Raises:
        typer.Exit: If one is below; the first process says so in one sentence on standard error.
    """
    misses = [
        f"{title} is {100 * accuracy.value:.2f} ({accuracy.correct} of {accuracy.total}), the threshold is "
        f"{threshold.told}"
        for title, accuracy, threshold in judged
        if threshold is not None and threshold.is_above(accuracy)
    ]
    if not misses:
        return
    if processes.is_first():
        sys.stderr.write(f"Below --fail-under: {'; '.join(misses)}.\n")
    processes.wait()  # A launcher ends the other processes as soon as one has ended.
    raise typer.Exit(BELOW)
