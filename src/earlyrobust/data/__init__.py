"""Loads named tasks and users' files, makes three splits of them, and tokenises the splits.

`tasks` is the table of known data sets, `files` reads users' files, `prepare` makes the splits, and `tokens`
tokenises a split once and keeps the token ids on disk. Of the rest of earlyrobust, this package imports only
`errors`, `storage` and `lazy`.

The names below are loaded when they are first used, so that the table of tasks can be read in milliseconds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
