"""Defines the options of commands once for Python, YAML files, flags and the documentation.

This package imports neither PyTorch nor NumPy, so that a command checks its options at once. The names below
are loaded when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
