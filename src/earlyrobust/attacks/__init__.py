"""Attacks: algorithms that edit a text, word by word, until a classifier errs.

`engine` runs many attacks side by side, and `server` answers their questions to models in batches. `greedy`
holds the search that they share. `swaps`, `characters` and `constraints` hold their parts. To add an attack,
write a file that puts parts together, and add a line to `ATTACKS` in `table`.

The names below are loaded when they are first used, so that attacks are listed in milliseconds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
