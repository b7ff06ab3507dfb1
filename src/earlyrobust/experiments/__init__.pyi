from .grid import compare
from .paper import EXPERIMENTS, Experiment
from .reproduction import reproduce

__all__ = [
    "EXPERIMENTS",
    "Experiment",
    "compare",
    "reproduce",
]
