"""From a pretrained encoder to a robust, smaller classifier: search, draw, fine-tune, evaluate."""

from __future__ import annotations

from earlyrobust.pipeline.config import RunConfig
from earlyrobust.pipeline.judge import evaluate
from earlyrobust.pipeline.methods import METHODS, Method
from earlyrobust.pipeline.observer import Observer
from earlyrobust.pipeline.run import finetune, run, search

__all__ = ["METHODS", "Method", "Observer", "RunConfig", "evaluate", "finetune", "run", "search"]
