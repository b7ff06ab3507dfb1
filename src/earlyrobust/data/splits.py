"""Drawing label-stratified random subsets of rows."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

IntArray: TypeAlias = npt.NDArray[np.int64]


def allocate(counts: IntArray, size: int) -> IntArray:
    """Divide `size` rows among classes in proportion to their counts, by largest remainder.

    No class goes empty: one that proportion would leave without a row takes it from the largest share.

    Args:
        counts: Rows of each class, all positive, shape (classes,).
        size: Rows to divide, at least one per class and at most the sum of the counts.

    Returns:
        Rows of each class, summing to `size`, none above its count, shape (classes,).
    """
    # In integers, so that equal remainders are equal and the result is the same on every machine.
    shares, remainders = np.divmod(counts * size, counts.sum())
    left = size - shares.sum()
    shares[np.argsort(-remainders, kind="stable")[:left]] += 1
    for empty in np.flatnonzero(shares == 0):
        shares[np.argmax(shares)] -= 1
        shares[empty] += 1
    return shares


def stratified_draw(labels: IntArray, size: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Draw rows at random with the class proportions kept.

    Args:
        labels: Label of each row, shape (rows,).
        size: Rows to draw, at least one per class that occurs.
        rng: Source of randomness.

    Returns:
        Indices of the rows drawn, shape (size,), and of the others, shape (rows - size,), both in random
        order.
    """
    classes, counts = np.unique(labels, return_counts=True)
    order = rng.permutation(len(labels))
    drawn = np.zeros(len(labels), dtype=bool)
    for label, share in zip(classes, allocate(counts, size), strict=True):
        drawn[np.flatnonzero(labels[order] == label)[:share]] = True
    return order[drawn], order[~drawn]
