"""Makes the adversaries that options name, and checks what those of a user's own return."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, cast

from earlyrobust.adversarial import ADVERSARIES, Adversary
from earlyrobust.attacks import Resources
from earlyrobust.extensions import find_class
from earlyrobust.options.specs import NONE, parse_spec
from earlyrobust.pipeline.foreign import blaming, check_returned

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def make_adversary(spec: str) -> Adversary | None:
    """Make the adversary that an option names; None for the option `none`.

    Raises:
        ConfigError: If there is no such adversary, or its settings cannot be used.
    """
    name, settings = parse_spec(spec)
    if name == NONE:
        return None
    kind = find_class("adversary", name, ADVERSARIES, Adversary, [NONE])
    with blaming(kind, call="__init__"):
        return kind(**settings)


def prepare(
    adversary: Adversary | None, tokenizer: PreTrainedTokenizerBase, resources: Resources
) -> Adversary | None:
    """Prepare an adversary, see `Adversary.prepare`; None for no adversary.

    Raises:
        ResourceError: If a resource of the adversary cannot be loaded.
        ConfigError: If `prepare` returns no adversary, with which the training would be a plain one.
    """
    if adversary is None:
        return None
    made: Any = adversary.prepare(tokenizer, resources)
    check_returned(adversary, "prepare", made, Adversary, "an Adversary")
    return cast("Adversary", made)


def cost_of(adversary: Adversary | None, layers: int) -> float:
    """Return the cost of a training step in passes, see `Adversary.cost`; 1 without an adversary.

    Raises:
        ConfigError: If `cost` returns no number.
    """
    if adversary is None:
        return 1.0
    cost: Any = adversary.cost(layers)
    check_returned(adversary, "cost", cost, Real, "a number")
    return float(cost)
