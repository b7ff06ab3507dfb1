"""Arguments of a trainer as they fit models that adversaries and searches train."""

from __future__ import annotations

import copy
import logging
from typing import Any

from transformers import PreTrainedTokenizerBase, TrainingArguments

from earlyrobust.encoders import padding_side

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


def own_tokenizer(tokenizer: Any, config: Any) -> Any:
    """Copy a tokenizer such that it pads where a model's answers stay as they are, and say so if it did not.

    Args:
        tokenizer: Left as it is. What is no tokenizer, or pads where it should, is returned itself.
        config: The configuration of the model.
    """
    side = padding_side(config)
    if not isinstance(tokenizer, PreTrainedTokenizerBase) or tokenizer.padding_side == side:
        return tokenizer
    _LOG.warning("The tokenizer pads on the %s: batches are padded on the %s.", tokenizer.padding_side, side)
    tokenizer = copy.copy(tokenizer)
    tokenizer.padding_side = side
    return tokenizer
