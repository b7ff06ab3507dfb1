"""Families of transformer architectures whose heads and neurons can be cut, one file each.

To add a family, write a file with a `Family`, and add a line to `FAMILIES` in `table`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
