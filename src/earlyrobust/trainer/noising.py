"""Text noise in a trainer: batches get noise, and the noise learns from the gradients of each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from earlyrobust.encoders import padding_side
from earlyrobust.errors import ConfigError
from earlyrobust.noise import take_texts

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from earlyrobust.noise import Occurrences, TextNoise

# The entry of a batch that holds its texts.
_TEXTS = "texts"


class TextCarrier:
    """A data collator that hands on the texts of examples beside the batch of another collator.

    Args:
        collator: The other collator, which does not get the texts.
    """

    def __init__(self, collator: Callable[[list[dict[str, Any]]], Any]) -> None:
        self._collator = collator

    def __call__(self, features: list[dict[str, Any]]) -> Any:
        """Make a batch; its entry `texts` holds a tuple of one text or two for each example."""
        texts, rest = zip(*map(take_texts, features), strict=True)
        batch = self._collator(list(rest))
        if texts[0]:
            batch[_TEXTS] = list(texts)
        return batch


def put_noise(
    inputs: dict[str, Any], noise: TextNoise, model: PreTrainedModel, *, epoch: int, progress: float
) -> tuple[dict[str, Any], Occurrences]:
    """Replace the tokens of a batch by those of its texts with noise.

    Args:
        inputs: A batch that a `TextCarrier` made.
        noise: The noise.
        model: The model, whose configuration decides on the side of the padding.
        epoch: Number of the epoch, from 0.
        progress: The point of the training, from 0 to 1.

    Returns:
        The batch without the texts, and the words that the noise can learn from.

    Raises:
        ConfigError: If the batch has no texts.
    """
    texts = inputs.get(_TEXTS)
    if texts is None:
        raise ConfigError(
            "Noise changes texts, but the batches hold none: keep the column 'text' (and 'pair') in "
            "train_dataset."
        )
    labels = _classes_of(inputs.get("labels"), len(texts), noise.classes)
    side = padding_side(model.config)
    tokens, found = noise.batch(texts, labels, epoch=epoch, progress=progress, side=side)
    return {**without_texts(inputs), **tokens}, found


def without_texts(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return a batch without the texts that a `TextCarrier` put into it."""
    return {name: inputs[name] for name in inputs if name != _TEXTS}


def _classes_of(labels: Any, examples: int, classes: int) -> list[int]:
    """Return the class of each example; 0 where a label is no class, as in a regression."""
    if not isinstance(labels, Tensor) or labels.is_floating_point() or labels.shape != (examples,):
        return [0] * examples
    return [label if 0 <= label < classes else 0 for label in labels.tolist()]


@contextmanager
def gradients_at(embedding: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the gradients at the output of an embedding layer while the context lasts.

    Yields:
        A list that gets one gradient for each backward pass, of shape (B, T, D).
    """
    gradients: list[Tensor] = []

    def watch(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        if torch.is_grad_enabled():
            if not output.requires_grad:  # the embeddings are frozen
                output.requires_grad_()
            output.register_hook(lambda gradient: gradients.append(gradient.detach()))  # type: ignore[no-untyped-call]

    handle = embedding.register_forward_hook(watch)
    try:
        yield gradients
    finally:
        handle.remove()
