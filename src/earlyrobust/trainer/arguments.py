"""Training arguments as they fit classifiers that adversaries train: one device for each process."""

from __future__ import annotations

import copy
import logging

from transformers import TrainingArguments

_LOG = logging.getLogger(__name__)


def own_arguments(args: TrainingArguments) -> TrainingArguments:
    """Training arguments for one device for each process.

    Where a lone process sees several GPUs, Trainer copies the model to all of them for every pass, and
    multiplies the batch size by their number. Adversaries and coefficients hook into the one model.

    Args:
        args: The user's, left as they are.

    Returns:
        A copy.
    """
    count = args.n_gpu
    args = copy.copy(args)
    if count > 1:
        _LOG.warning(
            "This process trains on one of %d devices, with the batch size that was asked for: start the "
            "program with `torchrun --nproc-per-node %d` to use all.",
            *(count, count),
        )
        args._n_gpu = 1
    return args
