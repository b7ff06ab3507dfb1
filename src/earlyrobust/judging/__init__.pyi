from .attacking import attack
from .benchmarking import benchmark
from .evaluating import evaluate
from .exporting import export
from .predicting import predict
from .replaying import replay

__all__ = [
    "attack",
    "benchmark",
    "evaluate",
    "export",
    "predict",
    "replay",
]
