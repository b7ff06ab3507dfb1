"""The order of examples, such that a resumed training goes on with the batches it would have had."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import torch
from transformers.trainer_pt_utils import LengthGroupedSampler


class ReplayableSampler(LengthGroupedSampler):  # type: ignore[misc]
    """Groups by length, with the batches in an order by chance that the seed and the epoch decide alone.

    The original draws its order from the global random generator, whose state at the start of an epoch is not
    known to a training that is resumed within that epoch: it would go on with other batches. And it takes up
    to fifty batches in a row from long to short, so that a training or a search that ends within an epoch
    would have seen long texts above all.

    Args:
        sampler: The original.
        batch_size: Examples of an optimiser step, over all processes.
        seed: Of the order.
    """

    def __init__(self, sampler: LengthGroupedSampler, batch_size: int, seed: int) -> None:
        super().__init__(batch_size, lengths=sampler.lengths)
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Make the next order that of an epoch."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        self.generator = torch.Generator().manual_seed(self._seed + self._epoch)
        order = list(super().__iter__())
        size = self.batch_size
        batches = [order[begin : begin + size] for begin in range(0, len(order), size)]
        # The first batch stays: it holds the longest example, so that a lack of memory shows at once. An
        # incomplete one must be the last, or those after it would be cut elsewhere.
        end = max(len(order) // size, 1)
        places = torch.randperm(len(batches[1:end]), generator=self.generator).tolist()
        shuffled = [batches[1 + place] for place in places]
        return chain.from_iterable([*batches[:1], *shuffled, *batches[end:]])
