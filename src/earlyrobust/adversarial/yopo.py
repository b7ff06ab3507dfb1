"""YOPO: you only propagate once (Zhang et al., NeurIPS 2019), on embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from earlyrobust.adversarial.base import ASCENT, Adversary, AscentConfig, Passes
from earlyrobust.adversarial.perturbation import Perturbation


@dataclass(frozen=True, kw_only=True)
class YOPOConfig(AscentConfig):
    """Settings of YOPO-m-n. The default values of the ascent are those of FreeLB (our choice).

    Attributes:
        outer_steps: m, the number of passes over the whole model. Default: 3 (our choice).
        inner_steps: n, the number of ascents through the first layer after each pass. Default: 3 (our
            choice).
    """

    outer_steps: int = 3
    inner_steps: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require(
            self.outer_steps >= 1, f"outer_steps is {self.outer_steps}, but at least one pass is needed"
        )
        self._require_at_least(0, "inner_steps")


class YOPO(Adversary):
    """Averages the weights' gradient over m passes; between passes, δ ascends n times through one layer only.

    Algorithm 1 of the paper, with f₀ the embeddings and the first layer, f̃ the rest of the model, and the
    costate p, which the ascents hold fixed:

        for j = 1…m:
            g_θ ← g_θ + (1/m) ∇_θ L(δ)
            p ← ∇_{f₀} L(f̃(f₀(x + δ)))
            n times:
                g ← ∇_δ ⟨p, f₀(x + δ)⟩
                δ ← Π(δ + α g / ‖g‖₂)

    This class deviates from the release in the weights of the first layer. In the release, these weights get
    a second gradient after each pass, that of ⟨p, f₀(x + δ)⟩ at the δ after the n ascents. Here they get only
    the gradients of the m passes, as all other weights do in both.

    With n = 1, YOPO equals FreeLB up to dropout, because the first ascent after a pass follows the true
    gradient. The ascents after the last pass are left out, because no pass would use their δ. With one pass
    and initial_magnitude 0, YOPO is plain training.
    """

    Config = YOPOConfig
    config: YOPOConfig

    def cost(self, layers: int) -> float:
        """Return the cost of m passes, and of n ascents through one layer between each two of them."""
        config = self.config
        return config.outer_steps + (config.outer_steps - 1) * config.inner_steps * ASCENT / layers

    def _step(self, perturbation: Perturbation, passes: Passes) -> Tensor:
        config = self.config
        delta = perturbation.uniform(config.initial_magnitude, config.bound)
        losses = []
        for step in range(config.outer_steps):
            # The costate is a gradient even where the embeddings and the first layer are frozen.
            delta.requires_grad_()
            costate = _Costate(passes.first_layer())
            with perturbation.applied(delta), costate:
                losses.append(passes.accumulate(1 / config.outer_steps))
            if step < config.outer_steps - 1:
                for _ in range(config.inner_steps):
                    with perturbation.applied(delta.requires_grad_()):
                        first = passes.output_of(passes.first_layer())
                    (gradient,) = torch.autograd.grad(first, delta, costate.value)
                    delta = perturbation.ascend(delta.detach(), gradient, config.step_size, config.bound)
        return torch.stack(losses).mean()


class _Costate:
    """Keeps the gradient of the loss with respect to a layer's output while the context lasts."""

    def __init__(self, layer: nn.Module) -> None:
        self._layer = layer
        self._output: Tensor | None = None

    def __enter__(self) -> None:
        self._handle = self._layer.register_forward_hook(self._keep)

    def __exit__(self, *_: object) -> None:
        self._handle.remove()

    def _keep(self, _layer: nn.Module, _inputs: Any, output: Tensor | tuple[Tensor, ...]) -> None:
        if self._output is None:  # a layer that runs several times counts only the first time
            self._output = output if isinstance(output, Tensor) else output[0]
            self._output.retain_grad()

    @property
    def value(self) -> Tensor:
        """Return the costate p, which has the shape of the layer's output."""
        return cast("Tensor", cast("Tensor", self._output).grad)
