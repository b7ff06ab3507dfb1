"""Tickets: masks that name the parts of an encoder that stay. They need neither PyTorch nor a model.

The names below are loaded on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
