"""The methods: how a ticket is searched, or none, times what perturbs the fine-tuning, or nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """One row of the paper's Table 1.

    Attributes:
        description: What it does, in a line.
        search: Name of its ticket search in `SEARCHES`; None for training the whole encoder.
        adversary: Name of its fine-tuning's adversary in `ADVERSARIES`; None for plain fine-tuning.
    """

    description: str
    search: str | None = None
    adversary: str | None = None


METHODS: dict[str, Method] = {
    "finetune": Method("ordinary fine-tuning of the whole encoder, the comparison in every run"),
    "earlybert": Method("search a ticket without an adversary, cut, fine-tune", search="earlybert"),
    "pgd": Method("train on the worst perturbation that some ascents find", adversary="pgd"),
    "freelb": Method("train on all perturbations on the way to the worst one", adversary="freelb"),
    "freeat": Method("replay each batch, perturbed by the gradients of the time before", adversary="freeat"),
    "yopo": Method("as freelb, with most ascents through the first layer only", adversary="yopo"),
    "smart": Method("keep predictions for clean and perturbed texts together", adversary="smart"),
    "infobert": Method("freelb with two information-theoretic regularisers", adversary="infobert"),
    "robust-ticket": Method(
        "set weights to zero by masks that are trained under FreeLB, fine-tune the rest",
        search="robust-ticket",
    ),
    "earlyrobust": Method(
        "search a ticket under FreeLB, stop when its masks settle, cut, fine-tune what is left",
        search="earlyrobust",
    ),
}
