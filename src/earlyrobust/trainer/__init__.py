"""Training a classifier under an adversary, by transformers' Trainer."""

from __future__ import annotations

from earlyrobust.trainer.trainer import AdversarialTrainer

__all__ = ["AdversarialTrainer"]
