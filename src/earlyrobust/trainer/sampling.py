"""The order of examples, such that a resumed training goes on with the batches it would have had."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from transformers.trainer_pt_utils import LengthGroupedSampler


class ReplayableSampler(LengthGroupedSampler):  # type: ignore[misc]
    """Groups by length in an order that the seed and the epoch decide alone.

    The original draws it from the global random generator, whose state at the start of an epoch is not known
    to a training that is resumed within that epoch: it would go on with other batches.
    """

    def __init__(self, sampler: LengthGroupedSampler, seed: int) -> None:
        super().__init__(sampler.batch_size, lengths=sampler.lengths)
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Make the next order that of an epoch."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        self.generator = torch.Generator().manual_seed(self._seed + self._epoch)
        order: Iterator[int] = super().__iter__()
        return order
