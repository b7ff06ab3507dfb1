"""Defines the methods: each combines a ticket search, adversaries and text noise, all of them optional."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Start = Literal["pretrained", "given", "random", "refilled", "searched", "continued"]


@dataclass(frozen=True)
class Method:
    """One row of the paper's Table 1, or a preset of ours.

    Attributes:
        description: A description in one line.
        search: Name of its ticket search in `SEARCHES`; None for training the whole encoder.
        adversary: Adversary of its fine-tuning, see `parse_spec`; None for plain fine-tuning.
        search_adversary: Adversary of its search, see `parse_spec`; None for the search's default.
        start: Weights from which its fine-tuning starts, as for the option `start`.
        noise: Noise in its training texts, see `parse_spec`; None for no noise.
    """

    description: str
    search: str | None = None
    adversary: str | None = None
    search_adversary: str | None = None
    start: Start = "pretrained"
    noise: str | None = None


METHODS: dict[str, Method] = {
    "finetune": Method("fine-tunes the whole encoder; the baseline of every run"),
    "earlybert": Method("searches a ticket without an adversary, cuts, and fine-tunes", search="earlybert"),
    "pgd": Method("ascends several times, then trains on the last perturbation", adversary="pgd"),
    "freelb": Method("ascends several times, and trains on every perturbation", adversary="freelb"),
    "freeat": Method("replays each batch, perturbed by the gradients of the last pass", adversary="freeat"),
    "yopo": Method("trains as freelb does, with all ascents through the first layer only", adversary="yopo"),
    "smart": Method("penalises different predictions for clean and perturbed texts", adversary="smart"),
    "infobert": Method(
        "trains as freelb does, with two information-theoretic regularisers", adversary="infobert"
    ),
    "fat": Method("ascends once, starting in the direction of the last epoch, then trains", adversary="fat"),
    "flooding": Method("keeps the loss of every batch above a level", adversary="flooding"),
    "robust-ticket": Method(
        "sets weights to zero by masks trained under FreeLB, and fine-tunes the rest",
        search="robust-ticket",
    ),
    "earlyrobust": Method(
        "searches a ticket under FreeLB until its masks settle, cuts, and fine-tunes the rest",
        search="earlyrobust",
    ),
    "earlyrobust-noise": Method(
        "ours: searches a ticket under learned text noise, cuts, and continues the training",
        search="earlyrobust",
        search_adversary="none",
        start="continued",
        noise="learned",
    ),
}
