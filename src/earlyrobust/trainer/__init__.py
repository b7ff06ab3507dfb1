"""`AdversarialTrainer`, which trains a classifier under an adversary with transformers' Trainer."""

from __future__ import annotations

from earlyrobust.trainer.trainer import AdversarialTrainer

__all__ = ["AdversarialTrainer"]
