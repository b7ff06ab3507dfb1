"""The order of examples, such that a resumed training goes on with the batches it would have had."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import LengthGroupedSampler


class ReplayableSampler(Sampler[int]):
    """Groups by length, with the batches in an order by chance that the seed and the epoch decide alone.

    The original draws its order from the global random generator, whose state at the start of an epoch is not
    known to a training that is resumed within that epoch: it would go on with other batches. And it takes up
    to fifty batches in a row from long to short, so that a training or a search that ends within an epoch
    would have seen long texts above all.

    Args:
        sampler: The original, for its lengths.
        batch_size: Examples of an optimiser step, over all processes.
        seed: Of the order.
    """

    def __init__(self, sampler: LengthGroupedSampler, batch_size: int, seed: int) -> None:
        self.batch_size = batch_size
        self.lengths = np.asarray(sampler.lengths[:], np.int32)  # as a list it would take ten times the room
        self._seed = seed
        self._epoch = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def set_epoch(self, epoch: int) -> None:
        """Make the next order that of an epoch."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + self._epoch)
        size = self.batch_size
        order = torch.randperm(len(self.lengths), generator=generator).numpy()
        # As the original does: by length within up to fifty batches, and the longest example first of all.
        group = size * max(1, min(len(order) // (size * 4), 50))
        firsts = range(0, len(order), group)
        for begin in firsts:
            part = order[begin : begin + group]
            part[:] = part[np.argsort(-self.lengths[part], kind="stable")]
        longest = max(firsts, key=lambda begin: int(self.lengths[order[begin]]), default=0)
        order[[0, longest]] = order[[longest, 0]]
        # The first batch stays: it holds the longest example, so that a lack of memory shows at once. An
        # incomplete one must be the last, or those after it would be cut elsewhere.
        end = max(len(order) // size, 1)
        count = -(-len(order) // size)
        places = torch.randperm(max(min(end, count) - 1, 0), generator=generator).numpy()
        for batch in (0, *(1 + places), *range(end, count)):
            yield from order[batch * size : (batch + 1) * size].tolist()
