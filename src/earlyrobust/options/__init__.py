"""Defines the options of commands once for Python, YAML files, flags and the documentation.

This package imports neither PyTorch nor NumPy, so that a command checks its options at once. The names below
are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from earlyrobust.lazy import lazily

if TYPE_CHECKING:
    from earlyrobust.options.attack import AttackConfig
    from earlyrobust.options.benchmark import BenchmarkConfig
    from earlyrobust.options.comparison import CompareConfig
    from earlyrobust.options.export import ExportConfig
    from earlyrobust.options.methods import METHODS, Method
    from earlyrobust.options.run import RunConfig
    from earlyrobust.options.test_data import TestData

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

_HOMES = {
    "METHODS": "methods",
    "AttackConfig": "attack",
    "BenchmarkConfig": "benchmark",
    "CompareConfig": "comparison",
    "ExportConfig": "export",
    "Method": "methods",
    "RunConfig": "run",
    "TestData": "test_data",
}

__getattr__ = lazily(__name__, _HOMES)
