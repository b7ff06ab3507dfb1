"""Functions that draw masks from importance coefficients, and measure the distance between two masks."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from earlyrobust.errors import ConfigError, TicketError
from earlyrobust.tickets.scopes import Scope

Mask = NDArray[np.bool_]
Scores = NDArray[np.float32]


def draw_mask(scores: Scores, ratio: float, scope: Scope = "global", multiple: int = 1) -> Mask:
    """Draw a mask that cuts the entries with the smallest absolute importance, as the paper draws tickets.

    Exactly `round(ratio * scores.size)` entries are cut. Entries that tie are cut in the order of (layer,
    index). Every layer keeps its best entry; if this saves an entry, the next-worst entry is cut instead.

    Args:
        scores: Importance coefficients, shape (layers, entries per layer).
        ratio: Share of all entries to cut, 0 <= ratio < 1.
        scope: "global" to rank all layers together, "layerwise" to cut the same share of every layer.
        multiple: Every layer keeps a multiple of this number of entries, as near as possible to the number
            that it would keep otherwise. The total number of kept entries is the multiple nearest to that
            without this rounding, but at least one multiple for each layer. The argument has no effect unless
            the number of entries of a layer is a multiple of this number and larger than it.

    Returns:
        The mask, same shape, True where an entry stays.

    Raises:
        ConfigError: If the ratio leaves some layer without any entry, or the scope is unknown.
        TicketError: If the scores give no ranking: all equal, or not finite.
    """
    if scope not in get_args(Scope):
        raise ConfigError(f"The scope is '{scope}', but must be one of {', '.join(get_args(Scope))}.")
    layers, width = scores.shape
    cut = entries_to_cut(ratio, layers, width)
    if not np.isfinite(scores).all():
        raise TicketError(
            "The importance coefficients are not finite: lower the learning rate of the search."
        )
    if cut and is_undecided(scores):
        raise TicketError(
            "The importance coefficients are all equal, so they rank nothing: search for more steps."
        )
    magnitude = np.abs(scores)
    mask = np.ones(scores.shape, dtype=np.bool_)
    if scope == "global":
        mask.flat[_worst(magnitude, cut)] = False
    else:
        # The running total is rounded, not the number of each layer, so that the layers add up to exactly
        # `cut`.
        bounds = [cut * layer // layers for layer in range(layers + 1)]
        for layer in range(layers):
            mask[layer, _worst(magnitude[layer : layer + 1], bounds[layer + 1] - bounds[layer])] = False
    if multiple > 1 and width % multiple == 0 and width > multiple:
        return _in_multiples(mask, magnitude, multiple)
    return mask


def _in_multiples(mask: Mask, magnitude: Scores, multiple: int) -> Mask:
    """Change a mask so that every layer keeps a multiple of a number of entries, its best ones."""
    layers, width = mask.shape
    kept = mask.sum(axis=1) / multiple
    blocks = np.maximum(np.floor(kept), 1).astype(int)
    total = max(layers, round(kept.sum()))
    # The layers with the largest remainders are rounded up and the others down, so that the blocks add up to
    # `total`. Layers that got their only block by the minimum of one may raise the sum above it: then layers
    # with more blocks give some away.
    for layer in np.argsort(blocks - kept, kind="stable"):
        if blocks.sum() < total and blocks[layer] < width // multiple:
            blocks[layer] += 1
    while blocks.sum() > total:
        blocks[np.argmax(np.where(blocks > 1, blocks - kept, -np.inf))] -= 1
    rounded = np.zeros_like(mask)
    for layer, count in enumerate(blocks):
        best = np.argsort(-magnitude[layer], kind="stable")[: count * multiple]
        rounded[layer, best] = True
    return rounded


def draw_at_random(shape: tuple[int, int], ratio: float, scope: Scope, seed: int, multiple: int = 1) -> Mask:
    """Draw a mask at random, as a baseline for searches.

    Args:
        shape: Number of layers, and of entries per layer.
        ratio: Share of all entries to cut, 0 <= ratio < 1.
        scope: "global" to draw from all layers together, "layerwise" to cut the same share of every layer.
            Every layer keeps at least one entry.
        seed: Seed of the random numbers.
        multiple: Every layer keeps a multiple of this number of entries, see `draw_mask`.

    Returns:
        The mask, True where an entry stays.

    Raises:
        ConfigError: If the ratio leaves some layer without any entry.
    """
    return draw_mask(np.random.default_rng(seed).random(shape, np.float32), ratio, scope, multiple)


def _worst(magnitude: Scores, count: int) -> NDArray[np.intp]:
    """Return the flat indices of the `count` smallest entries, without the best entry of every layer."""
    width = magnitude.shape[1]
    # A stable sort cuts ties in the order of (layer, index), so the last of a layer's equal best entries is
    # kept.
    best = width - 1 - np.argmax(magnitude[:, ::-1], axis=1)
    protected = best + width * np.arange(len(magnitude))
    order = np.argsort(magnitude, axis=None, kind="stable")
    return order[~np.isin(order, protected)][:count]


def check_ratio(ratio: object) -> None:
    """Refuse a ratio of entries to cut that is no number of at least 0 and below 1.

    Raises:
        ConfigError: If it is none.
    """
    if isinstance(ratio, bool) or not isinstance(ratio, int | float | np.number):
        raise ConfigError(f"The ratio is {ratio!r}: choose a number of at least 0 and below 1.")
    if not 0 <= ratio < 1:
        raise ConfigError(f"A ratio of {ratio:g} cannot be cut: choose one of at least 0 and below 1.")


def entries_to_cut(ratio: float, layers: int, width: int) -> int:
    """Return how many entries a ratio cuts, if every layer can keep one.

    Args:
        ratio: Share of all entries to cut.
        layers: Number of layers.
        width: Heads or neurons of each layer.

    Raises:
        ConfigError: If the ratio is no number in [0, 1), or leaves some layer without any entry.
    """
    total = layers * width
    check_ratio(ratio)
    cut = round(ratio * total)
    if cut > total - layers:
        raise ConfigError(
            f"A ratio of {ratio:g} would cut {cut} of {total} entries, but each of the {layers} layers keeps "
            f"one: choose a ratio of at most {math.floor(1000 * (total - layers) / total) / 1000:g}."
        )
    return cut


def is_undecided(scores: Scores) -> bool:
    """Return whether all magnitudes are equal, as at the start of a search, so that they give no ranking."""
    return bool(np.ptp(np.abs(scores)) == 0)


def check_is_array(name: str, value: object, *, or_none: bool = False) -> None:
    """Refuse masks and coefficients that are no NumPy arrays, such as lists or tensors.

    Args:
        name: The name of the value, for the message.
        value: The value.
        or_none: Whether it may be None.

    Raises:
        TicketError: If it is no array.
    """
    if not isinstance(value, np.ndarray) and not (or_none and value is None):
        raise TicketError(
            f"The {name} of a ticket are a {type(value).__name__}, but must be a NumPy array: wrap them in "
            "numpy.array(...)."
        )


def mask_distance(first: Mask, second: Mask) -> float:
    """Return the normalised Hamming distance of two masks: differing entries / entries.

    It is the paper's convergence metric.

    Raises:
        TicketError: If the masks have different shapes.
    """
    if first.shape != second.shape:
        raise TicketError(f"Masks of shapes {first.shape} and {second.shape} cannot be compared.")
    return float(np.mean(first != second))
