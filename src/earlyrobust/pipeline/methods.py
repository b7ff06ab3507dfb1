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
    "earlyrobust": Method(
        "search a ticket under FreeLB, stop when its masks settle, cut, fine-tune what is left",
        search="earlyrobust",
    ),
}
