"""The base class of all adversaries, their settings, and the passes that they ask of a trainer."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, final, get_type_hints

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from earlyrobust.adversarial.perturbation import Perturbation
from earlyrobust.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# What is minimised instead of the task's loss, given that loss and the outputs of the model.
Objective = Callable[[Tensor, Any], Tensor]

# Of a pass, the forward half takes one part of three, and so do the gradients of activations and of weights;
# an ascent does without the last, and the gradient of a loss that is there already takes one part.
ASCENT = 2 / 3
GRADIENT = 1 / 3

# How messages call what a setting must be; what is not here is called as it is written.
_CALLED = {"bool": "True or False", "int": "a whole number", "float": "a number", "str": "text"}


@dataclass(frozen=True, kw_only=True)
class AdversaryConfig:
    """Base of the adversaries' settings; each one checks its own on construction."""

    def __post_init__(self) -> None:
        # Typed loosely: a checker takes the class of a data class for one that cannot be a key.
        config: Any = type(self)
        for name, (kind, called) in _kinds_of(config).items():
            value = getattr(self, name)
            try:
                kind.validate_python(value, strict=True)
            except ValidationError:
                self._require(False, f"{name} is {value!r}, but must be {called}")

    def to_dict(self) -> dict[str, Any]:
        """The settings as JSON types."""
        return asdict(self)

    def _require(self, condition: bool, message: str) -> None:
        if not condition:
            raise ConfigError(f"{type(self).__name__}: {message}.")

    def _require_at_least(self, least: float, *names: str) -> None:
        """Check that settings are numbers of at least so much."""
        for name in names:
            value = getattr(self, name)
            self._require(
                least <= value < math.inf, f"{name} is {value}, but must be a number of at least {least}"
            )


@cache
def _kinds_of(config: Any) -> dict[str, tuple[TypeAdapter[Any], str]]:
    """Return the type that each setting must have, by its annotation, and its name in messages."""
    annotations = get_type_hints(config)
    return {
        field.name: (
            TypeAdapter(annotations[field.name]),
            " or ".join(_CALLED.get(part, part) for part in str(field.type).split(" | ")),
        )
        for field in fields(config)
    }


@dataclass(frozen=True, kw_only=True)
class AscentConfig(AdversaryConfig):
    """Settings of a δ that starts at random and ascends.

    Attributes:
        step_size: Length of one normalised ascent (0.01: the early-bird paper's release for IMDB).
        initial_magnitude: ε₀ of the uniform start (0.05: the same).
        bound: Radius of the ball that δ stays in, 0 for none (0: the same).
    """

    step_size: float = 0.01
    initial_magnitude: float = 0.05
    bound: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(0, "step_size", "initial_magnitude", "bound")


class WordNeighbours(Protocol):
    """Neighbours of words.

    Attributes:
        name: The name of their source.
    """

    name: str

    def nearest(self, word: str, count: int) -> list[str]:
        """Return at most so many neighbours of a word, nearest first."""


class Lexical(Protocol):
    """What an adversary may ask for beside the model: see `Adversary.prepare`."""

    @property
    def neighbours(self) -> WordNeighbours:
        """Neighbours of words."""


class Passes(ABC):
    """What a trainer lets an adversary do with one batch. The model is in training mode throughout.

    Attributes:
        memory: What the adversary left there when it last saw the batch, empty when that is now. Only of use
            to an adversary that sees a batch several times in a row, see `Adversary.replays`.
        parts: What the adversary trains beside the model, see `Adversary.parts`.
    """

    memory: dict[str, Tensor]
    parts: nn.Module | None

    @property
    @abstractmethod
    def tokens(self) -> Tensor:
        """The tokens of the batch, indices of the vocabulary, shape (B, T)."""

    @abstractmethod
    def accumulate(self, weight: float = 1.0, objective: Objective | None = None, **options: Any) -> Tensor:
        """Run forward and backward once, adding `weight` times the loss's gradient to every parameter.

        Args:
            weight: Of this pass; those of a step add up to one. Several processes exchange the gradients in
                the pass with which they do.
            objective: Makes of the loss and the model's outputs what is minimised; the loss itself if None.
            **options: More arguments for the model, such as `output_hidden_states=True`.

        Returns:
            The unweighted loss, a detached scalar.
        """

    @abstractmethod
    def gradient(self, of: Tensor, objective: Objective | None = None) -> Tensor:
        """Run forward and backward as far as one tensor; the gradients of weights are not computed.

        Args:
            of: The tensor, which requires a gradient.
            objective: As for `accumulate`.

        Returns:
            The gradient, of the tensor's shape. Its scale is not that of the loss.
        """

    @abstractmethod
    def gradient_of(self, loss: Tensor, of: Tensor) -> Tensor:
        """Run backward from a loss as far as one tensor, within an objective.

        Args:
            loss: What the objective was given, or made of it; it can be differentiated again afterwards.
            of: The tensor, which requires a gradient.

        Returns:
            The gradient, of the tensor's shape. Its scale is not that of the loss.
        """

    @abstractmethod
    def outputs(self) -> Any:
        """Run forward once; the outputs can be differentiated."""

    @abstractmethod
    def first_layer(self) -> nn.Module:
        """The first of the encoder's layers."""

    @abstractmethod
    def output_of(self, module: nn.Module) -> Tensor:
        """Run forward only until a part of the model has been computed; its output can be differentiated."""


