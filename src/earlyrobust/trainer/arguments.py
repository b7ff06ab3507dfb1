"""Training arguments as they fit models that adversaries and searches train: one device for each process."""

from __future__ import annotations

import copy
import logging

from transformers import TrainingArguments

_LOG = logging.getLogger(__name__)


def on_one_device(args: TrainingArguments) -> TrainingArguments:
    """Copy training arguments, such that a process uses one device, whatever number it sees.

    Where a lone process sees several GPUs, Trainer copies the model to all of them for every pass, and
    multiplies the batch size by their number. Adversaries and coefficients hook into the one model.

    Args:
        args: Left as they are.
    """
    several = args.n_gpu > 1
    args = copy.copy(args)
    if several:
        args._n_gpu = 1
    return args


def own_arguments(args: TrainingArguments) -> TrainingArguments:
    """Copy a user's training arguments as `on_one_device` does, and say so where it makes a difference."""
    if args.n_gpu > 1:
        _LOG.warning(
            "This process trains on one of %d devices, with the batch size that was asked for: start the "
            "program with `torchrun --nproc-per-node %d` to use all.",
            *(args.n_gpu, args.n_gpu),
        )
    return on_one_device(args)
