"""Text noise in a trainer: batches get noise, and the noise learns from the gradients of each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from earlyrobust.adversarial.perturbation import SameTokens
from earlyrobust.encoders import padding_side
from earlyrobust.errors import ConfigError, ModelError
from earlyrobust.noise import take_texts
from earlyrobust.noise.collator import NO_TEXTS
from earlyrobust.trainer.batches import IGNORED, valid_tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from earlyrobust.noise import Aim, NoisyBatch, TextNoise

# The key of a batch that holds its texts.
_TEXTS = "texts"


class TextCarrier:
    """A data collator that adds the texts of the examples to the batch of another collator.

    Args:
        collator: The other collator. It receives the examples without their texts.
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


class TextsOfBatch:
    """Makes the tokens of one batch from its texts, with noise.

    Args:
        inputs: A batch that a `TextCarrier` made.
        noise: The noise.
        model: The model, whose configuration decides the side of the padding.
        epoch: Number of the epoch, from 0.

    Raises:
        ConfigError: If the batch has no texts, or its tokens are not those of its texts.
    """

    def __init__(self, inputs: dict[str, Any], noise: TextNoise, model: PreTrainedModel, epoch: int) -> None:
        texts = inputs.get(_TEXTS)
        if texts is None:
            raise ConfigError(NO_TEXTS)
        self._inputs = without_texts(inputs)
        self._texts = texts
        mask = valid_tokens(self._inputs, getattr(model.config, "pad_token_id", None)) > 0
        noise.reading.check(
            texts, [row[kept].tolist() for row, kept in zip(inputs["input_ids"], mask, strict=True)]
        )
        self._labels = _classes_of(inputs.get("labels"), len(texts))
        self._noise = noise
        self._epoch = epoch
        self._side = padding_side(model.config)

    def draft(self) -> tuple[dict[str, Any], NoisyBatch]:
        """Return the batch with misspellings only, as inputs of the model and as a `NoisyBatch`."""
        return self._with(None, exchanges=False)

    def final(self, aims: Sequence[Aim] | None) -> tuple[dict[str, Any], NoisyBatch]:
        """Return the batch with all its noise, as inputs of the model and as a `NoisyBatch`.

        Args:
            aims: The neighbours that exchanges prefer, for each text; None for those that the noise prefers.
        """
        return self._with(aims, exchanges=True)

    def _with(self, aims: Sequence[Aim] | None, *, exchanges: bool) -> tuple[dict[str, Any], NoisyBatch]:
        made = self._noise.batch(
            self._texts, self._labels, epoch=self._epoch, side=self._side, aims=aims, exchanges=exchanges
        )
        return {**self._inputs, **made.tokens}, made


def without_texts(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return a batch without the texts that a `TextCarrier` added to it."""
    return {name: inputs[name] for name in inputs if name != _TEXTS}


def _classes_of(labels: Any, examples: int) -> list[int | None]:
    """Return the class of each example.

    It is None for an example that the loss ignores. It is 0 for all examples if labels are no classes, as in
    a regression.
    """
    if not _are_classes(labels) or labels.shape != (examples,):
        return [0] * examples
    return [None if label == IGNORED else label for label in labels.tolist()]


def _are_classes(labels: Any) -> bool:
    return isinstance(labels, Tensor) and not labels.is_floating_point()


def count_of_losses(inputs: dict[str, Any]) -> int:
    """Return the number of examples of a batch over which its mean loss is taken."""
    labels = inputs.get("labels")
    if _are_classes(labels):
        return int((labels != IGNORED).sum())  # type: ignore[union-attr]
    return len(inputs["input_ids"])


@torch.no_grad()
def vectors_of(embedding: nn.Module) -> Tensor:
    """Return the vector that an embedding layer puts out for each token, shape (tokens, D).

    Some layers scale their weights, so their vectors are not the weights. Hooks of the layer, which may add
    noise, are left out.
    """
    weight: Tensor = embedding.weight  # type: ignore[assignment]
    if type(embedding) is nn.Embedding:
        return weight
    vectors: Tensor = embedding.forward(torch.arange(len(weight), device=weight.device))
    return vectors


@contextmanager
def gradients_at(embedding: nn.Module, *, wanted: bool = True) -> Iterator[list[Tensor]]:
    """Collect the gradients at the output of an embedding layer while the context lasts.

    Args:
        embedding: The layer.
        wanted: Whether to collect them; otherwise the list stays empty.

    Yields:
        A list to which each backward pass adds one gradient, of shape (B, T, D).

    Raises:
        ModelError: If they are wanted, but no pass computes the layer, or the passes compute it for different
            tokens.
    """
    gradients: list[Tensor] = []
    computed = False
    calls = SameTokens()

    def watch(_module: nn.Module, inputs: Any, output: Tensor) -> None:
        nonlocal computed
        if wanted and torch.is_grad_enabled():
            calls.check(inputs)
            computed = True
            if not output.requires_grad:  # the embeddings are frozen
                output.requires_grad_()
            output.register_hook(lambda gradient: gradients.append(gradient.detach()))  # type: ignore[no-untyped-call]

    handle = embedding.register_forward_hook(watch)
    try:
        yield gradients
    finally:
        handle.remove()
    if wanted and not computed:
        raise ModelError(
            "This model does not pass its tokens through get_input_embeddings(), so the noise cannot learn "
            "from their gradients: choose another model, or noise with the choice 'random'."
        )


@contextmanager
def logits_of(model: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the logits of a model's training passes while the context lasts.

    Yields:
        A list to which each such pass adds one tensor of shape (B, C).
    """
    found: list[Tensor] = []

    def watch(_module: nn.Module, _inputs: Any, outputs: Any) -> None:
        logits = getattr(outputs, "logits", None)
        if torch.is_grad_enabled() and isinstance(logits, Tensor):
            found.append(logits.detach())

    handle = model.register_forward_hook(watch)
    try:
        yield found
    finally:
        handle.remove()


def losses_of(logits: Tensor, labels: Any) -> NDArray[np.float64] | None:
    """Compute the cross-entropy of each text; None if the labels are no classes, one for each text.

    Args:
        logits: The logits, shape (B, C).
        labels: The classes, shape (B,).

    Returns:
        The losses, shape (B,); NaN for a text that the loss ignores.
    """
    if not _are_classes(labels) or logits.shape[:-1] != labels.shape:
        return None
    labels = labels.to(logits.device)
    losses = nn.functional.cross_entropy(logits.float(), labels, reduction="none", ignore_index=IGNORED)
    losses = losses.masked_fill(labels == IGNORED, torch.nan)
    values: NDArray[np.float64] = losses.double().cpu().numpy()
    return values