class Adversary(ABC):
    """Computes the gradients of one training step under perturbed embeddings.

    A subclass names its settings in `Config` and writes `cost` and `_step`; everything it needs for them is
    a method here or of what it is given.
    Shapes: B examples, T tokens, D embedding channels.

    Args:
        config: The settings.
        **settings: Or the settings by name: `FreeLB(steps=3)`.
    """

    Config: ClassVar[type[AdversaryConfig]]

    def __init__(self, config: AdversaryConfig | None = None, **settings: Any) -> None:
        if config is not None and settings:
            raise ConfigError("Give an adversary either its config or settings by name, not both.")
        known = self.Config.__dataclass_fields__
        if unknown := [name for name in settings if name not in known]:
            raise ConfigError(
                f"{type(self).__name__} has no setting '{unknown[0]}': choose from {', '.join(known)}."
            )
        self.config = config or self.Config(**settings)
        if type(self.config) is not self.Config:
            raise ConfigError(f"{type(self).__name__} takes a {self.Config.__name__}, not {config!r}.")

    @final
    def step(self, embedding: nn.Module, mask: Tensor, passes: Passes) -> Tensor:
        """Add the gradients of one training step to the parameters.

        Args:
            embedding: The model's word embeddings, whose output (B, T, D) is perturbed.
            mask: Attention mask (B, T), 0 at padding, which is never perturbed.
            passes: Runs the model over the batch.

        Returns:
            The loss to report, a detached scalar.
        """
        return self._step(Perturbation(embedding, mask), passes)

    @property
    def replays(self) -> int:
        """How often in a row a batch is trained on, with an optimiser step each time."""
        return 1

    @abstractmethod
    def cost(self, layers: int) -> float:
        """Forward-backward passes over the model that one step costs; a pass as far as δ is 2/3 of one.

        Args:
            layers: Of the encoder.
        """

    @property
    def exchanges_words(self) -> bool:
        """Whether it exchanges words for their neighbours, so that training knows words of attacks."""
        return False

    def prepare(self, tokenizer: PreTrainedTokenizerBase, resources: Lexical) -> Self:
        """Return an adversary that has all it needs of the tokenizer and of neighbours of words.

        It is called once, before a run claims its folder. Most adversaries need nothing and return
        themselves.

        Args:
            tokenizer: The tokenizer of the model.
            resources: Loads neighbours of words when they are asked for, as the run's options name them.

        Raises:
            ResourceError: If what it needs cannot be had.
        """
        return self

    def parts(self, model: PreTrainedModel) -> nn.Module | None:
        """What is trained beside the model, if anything; called once, before training.

        Args:
            model: The classifier that will be trained.
        """
        return None

    @abstractmethod
    def _step(self, perturbation: Perturbation, passes: Passes) -> Tensor:
        """The adversary's own mathematics."""


def replay(device: torch.device) -> Callable[[], None]:
    """Remember the state of the random generators; the function returned goes back to it.

    Called before each pass, it makes all passes draw the same dropout masks.
    """
    cpu = torch.get_rng_state()
    own = None if device.type == "cpu" else torch.get_device_module(device).get_rng_state(device)

    def rewind() -> None:
        torch.set_rng_state(cpu)
        if own is not None:
            torch.get_device_module(device).set_rng_state(own, device)

    return rewind
