"""Runs the commands on an existing classifier: evaluate, attack, predict, replay, export, benchmark.

The names below are loaded when they are first used, so that options are checked before PyTorch is imported.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
