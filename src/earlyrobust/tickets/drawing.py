"""Drawing masks from importance coefficients, and the distance of two masks."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from earlyrobust.errors import ConfigError, TicketError
from earlyrobust.tickets.scopes import Scope

Mask = NDArray[np.bool_]
Scores = NDArray[np.float32]


def draw_mask(scores: Scores, ratio: float, scope: Scope = "global", multiple: int = 1) -> Mask:
    """Draw a mask: cut the entries with the smallest absolute importance, as the paper draws its tickets.

    Exactly `round(ratio * scores.size)` entries are cut. Entries that tie are cut in the order of
    (layer, index). Every layer keeps its best entry; where that saves one, the next-worst goes instead.

    Args:
        scores: Importance coefficients, shape (layers, entries per layer).
        ratio: Share of all entries to cut, 0 <= ratio < 1.
        scope: Rank all layers together ("global"), or cut the same share of every layer ("layerwise").
        multiple: Every layer keeps a multiple of so many entries, as near to the number that it would keep
            as the multiples allow. The number of entries that are cut in all is then within half a multiple.
            It counts only if the entries of a layer are such a multiple, and more than one.

    Returns:
        The mask, same shape, True where an entry stays.

    Raises:
        ConfigError: If the ratio leaves some layer without any entry.
        TicketError: If the scores give no ranking: all equal, or not finite.
    """
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
        # Rounding the running total, not each layer, makes the layers add up to exactly `cut`.
        bounds = [cut * layer // layers for layer in range(layers + 1)]
        for layer in range(layers):
            mask[layer, _worst(magnitude[layer : layer + 1], bounds[layer + 1] - bounds[layer])] = False
    if multiple > 1 and width % multiple == 0 and width > multiple:
        return _in_multiples(mask, magnitude, multiple)
    return mask


def _in_multiples(mask: Mask, magnitude: Scores, multiple: int) -> Mask:
    """Keep a multiple of so many entries in every layer: the best ones of each."""
    layers, width = mask.shape
    kept = mask.sum(axis=1) / multiple
    blocks = np.maximum(np.floor(kept), 1).astype(int)
    total = max(layers, round(kept.sum()))
    # The layers with the largest remainders are rounded up, the others down, until the blocks add up. Layers
    # that were given their only block may make that one too many.
    for layer in np.argsort(blocks - kept, kind="stable"):
        if blocks.sum() < total and blocks[layer] < width // multiple:
            blocks[layer] += 1
    rounded = np.zeros_like(mask)
    for layer, count in enumerate(blocks):
        best = np.argsort(-magnitude[layer], kind="stable")[: count * multiple]
        rounded[layer, best] = True
    return rounded


def draw_at_random(shape: tuple[int, int], ratio: float, scope: Scope, seed: int, multiple: int = 1) -> Mask:
    """Draw a mask by chance: the comparison that any search must win.

    Args:
        shape: Layers, and entries per layer.
        ratio: As for `draw`.
        scope: As for `draw`; either way every layer keeps an entry.
        seed: Of the draw.
        multiple: As for `draw_mask`.

    Raises:
        ConfigError: If the ratio leaves some layer without any entry.
    """
    return draw_mask(np.random.default_rng(seed).random(shape, np.float32), ratio, scope, multiple)


def _worst(magnitude: Scores, count: int) -> NDArray[np.intp]:
    """Flat indices of the `count` smallest entries, leaving out the best one of every layer."""
    width = magnitude.shape[1]
    # A stable sort ranks ties by (layer, index), so of a layer's equal best entries the last one is kept.
    best = width - 1 - np.argmax(magnitude[:, ::-1], axis=1)
    protected = best + width * np.arange(len(magnitude))
    order = np.argsort(magnitude, axis=None, kind="stable")
    return order[~np.isin(order, protected)][:count]


def entries_to_cut(ratio: float, layers: int, width: int) -> int:
    """How many entries a ratio cuts, if every one of the layers can keep one.

    Args:
        ratio: Share of all entries to cut.
        layers: Number of layers.
        width: Heads or neurons of each layer.

    Raises:
        ConfigError: If the ratio is not in [0, 1), or leaves some layer without any entry.
    """
    total = layers * width
    if not 0 <= ratio < 1:
        raise ConfigError(f"A ratio of {ratio:g} cannot be cut: choose one of at least 0 and below 1.")
    cut = round(ratio * total)
    if cut > total - layers:
        raise ConfigError(
            f"A ratio of {ratio:g} would cut {cut} of {total} entries, but each of the {layers} layers keeps "
            f"one: choose a ratio of at most {math.floor(1000 * (total - layers) / total) / 1000:g}."
        )
    return cut


def is_undecided(scores: Scores) -> bool:
    """Whether all magnitudes are equal, as at the start of a search, so that they rank nothing yet."""
    return bool(np.ptp(np.abs(scores)) == 0)


def mask_distance(first: Mask, second: Mask) -> float:
    """Normalised Hamming distance of two masks, the paper's convergence metric: differing entries / entries.

    Raises:
        TicketError: If the masks have different shapes.
    """
    if first.shape != second.shape:
        raise TicketError(f"Masks of shapes {first.shape} and {second.shape} cannot be compared.")
    return float(np.mean(first != second))
