"""Runs the commands on an existing classifier: evaluate, attack, predict, replay, export, benchmark.

The names below are loaded when they are first used, so that options are checked before PyTorch is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earlyrobust.lazy import lazily

if TYPE_CHECKING:
    from earlyrobust.judging.attacking import attack
    from earlyrobust.judging.benchmarking import benchmark
    from earlyrobust.judging.evaluating import evaluate
    from earlyrobust.judging.exporting import export
    from earlyrobust.judging.predicting import predict
    from earlyrobust.judging.replaying import replay

__all__ = ["attack", "benchmark", "evaluate", "export", "predict", "replay"]

_HOMES = {
    "attack": "attacking",
    "benchmark": "benchmarking",
    "evaluate": "evaluating",
    "export": "exporting",
    "predict": "predicting",
    "replay": "replaying",
}

__getattr__ = lazily(__name__, _HOMES)
