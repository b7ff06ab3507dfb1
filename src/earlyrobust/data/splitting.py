"""Draws label-stratified random subsets of rows, with or without keeping equal texts together."""

from __future__ import annotations

from collections import Counter
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from earlyrobust.errors import DataError

IntArray: TypeAlias = npt.NDArray[np.int64]


def allocate(counts: IntArray, size: int) -> IntArray:
    """Divide `size` rows among classes in proportion to their counts, by largest remainder.

    Every class gets at least one row. A class that would get none takes a row from the largest share.

    Args:
        counts: Rows of each class, all positive, shape (classes,).
        size: Rows to divide, at least one per class and at most the sum of the counts.

    Returns:
        Rows of each class, summing to `size`, none above its count, shape (classes,).
    """
    # Integers make equal remainders equal, so that the result is the same on every machine.
    shares, remainders = np.divmod(counts * size, counts.sum())
    left = size - shares.sum()
    shares[np.argsort(-remainders, kind="stable")[:left]] += 1
    for empty in np.flatnonzero(shares == 0):
        shares[np.argmax(shares)] -= 1
        shares[empty] += 1
    return shares


def stratified_draw(labels: IntArray, size: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """Draw rows at random, and keep the proportions of the classes.

    Args:
        labels: Label of each row, shape (rows,).
        size: Number of rows to draw, at least one for each class that occurs.
        rng: Source of randomness.

    Returns:
        Indices of the drawn rows, shape (size,), and of the other rows, shape (rows - size,), both in random
        order.
    """
    classes, counts = np.unique(labels, return_counts=True)
    order = rng.permutation(len(labels))
    drawn = np.zeros(len(labels), dtype=bool)
    for label, share in zip(classes, allocate(counts, size), strict=True):
        drawn[np.flatnonzero(labels[order] == label)[:share]] = True
    return order[drawn], order[~drawn]


def grouped_draw(
    labels: IntArray, keys: npt.NDArray[np.uint64], size: int, rng: np.random.Generator, leave: int = 1
) -> tuple[IntArray, IntArray]:
    """Draw rows at random, all rows of a text or none, and nearly keep the proportions of the classes.

    The texts are offered in random order. A text is drawn if its rows bring the classes nearer to their
    shares. If no text is repeated, the result is that of `stratified_draw`.

    Args:
        labels: Label of each row, shape (rows,).
        keys: Equal numbers for rows of equal texts, shape (rows,).
        size: Number of rows to draw, at least one for each class that occurs. The result may have some more
            or fewer.
        rng: Source of randomness.
        leave: Fewest texts of each class that are not drawn.

    Returns:
        Indices of the drawn rows and of the other rows, both in random order. Every class is in both.

    Raises:
        DataError: Texts with several labels make such a draw impossible.
    """
    unique, texts, repeats = np.unique(keys, return_inverse=True, return_counts=True)
    if len(unique) == len(keys):
        return stratified_draw(labels, size, rng)
    _, classes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    order = rng.permutation(len(labels))
    draw = _Draw(texts, classes, repeats, allocate(counts, size), leave)
    offered = np.zeros(len(unique), dtype=bool)
    for text in texts[order]:
        if max(draw.due) <= 0:
            break
        if not offered[text]:
            offered[text] = True
            draw.offer(text)
    for label in np.flatnonzero(draw.undrawn == draw.texts_of_classes):
        # Every text of this class has too many rows to bring it nearer to its share. The smallest is drawn.
        candidates = np.unique(texts[classes == label])
        candidates = candidates[np.argsort(repeats[candidates], kind="stable")]
        if not any(draw.offer(text, always=True) for text in candidates):
            raise DataError(
                "The rows cannot be cut so that equal texts stay together and every class is on both sides: "
                "drop rows whose text has several labels."
            )
    drawn = draw.drawn[texts[order]]
    return order[drawn], order[~drawn]


class _Draw:
    """The texts drawn so far.

    Attributes:
        due: For each class, the number of rows still to draw; negative if too many are drawn.
        undrawn: For each class, the number of texts that are not drawn.
        texts_of_classes: For each class, the number of texts.
        drawn: For each text, whether it is drawn.
    """

    def __init__(
        self, texts: IntArray, classes: IntArray, repeats: IntArray, shares: IntArray, leave: int
    ) -> None:
        self._leave = leave
        self._classes_by_text = classes[np.argsort(texts, kind="stable")]
        self._ends = np.cumsum(repeats)
        self.due: list[int] = shares.tolist()
        self.drawn = np.zeros(len(repeats), dtype=bool)
        kinds = np.unique(texts * len(shares) + classes)
        self.texts_of_classes = np.bincount(kinds % len(shares), minlength=len(shares))
        self.undrawn = self.texts_of_classes.copy()

    def offer(self, text: int, *, always: bool = False) -> bool:
        """Draw a text if it brings the classes nearer to their shares, or `always` if enough texts are left.

        Returns:
            Whether the text is drawn now.
        """
        begin, end = self._ends[text - 1] if text else 0, self._ends[text]
        rows = Counter(self._classes_by_text[begin:end].tolist())
        nearer = sum(abs(self.due[label] - count) - abs(self.due[label]) for label, count in rows.items()) < 0
        if self.drawn[text] or not (nearer or always):
            return False
        if any(self.undrawn[label] <= self._leave for label in rows):
            return False
        self.drawn[text] = True
        for label, count in rows.items():
            self.due[label] -= count
            self.undrawn[label] -= 1
        return True
