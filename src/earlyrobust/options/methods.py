"""The methods: how a ticket is searched, or none, times what perturbs the fine-tuning, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Start = Literal["pretrained", "given", "random", "refilled", "searched", "continued"]


@dataclass(frozen=True)
class Method:
    """One row of the paper's Table 1, or a preset of ours.

    Attributes:
        description: What it does, in a line.
        search: Name of its ticket search in `SEARCHES`; None for training the whole encoder.
        adversary: What perturbs its fine-tuning, see `parse_spec`; None for plain fine-tuning.
        search_adversary: What perturbs its search; None for the search's own.
        start: What its fine-tuning starts from, as the option of that name.
        noise: The noise in its training texts, see `parse_spec`; None for none.
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
    "pgd": Method("train on the worst perturbation that some ascents find", adversary="pgd"),
    "freelb": Method("train on all perturbations on the way to the worst one", adversary="freelb"),
    "freeat": Method("replay each batch, perturbed by the gradients of the time before", adversary="freeat"),
    "yopo": Method("as freelb, with most ascents through the first layer only", adversary="yopo"),
    "smart": Method("keep predictions for clean and perturbed texts together", adversary="smart"),
    "infobert": Method("freelb with two information-theoretic regularisers", adversary="infobert"),
    "fat": Method("train on the end of one ascent from where the last epoch pointed to", adversary="fat"),
    "flooding": Method("keep the loss of every batch from falling below a level", adversary="flooding"),
    "robust-ticket": Method(
        "set weights to zero by masks that are trained under FreeLB, fine-tune the rest",
        search="robust-ticket",
    ),
    "earlyrobust": Method(
        "search a ticket under FreeLB, stop when its masks settle, cut, fine-tune what is left",
        search="earlyrobust",
    ),
    "earlyrobust-noise": Method(
        "ours: search a ticket under learned text noise, cut, and go on with the same training",
        search="earlyrobust",
        search_adversary="none",
        start="continued",
        noise="learned",
    ),
}
