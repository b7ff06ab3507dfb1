"""From a pretrained encoder to a robust, smaller classifier: search, draw, fine-tune, evaluate.

The names below are looked up on first use, so that options can be checked before PyTorch is imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earlyrobust.lazy import lazily

if TYPE_CHECKING:
    from earlyrobust.pipeline.attack_options import AttackConfig
    from earlyrobust.pipeline.benchmark_options import BenchmarkConfig
    from earlyrobust.pipeline.benchmarking import benchmark
    from earlyrobust.pipeline.config import RunConfig
    from earlyrobust.pipeline.export_options import ExportConfig
    from earlyrobust.pipeline.exporting import export
    from earlyrobust.pipeline.fitting import Fitted, fit
    from earlyrobust.pipeline.jobs import finetune, run, search
    from earlyrobust.pipeline.judge import attack, evaluate
    from earlyrobust.pipeline.methods import METHODS, Method
    from earlyrobust.pipeline.observer import Observer
    from earlyrobust.pipeline.predicting import predict
    from earlyrobust.pipeline.replaying import replay
    from earlyrobust.pipeline.testdata import TestData

__all__ = [
    "METHODS",
    "AttackConfig",
    "BenchmarkConfig",
    "ExportConfig",
    "Fitted",
    "Method",
    "Observer",
    "RunConfig",
    "TestData",
    "attack",
    "benchmark",
    "evaluate",
    "export",
    "finetune",
    "fit",
    "predict",
    "replay",
    "run",
    "search",
]

_HOMES = {
    "METHODS": "methods",
    "AttackConfig": "attack_options",
    "BenchmarkConfig": "benchmark_options",
    "ExportConfig": "export_options",
    "Fitted": "fitting",
    "Method": "methods",
    "Observer": "observer",
    "RunConfig": "config",
    "TestData": "testdata",
    "attack": "judge",
    "benchmark": "benchmarking",
    "evaluate": "judge",
    "export": "exporting",
    "finetune": "jobs",
    "fit": "fitting",
    "predict": "predicting",
    "replay": "replaying",
    "run": "jobs",
    "search": "jobs",
}

__getattr__ = lazily(__name__, _HOMES)
