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
    "finetune": Method("ordinary fine-tuning of the whole encoder, the comparison in every run"),
    "earlybert": Method("search a ticket without an adversary, cut, fine-tune", search="earlybert"),
    "pgd": Method("ascend several times, then train on the last perturbation", adversary="pgd"),
    "freelb": Method("ascend several times, and train on every perturbation", adversary="freelb"),
    "freeat": Method("replay each batch, perturbed by the gradients of the last pass", adversary="freeat"),
    "yopo": Method("like freelb, with most ascents through the first layer only", adversary="yopo"),
    "smart": Method("penalise different predictions for clean and perturbed texts", adversary="smart"),
    "infobert": Method("freelb with two information-theoretic regularisers", adversary="infobert"),
    "fat": Method("ascend once, starting from the direction of the last epoch, then train", adversary="fat"),
    "flooding": Method("keep the loss of every batch from falling below a level", adversary="flooding"),
    "robust-ticket": Method(
        "set weights to zero by masks trained under FreeLB, fine-tune the rest",
        search="robust-ticket",
    ),
    "earlyrobust": Method(
        "search a ticket under FreeLB, stop when its masks settle, cut, fine-tune the rest",
        search="earlyrobust",
    ),
    "earlyrobust-noise": Method(
        "ours: search a ticket under learned text noise, cut, and continue the same training",
        search="earlyrobust",
        search_adversary="none",
        start="continued",
        noise="learned",
    ),
}
