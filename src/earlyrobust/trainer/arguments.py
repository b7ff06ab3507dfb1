"""Training arguments and tokenizers, adjusted to models that adversaries and searches train."""

from __future__ import annotations

import copy
import logging
from typing import Any

from transformers import PreTrainedTokenizerBase, TrainingArguments

from earlyrobust.encoders import padding_side

_LOG = logging.getLogger(__name__)


def on_one_device(args: TrainingArguments) -> TrainingArguments:
    """Copy training arguments so that a process uses one device, even if it sees several.

    If a single process sees several GPUs, Trainer copies the model to all of them for every pass, and
    multiplies the batch size by their number. Adversaries and coefficients put hooks on one model only.

    Args:
        args: The training arguments, which do not change.
    """
    several = args.n_gpu > 1
    args = copy.copy(args)
    if several:
        args._n_gpu = 1
    return args


def own_arguments(args: TrainingArguments) -> TrainingArguments:
    """Copy a user's training arguments as `on_one_device` does, and warn if the process sees several GPUs."""
    if args.n_gpu > 1:
        _LOG.warning(
            "This process trains on one of %d devices, with the batch size that was asked for: start the "
            "program with `torchrun --nproc-per-node %d` to use all.",
            *(args.n_gpu, args.n_gpu),
        )
    return on_one_device(args)


def own_tokenizer(tokenizer: Any, config: Any) -> Any:
    """Copy a tokenizer so that it pads on the side where a model's outputs stay as they are.

    Args:
        tokenizer: The tokenizer, which does not change. The function returns it if it already pads on this
            side, or is no tokenizer. Otherwise the function logs a warning, and returns a copy.
        config: The configuration of the model.
    """
    side = padding_side(config)
    if not isinstance(tokenizer, PreTrainedTokenizerBase) or tokenizer.padding_side == side:
        return tokenizer
    _LOG.warning("The tokenizer pads on the %s: batches are padded on the %s.", tokenizer.padding_side, side)
    tokenizer = copy.copy(tokenizer)
    tokenizer.padding_side = side
    return tokenizer
