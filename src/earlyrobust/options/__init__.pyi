from .attack import AttackConfig
from .benchmark import BenchmarkConfig
from .comparison import CompareConfig
from .export import ExportConfig
from .methods import METHODS, Method
from .run import RunConfig
from .test_data import TestData

__all__ = [
    "METHODS",
    "AttackConfig",
    "BenchmarkConfig",
    "CompareConfig",
    "ExportConfig",
    "Method",
    "RunConfig",
    "TestData",
]
