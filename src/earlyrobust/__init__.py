"""Makes text classifiers smaller by robust early-bird tickets, trains them against attacks, and attacks them.

The import of this package registers cut models with transformers' auto classes and pipelines. The names below
are loaded on first use.
"""

import lazy_loader

from earlyrobust.autoload import register_after_import

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

register_after_import()
