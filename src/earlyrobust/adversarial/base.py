"""The base classes of adversaries and of their settings, and the model passes that a trainer offers them."""

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

# Returns the scalar to minimise, given the loss of the task and the outputs of the model.
Objective = Callable[[Tensor, Any], Tensor]

# Costs in forward-backward passes. The forward computation, the gradients of activations and the gradients of
# weights take a third of a pass each. An ascent computes no gradients of weights. The gradient of a loss that
# is already computed takes only the gradients of activations.
ASCENT = 2 / 3
GRADIENT = 1 / 3

# Names of types in messages. Messages name any other type as its annotation does.
_CALLED = {"bool": "True or False", "int": "a whole number", "float": "a number", "str": "text"}


@dataclass(frozen=True, kw_only=True)
class AdversaryConfig:
    """Base class of the settings of adversaries. It checks the types of the settings on construction."""

    def __post_init__(self) -> None:
        # The type is `Any`, because type checkers assume that a data class cannot be the key of a cache.
        config: Any = type(self)
        for name, (kind, called) in _kinds_of(config).items():
            value = getattr(self, name)
            try:
                kind.validate_python(value, strict=True)
            except ValidationError:
                self._require(False, f"{name} is {value!r}, but must be {called}")

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON types."""
        return asdict(self)

    def _require(self, condition: bool, message: str) -> None:
        if not condition:
            raise ConfigError(f"{type(self).__name__}: {message}.")

    def _require_at_least(self, least: float, *names: str) -> None:
        """Check that settings are finite numbers of at least `least`."""
        for name in names:
            value = getattr(self, name)
            self._require(
                least <= value < math.inf, f"{name} is {value}, but must be a number of at least {least}"
            )


@cache
def _kinds_of(config: Any) -> dict[str, tuple[TypeAdapter[Any], str]]:
    """Return the type of each setting, by its annotation, and the name of the type in messages."""
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
    """Settings of a perturbation δ that starts at random and ascends the loss.

    Attributes:
        step_size: Length of one normalised ascent step. Default: 0.01 (the early-bird paper's release for
            IMDB).
        initial_magnitude: ε₀, the magnitude of the uniform start. Default: 0.05 (the early-bird paper's
            release for IMDB).
        bound: Radius of the ball that δ stays in; 0 for no bound. Default: 0 (the early-bird paper's release
            for IMDB).
    """

    step_size: float = 0.01
    initial_magnitude: float = 0.05
    bound: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(0, "step_size", "initial_magnitude", "bound")


class WordNeighbours(Protocol):
    """A source of neighbours of words.

    Attributes:
        name: The name of the source.
    """

    name: str

    def nearest(self, word: str, count: int) -> list[str]:
        """Return at most `count` neighbours of a word, nearest first."""


class Lexical(Protocol):
    """The resources on words that `Adversary.prepare` receives."""

    @property
    def neighbours(self) -> WordNeighbours:
        """Return the source of neighbours of words."""


class Passes(ABC):
    """Runs the model over one batch for an adversary. The model is in training mode throughout.

    Attributes:
        memory: The tensors that the adversary stored when it last saw this batch. It is empty when the
            adversary sees the batch for the first time. Only an adversary that sees a batch several times in
            a row needs it, see `Adversary.replays`.
        parts: The module that the adversary trains beside the model, see `Adversary.parts`; None if there is
            none.
    """

    memory: dict[str, Tensor]
    parts: nn.Module | None

    @property
    @abstractmethod
    def tokens(self) -> Tensor:
        """Return the token ids of the batch, shape (B, T)."""

    @abstractmethod
    def accumulate(self, weight: float = 1.0, objective: Objective | None = None, **options: Any) -> Tensor:
        """Run forward and backward once, and add `weight` times the gradient of the loss to all parameters.

        Args:
            weight: Weight of this pass. The weights of all passes of a step add up to one. Several processes
                exchange the gradients in the pass with which the sum reaches one.
            objective: Computes the scalar to minimise from the loss and the model's outputs. None minimises
                the loss itself.
            **options: More arguments for the model, such as `output_hidden_states=True`.

        Returns:
            The unweighted loss, a detached scalar.
        """

    @abstractmethod
    def gradient(self, of: Tensor, objective: Objective | None = None) -> Tensor:
        """Return the gradient with respect to one tensor; the gradients of weights are not computed.

        Args:
            of: The tensor, which requires a gradient.
            objective: Computes the scalar to differentiate from the loss and the model's outputs. None
                differentiates the loss itself.

        Returns:
            The gradient, of the tensor's shape. Its scale is not that of the loss.
        """

    @abstractmethod
    def gradient_of(self, loss: Tensor, of: Tensor) -> Tensor:
        """Differentiate a loss with respect to one tensor, within an objective.

        Args:
            loss: The loss that the objective received, or a loss that it computed from it. It can be
                differentiated again afterwards.
            of: The tensor, which requires a gradient.

        Returns:
            The gradient, of the tensor's shape. Its scale is not that of the loss.
        """

    @abstractmethod
    def outputs(self) -> Any:
        """Run forward once and return the outputs of the model, which can be differentiated."""

    @abstractmethod
    def first_layer(self) -> nn.Module:
        """Return the first layer of the encoder."""

    @abstractmethod
    def output_of(self, module: nn.Module) -> Tensor:
        """Run forward until a module has been computed, and return its output, which can be differentiated.

        Args:
            module: A part of the model.
        """


class Adversary(ABC):
    """Computes the gradients of one training step under perturbed embeddings.

    A subclass sets `Config` to the class of its settings, and implements `cost` and `_step`. These methods
    need only the methods of this class and the objects that they receive.
    Shapes: B examples, T tokens, D embedding channels.

    Args:
        config: The settings.
        **settings: The settings by name instead of `config`, as in `FreeLB(steps=3)`.

    Raises:
        ConfigError: If a setting is unknown or has a value that cannot be used, or `config` and settings are
            both given.
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
            mask: Attention mask (B, T), 0 at padding. Padding is never perturbed.
            passes: Runs the model over the batch.

        Returns:
            The loss to report, a detached scalar.

        Raises:
            ConfigError: If `_step` of a class of the user's own returns something else.
        """
        loss: Any = self._step(Perturbation(embedding, mask), passes)
        if not isinstance(loss, Tensor):
            kind = type(self)
            raise ConfigError(
                f"_step of {kind.__module__}:{kind.__qualname__} returned {type(loss).__name__}, but must "
                "return the loss, a tensor of one number."
            )
        return loss

    @property
    def replays(self) -> int:
        """Return how often in a row the trainer trains on each batch, with an optimiser step each time."""
        return 1

    @abstractmethod
    def cost(self, layers: int) -> float:
        """Return the cost of one step in forward-backward passes over the model.

        A pass that computes only the gradient of δ costs 2/3.

        Args:
            layers: Number of layers of the encoder.
        """

    @property
    def exchanges_words(self) -> bool:
        """Return whether the adversary trains on words exchanged for neighbours, as attacks exchange them."""
        return False

    def prepare(self, tokenizer: PreTrainedTokenizerBase, resources: Lexical) -> Self:
        """Return an adversary that has all it needs from the tokenizer and from neighbours of words.

        This method is called once, before a run claims its folder. Most adversaries need nothing and return
        themselves.

        Args:
            tokenizer: The tokenizer of the model.
            resources: Loads the neighbours of words that the options of the run name, on first use.

        Raises:
            ResourceError: If a resource that the adversary needs is missing or cannot be used.
        """
        return self

    def parts(self, model: PreTrainedModel) -> nn.Module | None:
        """Return the module that is trained beside the model; None if there is none.

        This method is called once, before training.

        Args:
            model: The classifier that will be trained.
        """
        return None

    @abstractmethod
    def _step(self, perturbation: Perturbation, passes: Passes) -> Tensor:
        """Compute the gradients of one step; each adversary implements its algorithm here.

        Args:
            perturbation: Creates, projects and applies δ for this batch.
            passes: Runs the model over the batch.

        Returns:
            The loss to report, a detached scalar.
        """


def replay(device: torch.device) -> Callable[[], None]:
    """Return a function that resets the random generators to their state at the time of this call.

    If it is called before each pass, all passes draw the same dropout masks.

    Args:
        device: The device whose generator is reset, beside that of the CPU.
    """
    cpu = torch.get_rng_state()
    own = None if device.type == "cpu" else torch.get_device_module(device).get_rng_state(device)

    def rewind() -> None:
        torch.set_rng_state(cpu)
        if own is not None:
            torch.get_device_module(device).set_rng_state(own, device)

    return rewind
