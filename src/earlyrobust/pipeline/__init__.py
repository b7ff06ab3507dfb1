"""Makes a smaller classifier of a pretrained encoder: search, draw, fine-tune, evaluate.

The names below are loaded when they are first used, so that options are checked before PyTorch is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earlyrobust.lazy import lazily

if TYPE_CHECKING:
    from earlyrobust.pipeline.fitting import Fitted, fit
    from earlyrobust.pipeline.jobs import finetune, run, search

__all__ = ["Fitted", "finetune", "fit", "run", "search"]

_HOMES = {"Fitted": "fitting", "finetune": "jobs", "fit": "fitting", "run": "jobs", "search": "jobs"}

__getattr__ = lazily(__name__, _HOMES)
