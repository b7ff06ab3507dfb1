"""Flooding: keeps the training loss from falling below a level (Ishida et al., ICML 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from earlyrobust.adversarial.base import Adversary, AdversaryConfig, Passes
from earlyrobust.adversarial.perturbation import Perturbation


@dataclass(frozen=True, kw_only=True)
class FloodingConfig(AdversaryConfig):
    """Settings of flooding.

    Attributes:
        level: b, the flood level, a loss; 0 for plain training. Default: 0.1 (the release of Flooding-X for
            SST-2). That release takes 0.02 for IMDB, 0.036 for QNLI, and 0.025 if no level is given.
    """

    level: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_at_least(0, "level")


class Flooding(Adversary):
    """Keeps the loss of every batch from falling below a level; no embedding is perturbed.

    Minimise |L − b| + b for the loss L of a batch: a step descends if L > b, and ascends if L < b.

    Flooding-X (Liu et al., ACL 2022) aims at robust classifiers with this loss, at the cost of
    fine-tuning. The paper chooses b by the accordance of gradients. Its release has no code for this choice
    and takes b as a number. This class takes b as a number, too: choose b on the selection split.
    """

    Config = FloodingConfig
    config: FloodingConfig

    def cost(self, layers: int) -> float:
        """Return the cost of one pass."""
        return 1

    def _step(self, perturbation: Perturbation, passes: Passes) -> Tensor:
        level = self.config.level
        # At level 0 the objective equals the loss, and computing it would only change the rounding.
        return passes.accumulate(objective=None if level == 0 else lambda loss, _: flooded(loss, level))


def flooded(loss: Tensor, level: float) -> Tensor:
    """Return |L − b| + b.

    Args:
        loss: L, a scalar.
        level: b, the flood level.
    """
    return torch.where(loss > level, loss, 2 * level - loss)
