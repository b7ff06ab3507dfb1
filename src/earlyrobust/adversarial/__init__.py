"""How one training step perturbs the embeddings, one file each.

To add one: a new file with a configuration and an `Adversary`, and one line in `ADVERSARIES`.
"""

from __future__ import annotations

from earlyrobust.adversarial.base import Adversary, AdversaryConfig, Passes
from earlyrobust.adversarial.freelb import FreeLB, FreeLBConfig

__all__ = ["ADVERSARIES", "Adversary", "AdversaryConfig", "FreeLB", "FreeLBConfig", "Passes"]

ADVERSARIES: dict[str, type[Adversary]] = {
    "freelb": FreeLB,
}
