"""An order of examples that a resumed training continues exactly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import LengthGroupedSampler


class ReplayableSampler(Sampler[int]):
    """Groups examples by length; only the seed and the epoch decide the random order of the batches.

    Trainer's sampler draws its order from the global random generator. A training that is resumed within an
    epoch does not know the state of this generator at the start of the epoch, so it would continue with other
    batches. Trainer's sampler also sorts up to fifty batches in a row from long to short texts. A training or
    a search that ends within an epoch would see mostly long texts.

    Args:
        sampler: Trainer's sampler, for its lengths.
        batch_size: Examples of an optimiser step, over all processes.
        seed: Seed of the order.
    """

    def __init__(self, sampler: LengthGroupedSampler, batch_size: int, seed: int) -> None:
        self.batch_size = batch_size
        self.lengths = np.asarray(sampler.lengths[:], np.int32)  # a list would need ten times the memory
        self._seed = seed
        self._epoch = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next order."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed + self._epoch)
        size = self.batch_size
        order = torch.randperm(len(self.lengths), generator=generator).numpy()
        # Trainer's sampler also sorts by length within up to fifty batches, and puts the longest example
        # first.
        group = size * max(1, min(len(order) // (size * 4), 50))
        firsts = range(0, len(order), group)
        for begin in firsts:
            part = order[begin : begin + group]
            part[:] = part[np.argsort(-self.lengths[part], kind="stable")]
        longest = max(firsts, key=lambda begin: int(self.lengths[order[begin]]), default=0)
        order[[0, longest]] = order[[longest, 0]]
        # The first batch stays first: it holds the longest example, so that a lack of memory shows at once.
        # An incomplete batch must be the last, or the examples of all batches after it would shift.
        end = max(len(order) // size, 1)
        count = -(-len(order) // size)
        places = torch.randperm(max(min(end, count) - 1, 0), generator=generator).numpy()
        for batch in (0, *(1 + places), *range(end, count)):
            yield from order[batch * size : (batch + 1) * size].tolist()
