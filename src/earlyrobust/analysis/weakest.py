"""Compares two arms by their weakest classes: the class with the lowest accuracy under each attack."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from earlyrobust.analysis.answers import DIFFERENT, WITHOUT_CLASSES, Answers
from earlyrobust.results.run import RunRecord
from earlyrobust.statistics.significance import bootstrap_counts, bootstrap_ends


def weakest_class(run: RunRecord, attacks: Sequence[str]) -> float | None:
    """Return the accuracy under attack on the weakest class, in percent, as the mean over attacks.

    Each attack has a weakest class of its own.

    Args:
        run: The run.
        attacks: All attacks of the comparison.

    Returns:
        The mean; None if the run lacks an attack, or if a record of an older version has no results by class.
    """
    found = [run.model.attacks[attack].weakest for attack in attacks if attack in run.model.attacks]
    known = [one.under_attack.value for one in found if one is not None]
    return 100 * statistics.fmean(known) if known and len(known) == len(attacks) else None


def bootstrap_weakest(
    mine: Mapping[int, Sequence[Answers | str]], theirs: Mapping[int, Sequence[Answers | str]]
) -> tuple[float, float, float] | str:
    """Return the interval and the p of the difference between the weakest classes of two arms.

    Each resample draws distinct examples with replacement, and finds the weakest class of each arm, seed and
    attack anew.

    Args:
        mine: For each seed, the answers of the first arm under each attack.
        theirs: The answers of the second arm, under the same seeds and attacks.

    Returns:
        Both ends of the 95 % percentile interval of the first arm minus the second, in percent, and the
        two-sided p of the bootstrap; or the reason why the answers cannot be compared.
    """
    arms: list[list[Answers]] = [[], []]
    numbers: dict[str, int] = {}
    for seed in mine:
        drawn = set()
        for arm, found in zip(arms, (mine[seed], theirs[seed]), strict=True):
            for answers in found:
                if isinstance(answers, str):
                    return answers
                if answers.labels is None:
                    return WITHOUT_CLASSES
                drawn.add(answers.examples)
                arm.append(answers)
        if len(drawn) > 1:
            return DIFFERENT
        for examples in drawn:
            for _, digest in examples:
                numbers.setdefault(digest, len(numbers))
    first, second = (_weakest_of(arm, numbers) for arm in arms)
    return bootstrap_ends(100 * (first - second))


def _weakest_of(arm: Sequence[Answers], numbers: Mapping[str, int]) -> NDArray[np.float64]:
    """Return the mean accuracy on the weakest class in each resample, shape (resamples,).

    Args:
        arm: The answers under each seed and attack, which have labels.
        numbers: Number of each distinct example, by its digest.
    """
    counts = bootstrap_counts(len(numbers)).astype(np.float32)
    weakest = []
    for answers in arm:
        labels = np.zeros(0) if answers.labels is None else answers.labels
        places = np.array([numbers[digest] for _, digest in answers.examples])
        known = np.unique(labels)
        # Two columns for each class: the examples of the class, and those that the classifier withstands.
        columns = np.zeros((len(numbers), 2 * len(known)), np.float32)
        for place, label in enumerate(known):
            # Copies of a text have one place, and each copy counts.
            np.add.at(columns[:, 2 * place], places, labels == label)
            np.add.at(columns[:, 2 * place + 1], places, (labels == label) & answers.robust)
        sums = (counts @ columns).astype(np.float64)
        total, right = sums[:, ::2], sums[:, 1::2]
        # A resample without an example of the class does not count the class.
        shares = np.divide(right, total, out=np.full(total.shape, np.inf), where=total > 0)
        weakest.append(shares.min(axis=1))
    mean: NDArray[np.float64] = np.mean(weakest, axis=0)
    return mean
