"""Tells the C library when to keep the memory of freed arrays, and when to return it to the system."""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Parameters of glibc's `mallopt`, from malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
# The values that glibc reaches by itself when large arrays are freed.
_USUAL_MMAP = 32 << 20
_USUAL_TRIM = 2 * _USUAL_MMAP
# In training, arrays up to this size reuse freed memory, and freed memory up to this size is kept.
_LARGE_MMAP, _LARGE_TRIM = 1 << 30, (1 << 31) - 1
# Variables by which a user sets the same parameters.
_OF_USER = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


def give_back() -> None:
    """Return free memory to the system; do nothing if the C library is not glibc.

    Attacks ask models in batches of many different sizes. The freed memory lies in pieces between arrays that
    are still in use. So glibc takes more and more memory from the system, the longer an attack runs.
    """
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep the memory of freed arrays for the next arrays while the context lasts; then return it.

    Every step of a training frees arrays and allocates them again in the same sizes. By default, glibc
    returns those above 32 MB to the system, such as the gradient of the word embeddings. The system then
    clears the same memory page by page in every step, which takes some 7 % of a step of a small encoder.

    Nothing changes if the C library is not glibc, or if the environment sets the parameters of glibc.
    """
    set_parameter = None if any(name in os.environ for name in _OF_USER) else _function("mallopt")
    if set_parameter is None:
        yield
        return
    set_parameter(_MMAP_THRESHOLD, _LARGE_MMAP)
    set_parameter(_TRIM_THRESHOLD, _LARGE_TRIM)
    try:
        yield
    finally:
        set_parameter(_MMAP_THRESHOLD, _USUAL_MMAP)
        set_parameter(_TRIM_THRESHOLD, _USUAL_TRIM)
        give_back()


def _function(name: str) -> ctypes._NamedFuncPointer | None:
    """Return a function of glibc; None for musl and the libraries of other systems, which do not have it."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
